"""The rights that vectrue needs in Kafka, who needs each, and whether it is there.

The list is used three times: `vectrue init --print-acls` prints it, a secure local
stack grants exactly it, and a worker asks for its part of it before it consumes.
docs/security.md shows it; a test compares.

Hazard: a consumer that may not use its group neither fails nor reads: it tries again
for ever, without a word. So the broker is asked before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # these are exported without saying so
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from connectors.kafka import security
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.settings.reading import Settings

Role = Literal["live", "replay", "commands", "dlq", "init", "connect"]
ROLES: Final[tuple[Role, ...]] = ("live", "replay", "commands", "dlq", "init", "connect")

TITLES: Final[Mapping[Role, str]] = {
    "live": "the live worker",
    "replay": "the replay worker",
    "commands": "the commands lag and replay",
    "dlq": "the command dlq",
    "init": "vectrue init",
    "connect": "the connector, as the user of Kafka Connect",
}

_ANSWER_SECONDS = 10.0
_DENIED: Final = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


@dataclass(frozen=True, slots=True)
class Right:
    """One right: an operation on a topic or a group, or on all whose name begins with
    `name`.
    """

    resource: Literal["topic", "group"]
    name: str
    operation: Literal["READ", "WRITE", "CREATE", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS"]
    why: str = ""
    prefixed: bool = False

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"{self.operation} on {self.resource} {self.name}{'*' if self.prefixed else ''}"

    def command(self, user: str, servers: str) -> str:
        """The command of Kafka that grants it."""
        operation = "".join(word.capitalize() for word in self.operation.split("_"))
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"kafka-acls --bootstrap-server {servers} --command-config admin.properties --add "
            f"--allow-principal 'User:{user}' --operation {operation} --{self.resource} "
            f"'{self.name}'{pattern}"
        )


def of(role: Role, prefix: str) -> tuple[Right, ...]:
    """What a role needs; READ, WRITE and DELETE contain DESCRIBE.

    Args:
        role: the two workers, the commands `lag` and `replay`, `dlq`, `init`, or the
            connector in Kafka Connect.
        prefix: kafka.topic_prefix.
    """
    return _ROLES[role](prefix)


def of_vectrue(prefix: str) -> tuple[Right, ...]:
    """What one user needs who does everything but capture, without a right that another
    one of them contains.
    """
    kept: list[Right] = []
    for right in (right for role in ROLES if role != "connect" for right in of(role, prefix)):
        if not any(_contains(other, right) for other in kept):
            kept = [*(other for other in kept if not _contains(right, other)), right]
    return tuple(kept)


def _contains(one: Right, other: Right) -> bool:
    same = (one.name, one.prefixed) == (other.name, other.prefixed)
    names = same or (one.prefixed and other.name.startswith(one.name))
    describes = other.operation == "DESCRIBE" and one.operation in ("READ", "WRITE", "DELETE")
    return (
        one.resource == other.resource and names and (one.operation == other.operation or describes)
    )


def of_connect_cluster(group: str, storage_topics: Iterable[str]) -> tuple[Right, ...]:
    """What a cluster of Kafka Connect needs for itself, whatever it runs."""
    operations: tuple[Literal["READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS"], ...]
    operations = ("READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS")
    topics = [
        Right("topic", topic, right, "its own storage")
        for topic in storage_topics
        for right in operations
    ]
    return (*topics, Right("group", group, "READ", "its workers"))


def _live(prefix: str) -> tuple[Right, ...]:
    return (
        Right("topic", f"{prefix}.", "READ", "change events and deferred rows", prefixed=True),
        Right(
            "topic", f"{prefix}.replay", "WRITE", "runs of the keeper, where no replay worker is"
        ),
        *_outgoing(prefix),
        Right("group", f"{prefix}-live", "READ", "join the group, commit offsets"),
        Right(
            "group",
            f"{prefix}-replay",
            "DESCRIBE",
            "whether a replay worker is there, to be the keeper",
        ),
    )


def _replay(prefix: str) -> tuple[Right, ...]:
    return (
        Right(
            "topic",
            f"{prefix}.",
            "READ",
            "chunks of a replay; the age of changes that wait",
            prefixed=True,
        ),
        Right("topic", f"{prefix}.replay", "WRITE", "chunks handed back; runs of the keeper"),
        *_outgoing(prefix),
        Right("group", f"{prefix}-replay", "READ", "join the group, commit offsets"),
        Right(
            "group", f"{prefix}-live", "DESCRIBE", "how far live is behind, since live goes first"
        ),
    )


def _outgoing(prefix: str) -> tuple[Right, ...]:
    return (
        Right("topic", f"{prefix}.deferred", "WRITE", "rows to be looked at again"),
        Right("topic", f"{prefix}.dlq", "WRITE", "events that cannot be understood"),
    )


def _commands(prefix: str) -> tuple[Right, ...]:
    return (
        Right("topic", f"{prefix}.replay", "WRITE", "`replay run` sends chunks"),
        Right(
            "topic",
            f"{prefix}.",
            "READ",
            "`lag` reads the age of the first waiting event",
            prefixed=True,
        ),
        Right("group", f"{prefix}-live", "DESCRIBE", "`lag`: who reads, committed offsets"),
        Right("group", f"{prefix}-replay", "DESCRIBE", "`lag`: who reads, committed offsets"),
    )


def _dlq(prefix: str) -> tuple[Right, ...]:
    return (
        Right("topic", f"{prefix}.", "READ", "read the dead letters", prefixed=True),
        Right(
            "topic",
            f"{prefix}.",
            "WRITE",
            "`dlq redrive`: events go back, rows into replay",
            prefixed=True,
        ),
        Right("topic", f"{prefix}.dlq", "DELETE", "`dlq purge`"),
    )


def _init(prefix: str) -> tuple[Right, ...]:
    heartbeat = f"__debezium-heartbeat.{prefix}"
    return (
        Right("topic", f"{prefix}.", "CREATE", "make the topics", prefixed=True),
        Right("topic", f"{prefix}.", "DESCRIBE", "see which are there", prefixed=True),
        Right("topic", heartbeat, "CREATE", "make the topic"),
        Right("topic", heartbeat, "DESCRIBE", "see whether it is there"),
        Right(
            "group",
            f"{prefix}-live",
            "DESCRIBE",
            "whether workers are at work for another database",
        ),
    )


def _connect(prefix: str) -> tuple[Right, ...]:
    return (
        Right("topic", f"{prefix}.", "WRITE", "change events", prefixed=True),
        Right("topic", f"__debezium-heartbeat.{prefix}", "WRITE", "heartbeats"),
    )


_ROLES: Final = {
    "live": _live,
    "replay": _replay,
    "commands": _commands,
    "dlq": _dlq,
    "init": _init,
    "connect": _connect,
}


def lacking(admin: AdminClient, rights: Sequence[Right], topics: Sequence[str]) -> list[Right]:
    """Those of the rights that the connected user does not have; CREATE is not asked
    for.

    A broker without access control allows everything; one that does not tell (before
    2.3) is believed to.

    Args:
        admin: connected as the user.
        rights: what is needed.
        topics: for a right on a prefix, the topics that it is needed for; those that do
            not exist are left out.

    Raises:
        TransientError: the broker does not answer.
    """
    asked = {
        "topic": _topics_of(rights, topics),
        "group": [r.name for r in rights if r.resource == "group"],
    }
    allowed = {**_allowed_topics(admin, asked["topic"]), **_allowed_groups(admin, asked["group"])}
    missing = []
    for right in rights:
        concrete = (
            [topic for topic in topics if topic.startswith(right.name)]
            if right.prefixed
            else [right.name]
        )
        operation = getattr(AclOperation, right.operation)
        answers = [allowed.get((right.resource, name)) for name in concrete]
        if right.operation != "CREATE" and any(
            known is not None and operation not in known for known in answers
        ):
            missing.append(right)
    return missing


def refusal(settings: Settings, missing: Sequence[Right]) -> ConfigurationError:
    """The error for missing rights: which, and the commands that grant them."""
    user = settings.kafka.security.get("sasl.username")
    commands = [
        right.command(user or "NAME", settings.kafka.bootstrap_servers) for right in missing
    ]
    who = f"user {user}" if user else "this client"
    return ConfigurationError(
        f"Kafka does not allow {who} {', '.join(str(right) for right in missing)}",
        fix="; ".join(commands),
    )


def script(settings: Settings) -> str:
    """Kafka's commands that grant everything, by role, for a shell."""
    user = settings.kafka.security.get("sasl.username", "NAME")
    servers = settings.kafka.bootstrap_servers
    lines = [
        (
            "# What Kafka must allow. One user may have all roles but connect, which is Kafka "
            "Connect's user;"
        ),
        "# admin.properties holds the connection of an administrator.",
    ]
    for role in ROLES:
        lines += ["", f"# {TITLES[role]}"]
        who = "CONNECT" if role == "connect" else user
        lines += [right.command(who, servers) for right in of(role, settings.kafka.topic_prefix)]
    return "\n".join(lines) + "\n"


