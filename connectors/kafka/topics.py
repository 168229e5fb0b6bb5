"""The topics that `init` creates, with explicit partitions and retention. Brokers need not create any by themselves.

Hazard: the partition count of a topic that exists is never changed: the order of a key's events would break.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # NewTopic is exported without saying so
    AdminClient,
    NewTopic,
)

from connectors.clock import SystemClock
from connectors.kafka.outbox import client_config
from connectors.ports import Clock
from schemas.errors import ConfigurationError, EmbedsyncError, TransientError
from schemas.settings import Settings
from schemas.table import TableName

_ANSWER_SECONDS = 10.0
_HOUR_MS = 3_600_000
_DEAD_LETTER_HOURS = 30 * 24
"""Long enough for a person to come back from a holiday."""
_HEARTBEAT_HOURS = 1
_WRONG_SETTINGS = {
    "_AUTHENTICATION",
    "_INVALID_ARG",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "INVALID_REPLICATION_FACTOR",
    "POLICY_VIOLATION",
}
"""Errors, by librdkafka's names, that no retry mends."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A wanted topic; retention in hours; the broker's own limit of a record's size where none is given."""

    partitions: int
    retention_hours: int
    max_record_bytes: int | None = None


def wanted(settings: Settings, tables: Sequence[TableName]) -> dict[str, Topic]:
    """The topics of these tables and of the lanes, by name."""
    lanes = Topic(settings.kafka.partitions, settings.kafka.retention_hours)
    prefix = settings.kafka.topic_prefix
    return {
        **{table.topic(prefix): lanes for table in tables},
        settings.replay_topic: lanes,
        settings.deferred_topic: lanes,
        settings.dead_letter_topic: Topic(1, _DEAD_LETTER_HOURS, settings.dead_letters.max_record_bytes),
        f"__debezium-heartbeat.{prefix}": Topic(1, _HEARTBEAT_HOURS),
    }


def existing(settings: Settings) -> dict[str, int]:
    """Partitions of every topic there is.

    Raises:
        TransientError: no broker answers within 10 s.
        ConfigurationError: the broker refuses us, or a security option is wrong.
    """
    listed = _admin(settings)[1]
    return {name: len(topic.partitions) for name, topic in listed.items() if topic.error is None}


def missing(settings: Settings, names: Sequence[str]) -> list[str]:
    """Those of the names that are no topic. Raises as `existing`."""
    there = existing(settings)
    return [name for name in names if name not in there]


def differing(settings: Settings, tables: Sequence[TableName]) -> list[str]:
    """A notice for each topic whose partition count is not the configured one; it stays as it is."""
    there = existing(settings)
    return [
        f"topic {name} has {there[name]} partitions, not {topic.partitions}; it is kept so, since another count would "
        "break the order of a key's events"
        for name, topic in wanted(settings, tables).items()
        if name in there and there[name] != topic.partitions
    ]


def ensure(settings: Settings, tables: Sequence[TableName], clock: Clock | None = None) -> list[str]:
    """Create what is missing, and return when the broker shows it.

    Returns:
        names of the created topics.

    Raises:
        TransientError: no broker answers.
        ConfigurationError: the broker refuses us or the settings of a topic.
    """
    clock = clock or SystemClock()
    admin, there = _admin(settings)
    absent = {name: topic for name, topic in wanted(settings, tables).items() if name not in there}
    if not absent:
        return []
    created = [name for name, future in _create(admin, settings, absent).items() if _is_created(name, future)]
    deadline = clock.monotonic() + _ANSWER_SECONDS
    # A topic that is created but not yet in the metadata is left out of a consumer's first assignment.
    while unseen := missing(settings, list(absent)):
        if clock.monotonic() > deadline:
            raise TransientError(f"Kafka does not show topic {unseen[0]}, which was just created", fix="run it again")
        clock.wait(0.1)
    return created


def _create(admin: AdminClient, settings: Settings, absent: Mapping[str, Topic]) -> Mapping[str, Any]:
    factor = settings.kafka.replication_factor
    new = [NewTopic(name, topic.partitions, factor, config=_config(topic)) for name, topic in absent.items()]
    created: Mapping[str, Any] = admin.create_topics(new, operation_timeout=_ANSWER_SECONDS)
    return created


def _config(topic: Topic) -> dict[str, str]:
    config = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_hours * _HOUR_MS)}
    # A dead letter is its event and six headers: in a topic with the limit of the event's it might not fit.
    return config | ({"max.message.bytes": str(topic.max_record_bytes)} if topic.max_record_bytes else {})


def _is_created(name: str, future: Any) -> bool:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False  # somebody was faster
        raise _translate(error, f"topic {name} cannot be created") from error
    return True


def _admin(settings: Settings) -> tuple[AdminClient, Mapping[str, Any]]:
    """A client and the topics it sees, which shows that the broker answers."""
    reasons: list[str] = []
    try:
        admin = AdminClient(client_config(settings, error_cb=lambda error: reasons.append(error.str())))
        return admin, admin.list_topics(timeout=_ANSWER_SECONDS).topics
    except KafkaException as error:
        why = f" ({reasons[-1]})" if reasons else ""
        raise _translate(error, f"Kafka does not answer at {settings.kafka.bootstrap_servers}{why}") from error


def _translate(error: KafkaException, what: str) -> EmbedsyncError:
    cause = error.args[0]
    if cause.name() in _WRONG_SETTINGS:
        return ConfigurationError(f"{what} ({cause.str()})", fix="check [kafka] in the settings")
    return TransientError(f"{what} ({cause.str()})", fix="check kafka.bootstrap_servers and the broker")
