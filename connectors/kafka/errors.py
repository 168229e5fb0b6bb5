"""The one way from Kafka's errors to ours: each of them has a sentence of its own.

| what is wrong | what is raised | the fix names |
|---|---|---|
| this user has no right to it | ConfigurationError | the command that grants the right |
| the broker rejects the login: password, mechanism | ConfigurationError | `kafka.security` |
| TLS or another option of the connection is wrong | ConfigurationError | `kafka.security` |
| the topic does not exist | ConfigurationError | `vectrue init` |
| a partition has no leader: its brokers are away | TransientError | the command that shows them |
| no broker answers | TransientError | `kafka.bootstrap_servers` |

Hazard: a client that is not let in reports the reason through `error_cb`, while its
request only times out. So callers collect what `error_cb` said and pass it here.
"""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError

from connectors.kafka.rights import Right
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.settings.reading import Settings

_DENIED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_MISSING: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - so are the client's own errors called
}
_LEADERLESS: Final = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
}
_LOGIN: Final = {
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "UNSUPPORTED_SASL_MECHANISM",
}
_WRONG_OPTIONS: Final = {
    "CLUSTER_AUTHORIZATION_FAILED",
    "_INVALID_ARG",
    "_UNSUPPORTED_FEATURE",
}
# TLS that breaks off for another reason than these may be the network's fault.
_WRONG_TLS: Final = (
    "certificate",
    "wrong version number",
    "alert",
    "unsupported protocol",
    "no protocols available",
)


def reason(problem: KafkaError) -> str:
    """What a client says of an error.

    Returns:
        its words; its name where there are none, because some answers of a broker carry
        a code alone. Never empty.
    """
    words = str(problem.str()).strip()
    if words and not words.endswith(":"):
        return words
    return f"{words} {problem.name()}".strip()


def is_denied(problem: KafkaError) -> bool:
    """Whether this user has no right to what it asked for."""
    return problem.code() in _DENIED


def is_missing(problem: KafkaError) -> bool:
    """Whether the topic does not exist."""
    return problem.code() in _MISSING


def is_login(problem: KafkaError) -> bool:
    """Whether the broker rejects the login: the password, the user or the mechanism."""
    return problem.name() in _LOGIN or "uthentication fail" in reason(problem)


def is_refusal(problem: KafkaError) -> bool:
    """Whether the settings of the connection are wrong, so that no retry helps."""
    if is_login(problem) or problem.name() in _WRONG_OPTIONS:
        return True
    why = reason(problem)
    return problem.name() == "_SSL" and any(word in why for word in _WRONG_TLS)


def error_of(
    settings: Settings,
    problem: KafkaError,
    right: Right,
    what: str | None = None,
    said: Sequence[KafkaError] = (),
) -> VectrueError:
    """What an error of a client is for us.

    Args:
        settings: how it was connected.
        problem: the error.
        right: what was asked for, on which topic or group.
        what: what could not be done, for other errors; None: no broker answers.
        said: what the client said through `error_cb` meanwhile.

    Returns:
        the error to raise, as the table of this module has it.
    """
    if is_denied(problem):
        return permission_denied(settings, [right])
    # It follows from the reason, which the client said before it.
    told = [one for one in said if one.name() != "_ALL_BROKERS_DOWN"]
    for one in (*told, problem):
        if is_refusal(one):
            return refused(settings, one)
    if is_missing(problem) and right.resource == "topic":
        return missing_topic(right.name)
    if problem.code() in _LEADERLESS:
        return leaderless(settings, right.name)
    return _unanswered(settings, reason(told[-1] if told else problem), what)


def _unanswered(settings: Settings, why: str, what: str | None) -> TransientError:
    if what is None:
        what = f"Kafka does not answer at {settings.kafka.bootstrap_servers}"
    return TransientError(
        f"{what} ({why})",
        fix="check kafka.bootstrap_servers, kafka.security and that the broker runs",
    )


def permission_denied(settings: Settings, missing: Sequence[Right]) -> ConfigurationError:
    """The error for rights that this user does not have.

    Args:
        settings: tells the user.
        missing: the rights; the fix holds the command that grants each.
    """
    user = settings.kafka.security.get("sasl.username")
    servers = settings.kafka.bootstrap_servers
    names: list[str] = []
    commands: list[str] = []
    for right in missing:
        names.append(str(right))
        commands.append(right.command(user or "NAME", servers))
    who = f"user {user}" if user else "this client"
    return ConfigurationError(
        f"permission denied by Kafka: {who} lacks {', '.join(names)}",
        fix="; ".join(commands),
    )


def refused(settings: Settings, problem: KafkaError) -> ConfigurationError:
    """The error for a connection that the broker does not accept as it is configured."""
    servers = settings.kafka.bootstrap_servers
    if is_login(problem):
        return ConfigurationError(
            f"Kafka rejected the login to {servers} ({reason(problem)})",
            fix="correct the user name, password and mechanism in kafka.security",
        )
    return ConfigurationError(
        f"Kafka refuses the connection to {servers} ({reason(problem)})",
        fix="correct kafka.security",
    )


def missing_topic(topic: str) -> ConfigurationError:
    """The error for a topic that does not exist."""
    return ConfigurationError(f"topic {topic} does not exist", fix="run `vectrue init`")


def leaderless(settings: Settings, topic: str, partitions: Sequence[int] = ()) -> TransientError:
    """The error for partitions whose brokers are all away, while others answer.

    Args:
        settings: tells the brokers to ask.
        topic: theirs.
        partitions: their numbers; none when they are not known.
    """
    which = "a partition"
    if partitions:
        which = f"partition {', '.join(str(number) for number in partitions)}"
    servers = settings.kafka.bootstrap_servers
    return TransientError(
        f"topic {topic} has no leader for {which}",
        fix=(
            f"start the brokers that `kafka-topics --bootstrap-server {servers} --describe "
            f"--topic {topic}` names"
        ),
    )
