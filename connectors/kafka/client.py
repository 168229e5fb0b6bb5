"""Clients of Kafka: how each is opened, and how a topic that does not answer is examined.

Hazard: opening a client connects nothing. A wrong address or password shows at the
first request, see `errors`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from connectors.kafka import errors
from connectors.kafka.rights import Right
from schemas.errors import ConfigurationError, VectrueError
from schemas.settings.reading import Settings

T = TypeVar("T")

_ANSWER_SECONDS = 10.0


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
    """Make a client of this kind; nothing is connected yet.

    Raises:
        ConfigurationError: `kafka.security` holds an option that it does not take.
    """
    try:
        return kind(client_config(settings, **options))
    # TypeError and ValueError come from options that want a function.
    except (KafkaException, TypeError, ValueError) as error:
        is_kafka = isinstance(error, KafkaException)
        why = errors.reason(error.args[0]) if is_kafka else str(error)
        raise ConfigurationError(
            f"kafka.security holds an option that the Kafka client refuses ({why})",
            fix="correct kafka.security",
        ) from error


def look(settings: Settings, right: Right) -> VectrueError | None:
    """Ask what is wrong with a topic that did not answer, by a client of its own.

    Args:
        settings: how to connect.
        right: what was asked for, on which topic.

    Returns:
        the error to raise; None where nothing is wrong that can be seen.
    """
    said: list[KafkaError] = []
    admin = opened(AdminClient, settings, error_cb=said.append)
    (future,) = admin.describe_topics(
        TopicCollection([right.name]), request_timeout=_ANSWER_SECONDS
    ).values()
    try:
        partitions = future.result().partitions
    except KafkaException as error:
        # What the client said reaches `said` in a poll only.
        admin.poll(0)
        return errors.error_of(settings, error.args[0], right, said=said)
    lost: list[int] = []
    for partition in partitions:
        if partition.leader is None:
            lost.append(partition.id)
    return errors.leaderless(settings, right.name, lost) if lost else None
