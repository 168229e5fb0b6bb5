"""The topics that `init` creates, with explicit partitions and retention. Brokers need
not create any by themselves.

Hazard: the partition count of a topic that exists is never changed: the order of a
key's events would break.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # NewTopic is exported without saying so
    AdminClient,
    NewTopic,
)

from connectors.clock import SystemClock
from connectors.kafka import client, rights, security
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import ConfigurationError, TransientError
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

_ANSWER_SECONDS = 10.0
_HOUR_MS = 3_600_000
_DEAD_LETTER_HOURS = 30 * 24
"""Long enough for a person to come back from a holiday."""
_HEARTBEAT_HOURS = 1
_CANARY_HOURS = 6
"""Only the newest beats say something. Only closed segments expire, and a broker closes
one after a week.
"""
_WRONG_SETTINGS = {"INVALID_REPLICATION_FACTOR", "POLICY_VIOLATION"}
"""Errors of a new topic, by librdkafka's names, that no retry mends."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A wanted topic, times in hours; the broker's own size of a record and age of a
    segment where none is given.
    """

    partitions: int
    retention_hours: int
    max_record_bytes: int | None = None
    segment_hours: int | None = None


def wanted(settings: Settings, tables: Sequence[TableName]) -> dict[str, Topic]:
    """The topics of these tables and of the lanes, by name."""
    lanes = Topic(settings.kafka.partitions, settings.kafka.retention_hours)
    prefix = settings.kafka.topic_prefix
    return {
        **{table.topic(prefix): lanes for table in tables},
        settings.replay_topic: lanes,
        settings.deferred_topic: lanes,
        settings.dead_letter_topic: Topic(
            1, _DEAD_LETTER_HOURS, settings.dead_letters.max_record_bytes
        ),
        settings.canary_topic: Topic(1, _CANARY_HOURS, segment_hours=1),
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
    """Those of the names that are no topic.

    Raises:
        ConfigurationError: we may not see one of them, which the list of all leaves
            out; or as `existing`.
        TransientError: as `existing`.
    """
    admin, listed = _admin(settings)
    unseen = [name for name in names if name not in listed or listed[name].error is not None]
    return [name for name in unseen if not _is_there(settings, admin, name)]


def _is_there(settings: Settings, admin: AdminClient, name: str) -> bool:
    (future,) = admin.describe_topics(
        TopicCollection([name]), request_timeout=_ANSWER_SECONDS
    ).values()
    try:
        future.result()
    except KafkaException as error:
        problem = error.args[0]
        if client.is_missing(problem):
            return False
        what = f"topic {name} cannot be looked at"
        raise client.error_of(settings, problem, Right("topic", name, "DESCRIBE"), what) from error
    return True


def differing(settings: Settings, tables: Sequence[TableName]) -> list[str]:
    """A notice for each topic whose partition count is not the configured one; it stays
    as it is.
    """
    there = existing(settings)
    return [
        f"topic {name} has {there[name]} partitions, not {topic.partitions}; it is kept so, "
        "since another count would "
        "break the order of a key's events"
        for name, topic in wanted(settings, tables).items()
        if name in there and there[name] != topic.partitions
    ]


def require_rights(settings: Settings, needed: Sequence[Right], names: Sequence[str]) -> None:
    """Ask the broker whether it allows what is needed.

    Args:
        settings: how to connect, and as whom.
        needed: the rights; CREATE is not asked for.
        names: for a right on a prefix, the topics that it is needed for.

    Raises:
        ConfigurationError: a right is missing, with the command that grants it; or as
            `existing`.
        TransientError: as `existing`.
    """
    missing_rights = rights.lacking(_admin(settings)[0], needed, names)
    if missing_rights:
        raise rights.refusal(settings, missing_rights)


def check(settings: Settings, tables: Sequence[TableName]) -> None:
    """Whether `ensure` would succeed; creates nothing. Raises as `ensure`."""
    names = list(wanted(settings, tables))
    require_rights(settings, rights.of("init", settings.kafka.topic_prefix), names)
    admin, there = _admin(settings)
    absent = {name: topic for name, topic in wanted(settings, tables).items() if name not in there}
    if absent:
        for name, future in _create(admin, settings, absent, validate_only=True).items():
            _is_created(settings, name, future)


def ensure(
    settings: Settings, tables: Sequence[TableName], clock: Clock | None = None
) -> list[str]:
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
    created = [
        name
        for name, future in _create(admin, settings, absent).items()
        if _is_created(settings, name, future)
    ]
    deadline = clock.monotonic() + _ANSWER_SECONDS
    # A topic that is created but not yet in the metadata is left out of a consumer's
    # first assignment.
    while unseen := missing(settings, list(absent)):
        if clock.monotonic() > deadline:
            raise TransientError(
                f"Kafka does not show topic {unseen[0]}, which was just created", fix="run it again"
            )
        clock.wait(0.1)
    return created


def _create(
    admin: AdminClient,
    settings: Settings,
    absent: Mapping[str, Topic],
    *,
    validate_only: bool = False,
) -> Mapping[str, Any]:
    factor = settings.kafka.replication_factor
    new = [
        NewTopic(name, topic.partitions, factor, config=_config(topic))
        for name, topic in absent.items()
    ]
    created: Mapping[str, Any] = admin.create_topics(
        new, operation_timeout=_ANSWER_SECONDS, validate_only=validate_only
    )
    return created


def _config(topic: Topic) -> dict[str, str]:
    config = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_hours * _HOUR_MS)}
    # A dead letter is its event and six headers: in a topic with the limit of the
    # event's it might not fit.
    config |= {"max.message.bytes": str(topic.max_record_bytes)} if topic.max_record_bytes else {}
    return config | (
        {"segment.ms": str(topic.segment_hours * _HOUR_MS)} if topic.segment_hours else {}
    )


def _is_created(settings: Settings, name: str, future: Any) -> bool:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False  # somebody was faster
        if client.is_denied(error.args[0]):
            known = [
                right
                for right in rights.of("init", settings.kafka.topic_prefix)
                if right.operation == "CREATE"
            ]
            raise rights.refusal(
                settings, [right for right in known if name.startswith(right.name)]
            ) from error
        what = f"topic {name} cannot be created"
        if error.args[0].name() in _WRONG_SETTINGS:
            sentence = f"{what} ({security.reason(error.args[0])})"
            raise ConfigurationError(sentence, fix="check [kafka] in the settings") from error
        raise client.error_of(
            settings, error.args[0], Right("topic", name, "CREATE"), what
        ) from error
    return True


def _admin(settings: Settings) -> tuple[AdminClient, Mapping[str, Any]]:
    """A client and the topics it sees, which shows that the broker answers."""
    said: list[KafkaError] = []
    admin = client.opened(AdminClient, settings, error_cb=said.append)
    try:
        return admin, admin.list_topics(timeout=_ANSWER_SECONDS).topics
    except KafkaException as error:
        admin.poll(0)  # hands over what it said: the request itself only times out
        right = Right("topic", f"{settings.kafka.topic_prefix}.", "DESCRIBE", prefixed=True)
        raise client.error_of(settings, error.args[0], right, said=said) from error
