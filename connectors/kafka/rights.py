"""The rights that vectrue needs in Kafka, and who needs each.

The list is used three times: `vectrue init --print-acls` prints it, a secure local
stack grants exactly it, and a worker asks for its part of it before it consumes (see
`acls`). docs/security.md shows it; a test compares.

Hazard: a right that is added to the list refuses a worker its start until it is
granted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

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


@dataclass(frozen=True, slots=True)
class Right:
    """One right: an operation on a topic or a group.

    A prefixed one is about all whose name begins with `name`.
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
        operation = self.operation.title().replace("_", "")
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
    """What one user needs who does everything but capture.

    A right that another one of them contains is left out.
    """
    kept: list[Right] = []
    for role in ROLES:
        if role != "connect":
            for right in of(role, prefix):
                kept = _joined(kept, right)
    return tuple(kept)


def _joined(kept: list[Right], right: Right) -> list[Right]:
    """The rights with one more, each that another one contains left out."""
    if any(_contains(other, right) for other in kept):
        return kept
    return [*(other for other in kept if not _contains(right, other)), right]


def _contains(one: Right, other: Right) -> bool:
    if one.resource != other.resource:
        return False
    same = (one.name, one.prefixed) == (other.name, other.prefixed)
    if not same and not (one.prefixed and other.name.startswith(one.name)):
        return False
    if one.operation == other.operation:
        return True
    return other.operation == "DESCRIBE" and one.operation in ("READ", "WRITE", "DELETE")


def of_connect_cluster(group: str, storage_topics: Iterable[str]) -> tuple[Right, ...]:
    """What a cluster of Kafka Connect needs for itself, whatever it runs."""
    operations: tuple[Literal["READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS"], ...]
    operations = ("READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS")
    rights = [
        Right("topic", topic, operation, "its own storage")
        for topic in storage_topics
        for operation in operations
    ]
    return (*rights, Right("group", group, "READ", "its workers"))


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
        grantee = "CONNECT" if role == "connect" else user
        needed = of(role, settings.kafka.topic_prefix)
        lines += [right.command(grantee, servers) for right in needed]
    return "\n".join(lines) + "\n"
