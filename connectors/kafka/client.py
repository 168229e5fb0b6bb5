"""Clients of Kafka, and the one way from their errors to ours: each thing that may be
wrong has a sentence of its own.

| what is wrong | what is raised | the fix names |
|---|---|---|
| this user may not do it | ConfigurationError | the right, and the command that grants it |
| the broker does not let us in: password, certificate | ConfigurationError | `kafka.security` |
| there is no such topic | ConfigurationError | `vectrue init` |
| a partition has no leader: its brokers are away | TransientError | the command that shows them |
| no broker answers | TransientError | `kafka.bootstrap_servers` |

Hazard: a client that is not let in says so on the side (`error_cb`), while its request
only times out.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from connectors.kafka import rights, security
from connectors.kafka.rights import Right
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.settings.reading import Settings

T = TypeVar("T")

_ANSWER_SECONDS = 10.0
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


def client_config(settings: Settings, **more: object) -> dict[str, Any]:
    """Options that every confluent-kafka client of ours gets."""
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": "vectrue",
        # no line on stderr per failed attempt: errors reach us as exceptions
        "log_level": 2,
        **settings.kafka.security,
        **more,
    }


def opened(kind: Callable[[dict[str, Any]], T], settings: Settings, **options: object) -> T:
    """A client of this kind; nothing is connected yet.

    Raises:
        ConfigurationError: `kafka.security` holds an option that it does not take.
    """
    try:
        return kind(client_config(settings, **options))
    # the latter two of options that want a function
    except (KafkaException, TypeError, ValueError) as error:
        why = security.reason(error.args[0]) if isinstance(error, KafkaException) else str(error)
        raise ConfigurationError(
            f"kafka.security holds an option that the Kafka client refuses ({why})",
            fix="correct kafka.security",
        ) from error


def is_denied(problem: KafkaError) -> bool:
    """Whether the broker does not allow it to this user."""
    return problem.code() in _DENIED


def is_missing(problem: KafkaError) -> bool:
    """Whether there is no such topic."""
    return problem.code() in _MISSING


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
        what: what could not be done, for an error that is none of the known ones; that
            no broker answers, when None.
        said: what the client said on the side meanwhile.

    Returns:
        the error to raise, as the table of this module has it.
    """
    servers = settings.kafka.bootstrap_servers
    if is_denied(problem):
        return rights.refusal(settings, [right])
    told = [one for one in said if one.name() != "_ALL_BROKERS_DOWN"]
    for one in (*told, problem):
        if security.is_refusal(one.name(), security.reason(one)):
            sentence = f"Kafka refuses the connection to {servers} ({security.reason(one)})"
            return ConfigurationError(sentence, fix="correct kafka.security")
    if is_missing(problem) and right.resource == "topic":
        return ConfigurationError(f"topic {right.name} does not exist", fix="run `vectrue init`")
    if problem.code() in _LEADERLESS:
        return leaderless(settings, right.name)
    why = security.reason(told[-1]) if told else security.reason(problem)
    fix = "check kafka.bootstrap_servers, kafka.security and that the broker runs"
    return TransientError(f"{what or f'Kafka does not answer at {servers}'} ({why})", fix=fix)


def leaderless(settings: Settings, topic: str, partitions: Sequence[int] = ()) -> TransientError:
    """The error for partitions whose brokers are all away, while others answer."""
    which = f"partition {', '.join(map(str, partitions))}" if partitions else "a partition"
    servers = settings.kafka.bootstrap_servers
    return TransientError(
        f"topic {topic} has no leader for {which}",
        fix=(
            f"start the brokers that `kafka-topics --bootstrap-server {servers} --describe "
            f"--topic {topic}` names"
        ),
    )


def look(settings: Settings, right: Right) -> VectrueError | None:
    """What is wrong with a topic that did not answer, asked by a client of its own;
    None: nothing that it can see.
    """
    said: list[KafkaError] = []
    admin = opened(AdminClient, settings, error_cb=said.append)
    (future,) = admin.describe_topics(
        TopicCollection([right.name]), request_timeout=_ANSWER_SECONDS
    ).values()
    try:
        partitions = future.result().partitions
    except KafkaException as error:
        admin.poll(0)  # hands over what it said
        return error_of(settings, error.args[0], right, said=said)
    lost = [partition.id for partition in partitions if partition.leader is None]
    return leaderless(settings, right.name, lost) if lost else None