def allow(admin: AdminClient, users: Mapping[str, Sequence[Right]]) -> None:
    """Grant rights; what is granted already stays.

    Raises:
        VectrueError: the broker refuses.
    """
    _finish(
        admin.create_acls(
            [_binding(user, right) for user, rights in users.items() for right in rights]
        )
    )


def _binding(user: str, right: Right) -> Any:
    kind = ResourceType.TOPIC if right.resource == "topic" else ResourceType.GROUP
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    operation = getattr(AclOperation, right.operation)
    return AclBinding(
        kind, right.name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )


def _finish(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        try:
            future.result(_ANSWER_SECONDS)
        except KafkaException as error:
            raise VectrueError(
                f"Kafka grants no rights ({security.reason(error.args[0])})"
            ) from error


def _topics_of(rights: Sequence[Right], topics: Sequence[str]) -> list[str]:
    literal = [right.name for right in rights if right.resource == "topic" and not right.prefixed]
    prefixes = [right.name for right in rights if right.prefixed]
    return sorted({*literal, *(topic for topic in topics if topic.startswith(tuple(prefixes)))})


def _allowed_topics(admin: AdminClient, names: Sequence[str]) -> dict[tuple[str, str], Any]:
    if not names:
        return {}
    futures = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=_ANSWER_SECONDS,
    )
    return {("topic", name): _operations(future) for name, future in futures.items()}


def _allowed_groups(admin: AdminClient, names: Sequence[str]) -> dict[tuple[str, str], Any]:
    if not names:
        return {}
    futures = admin.describe_consumer_groups(
        list(names), include_authorized_operations=True, request_timeout=_ANSWER_SECONDS
    )
    return {("group", name): _operations(future) for name, future in futures.items()}


def _operations(future: Any) -> set[Any] | None:
    """What is allowed on a topic or group: nothing where even to describe it is
    refused, None where nobody knows.
    """
    try:
        found = future.result().authorized_operations
    except KafkaException as error:
        problem = error.args[0]
        if problem.code() in _DENIED:
            return set()
        if problem.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND):
            return None
        sentence = f"Kafka did not tell which rights there are ({security.reason(problem)})"
        raise TransientError(
            sentence, fix="check kafka.bootstrap_servers and that the broker runs"
        ) from error
    return set(found) if found else None
