"""The topics that `init` creates, with explicit partitions and retention.

Brokers need not create any by themselves.

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
from connectors.kafka import acls, client, errors, rights
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

_ANSWER_SECONDS = 10.0
_HOUR_MS = 3_600_000
_DEAD_LETTER_HOURS = 30 * 24
"""Long enough for a person to come back from a holiday."""
_HEARTBEAT_HOURS = 1
_CANARY_HOURS = 6
"""Only the newest beats say something."""
_WRONG_SETTINGS = {"INVALID_REPLICATION_FACTOR", "POLICY_VIOLATION"}
"""Errors of a new topic, by librdkafka's names, that no retry fixes."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A wanted topic, times in hours; what is None is the broker's own default."""

    partitions: int
    retention_hours: int
    max_record_bytes: int | None = None
    segment_hours: int | None = None


def wanted(settings: Settings, tables: Sequence[TableName]) -> dict[str, Topic]:
    """The topics of these tables and of the lanes, by name."""
    lanes = Topic(settings.kafka.partitions, settings.kafka.retention_hours)
    prefix = settings.kafka.topic_prefix
    topics: dict[str, Topic] = {}
    for table in tables:
        topics[table.topic(prefix)] = lanes
    topics[settings.replay_topic] = lanes
    topics[settings.deferred_topic] = lanes
    topics[settings.dead_letter_topic] = Topic(
        1, _DEAD_LETTER_HOURS, settings.dead_letters.max_record_bytes
    )
    # Only closed segments expire, and a broker closes one after a week.
    topics[settings.canary_topic] = Topic(1, _CANARY_HOURS, segment_hours=1)
    topics[f"__debezium-heartbeat.{prefix}"] = Topic(1, _HEARTBEAT_HOURS)
    return topics


def existing(settings: Settings) -> dict[str, int]:
    """Partitions of every topic there is.

    Raises:
        TransientError: no broker answers within 10 s.
        ConfigurationError: the broker refuses us, or a security option is wrong.
    """
    _, listed = _admin(settings)
    found: dict[str, int] = {}
    for name, topic in listed.items():
        # With an error: one that is being made or deleted.
        if topic.error is None:
            found[name] = len(topic.partitions)
    return found


def missing(settings: Settings, names: Sequence[str]) -> list[str]:
    """Those of the names of which there is no topic.

    Raises:
        ConfigurationError: we may not see one of them; or as `existing`.
        TransientError: as `existing`.
    """
    admin, listed = _admin(settings)
    absent: list[str] = []
    for name in names:
        if name in listed and listed[name].error is None:
            continue
        # The list of all topics leaves out those that we may not see: ask by name.
        if not _is_there(settings, admin, name):
            absent.append(name)
    return absent


def _is_there(settings: Settings, admin: AdminClient, name: str) -> bool:
    (future,) = admin.describe_topics(
        TopicCollection([name]), request_timeout=_ANSWER_SECONDS
    ).values()
    try:
        future.result()
    except KafkaException as error:
        problem = error.args[0]
        if errors.is_missing(problem):
            return False
        right = Right("topic", name, "DESCRIBE")
        what = f"topic {name} cannot be looked at"
        raise errors.error_of(settings, problem, right, what) from error
    return True


def differing(settings: Settings, tables: Sequence[TableName]) -> list[str]:
    """A notice for each topic whose partition count is not the configured one.

    It stays as it is. Raises as `existing`.
    """
    there = existing(settings)
    notices: list[str] = []
    for name, topic in wanted(settings, tables).items():
        count = there.get(name, topic.partitions)
        if count != topic.partitions:
            notices.append(
                f"topic {name} has {count} partitions, not {topic.partitions}; it is "
                "kept so, since another count would break the order of a key's events"
            )
    return notices


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
    admin, _ = _admin(settings)
    lacking = acls.lacking(admin, needed, names)
    if lacking:
        raise errors.permission_denied(settings, lacking)


def check(settings: Settings, tables: Sequence[TableName]) -> None:
    """Whether `ensure` would succeed; creates nothing. Raises as `ensure`."""
    topics = wanted(settings, tables)
    init_rights = rights.of("init", settings.kafka.topic_prefix)
    require_rights(settings, init_rights, list(topics))
    admin, there = _admin(settings)
    absent = _absent(topics, there)
    if absent:
        _create(settings, admin, absent, validate_only=True)


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
    absent = _absent(wanted(settings, tables), there)
    if not absent:
        return []
    created = _create(settings, admin, absent)
    deadline = clock.monotonic() + _ANSWER_SECONDS
    # A topic that is created but not yet in the metadata is left out of a consumer's
    # first assignment.
    while unseen := missing(settings, list(absent)):
        if clock.monotonic() > deadline:
            raise TransientError(
                f"Kafka does not show topic {unseen[0]}, which was just created",
                fix="run it again",
            )
        clock.wait(0.1)
    return created


def _absent(topics: Mapping[str, Topic], there: Mapping[str, Any]) -> dict[str, Topic]:
    absent = dict(topics)
    for name in there:
        absent.pop(name, None)
    return absent


def _create(
    settings: Settings,
    admin: AdminClient,
    absent: Mapping[str, Topic],
    *,
    validate_only: bool = False,
) -> list[str]:
    """Create topics, or have the broker check whether it would.

    Returns:
        the names of those that it took.
    """
    factor = settings.kafka.replication_factor
    new = [
        NewTopic(name, topic.partitions, factor, config=_config(topic))
        for name, topic in absent.items()
    ]
    answers = admin.create_topics(
        new, operation_timeout=_ANSWER_SECONDS, validate_only=validate_only
    )
    created: list[str] = []
    for name, future in answers.items():
        if _is_created(settings, name, future):
            created.append(name)
    return created


def _config(topic: Topic) -> dict[str, str]:
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_hours * _HOUR_MS),
    }
    # A dead letter is its event and six headers: in a topic with the limit of the
    # event's it might not fit.
    if topic.max_record_bytes:
        config["max.message.bytes"] = str(topic.max_record_bytes)
    if topic.segment_hours:
        config["segment.ms"] = str(topic.segment_hours * _HOUR_MS)
    return config


def _is_created(settings: Settings, name: str, future: Any) -> bool:
    """Whether the broker took the topic; False where another `init` was faster."""
    try:
        future.result()
    except KafkaException as error:
        problem = error.args[0]
        if problem.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise _not_created(settings, name, problem) from error
    return True


def _not_created(settings: Settings, name: str, problem: KafkaError) -> VectrueError:
    if errors.is_denied(problem):
        lacking: list[Right] = []
        for right in rights.of("init", settings.kafka.topic_prefix):
            is_about_it = name.startswith(right.name)
            if right.operation == "CREATE" and is_about_it:
                lacking.append(right)
        return errors.permission_denied(settings, lacking)
    what = f"topic {name} cannot be created"
    if problem.name() in _WRONG_SETTINGS:
        return ConfigurationError(
            f"{what} ({errors.reason(problem)})", fix="check [kafka] in the settings"
        )
    return errors.error_of(settings, problem, Right("topic", name, "CREATE"), what)


def _admin(settings: Settings) -> tuple[AdminClient, Mapping[str, Any]]:
    """A client and the topics it sees, which shows that the broker answers."""
    said: list[KafkaError] = []
    admin = client.opened(AdminClient, settings, error_cb=said.append)
    try:
        return admin, admin.list_topics(timeout=_ANSWER_SECONDS).topics
    except KafkaException as error:
        # The request itself only times out: the reason reaches `said` in a poll.
        admin.poll(0)
        right = Right("topic", f"{settings.kafka.topic_prefix}.", "DESCRIBE", prefixed=True)
        raise errors.error_of(settings, error.args[0], right, said=said) from error
