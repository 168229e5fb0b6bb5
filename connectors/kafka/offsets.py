"""Offsets of consumer groups, read from outside.

That is what is committed, log start and log end, who reads, and the record that waits.
From the broker through the admin API, never from Faust's monitor: that one learns the
log end only from records it is given, so a stuck worker looks caught up there.

Hazard: the order of the reads is a rule, see `KafkaOffsets.read`.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from typing_extensions import override

from connectors.kafka import errors, lag_rows, probe
from connectors.kafka.admin import RenewingAdmin
from connectors.kafka.commits import GroupCommits
from connectors.kafka.group import ConsumerGroup, describe
from connectors.kafka.lag_rows import LogBounds, Unread
from connectors.kafka.probe import Place
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import TransientError
from schemas.health.lag import GroupLag
from schemas.messages.record import Record
from schemas.settings.reading import Settings

FIRST_ANSWER_SECONDS = 5.0  # until a broker that does not answer is given up
ANSWER_SECONDS = 3.0  # for each later request, once a broker has answered
# Kafka's Uuid of zeros, from brokers that know no ids
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # untyped in the client
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the same


class Offsets(Protocol):
    """Where consumer groups stand. Blocks for seconds at most; one thread."""

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """Read the groups over their topics.

        Time lags and statuses are left for the caller to fill in. What cannot be read
        costs its row an `error`, never the call. A topic that does not exist is one row
        without partition; a group that does not exist has state None, no members and no
        commits.

        Args:
            groups: topics by group id.

        Raises:
            TransientError: no broker answers.
            ConfigurationError: the broker refuses us, or a security option is wrong.
        """
        ...

    def records_at(
        self, places: Mapping[Place, int], *, timeout: float
    ) -> Mapping[Place, Record | None]:
        """The first record at or after an offset, for each partition.

        Args:
            places: an offset by topic and partition, not before the log start.
            timeout: seconds for all of them together.

        Returns:
            the record; None when the log ends without another one (transaction markers
            occupy offsets). A partition that could not be read in time is left out.
        """
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class KafkaOffsets(Offsets):
    """`Offsets` over a real broker."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._admin = RenewingAdmin(settings)
        self._commits = GroupCommits(settings)

    @override
    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        topics: set[str] = set()
        for asked in groups.values():
            topics.update(asked)
        partitions = self._partitions(sorted(topics))
        places = _places(partitions, partitions)
        # Log starts before commits: a commit below the start is then certainly lost.
        starts = self._log_offsets(places, _EARLIEST)
        commits: dict[str, lag_rows.Commits] = {}
        for group, asked in groups.items():
            commits[group] = self._committed(group, _places(partitions, asked))
        described: dict[str, ConsumerGroup | Unread] = {}
        for group in groups:
            described[group] = self._described(group)
        # Log ends after commits: the lag is then never negative.
        bounds = LogBounds(starts, self._log_offsets(places, _LATEST))
        found: dict[str, GroupLag] = {}
        for group, asked in groups.items():
            rows = lag_rows.rows(asked, partitions, bounds, commits[group])
            found[group] = lag_rows.group(group, rows, described[group])
        return found

    def client_ids(self, group: str) -> set[str]:
        """Client ids of a group's members.

        Raises:
            TransientError: the broker did not tell.
            ConfigurationError: we may not see the group.
        """
        described = self._described(group)
        if not isinstance(described, Unread):
            return {member.client_id for member in described.members}
        if described.is_denied:
            right = Right("group", group, "DESCRIBE")
            raise errors.permission_denied(self._settings, [right])
        raise TransientError(
            f"group {group} cannot be described ({described.reason})", fix="run it again"
        )

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str | None]:
        """The ids that Kafka gave these topics.

        Returns:
            the id by topic: empty from a broker that gives none; None for a topic that
            is missing.

        Raises:
            TransientError: no broker answers.
            ConfigurationError: the broker refuses us, or does not let us see a topic.
        """
        found: dict[str, str | None] = {}
        for topic, future in self._topics(topics).items():
            try:
                given = str(future.result().topic_id)
            except KafkaException as error:
                problem = error.args[0]
                if not errors.is_missing(problem):
                    raise self._admin.away(problem, topic) from error
                found[topic] = None
            else:
                found[topic] = "" if given == _NO_ID else given
        return found

    def set_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group that has no member.

        Raises:
            TransientError: the broker did not take them; while the group has a member
                it does not.
            ConfigurationError: this user has no right to it.
        """
        self._commits.set(group, offsets)

    @override
    def records_at(
        self, places: Mapping[Place, int], *, timeout: float
    ) -> Mapping[Place, Record | None]:
        return probe.first_records(self._settings, places, timeout, self._clock)

    @override
    def close(self) -> None:
        self._admin.close()
        self._commits.close()

    def _topics(self, topics: Sequence[str]) -> "Mapping[str, Future[Any]]":
        asked: Mapping[str, Future[Any]] = self._admin.client().describe_topics(
            TopicCollection(list(topics)), request_timeout=FIRST_ANSWER_SECONDS
        )
        return asked

    def _partitions(self, topics: Sequence[str]) -> dict[str, list[int] | Unread]:
        """Partition numbers of each topic, or why it has none."""
        if not topics:
            return {}
        answers: dict[str, list[int] | Unread] = {}
        for topic, future in self._topics(topics).items():
            try:
                partitions = future.result().partitions
            except KafkaException as error:
                answers[topic] = self._no_topic(topic, error)
            else:
                answers[topic] = sorted(partition.id for partition in partitions)
        self._admin.answered()
        # In the order of the question, which the answers do not keep.
        found: dict[str, list[int] | Unread] = {}
        for topic in topics:
            found[topic] = answers[topic]
        return found

    def _no_topic(self, topic: str, error: KafkaException) -> Unread:
        problem = error.args[0]
        if errors.is_missing(problem):
            return Unread(str(errors.missing_topic(topic)), is_missing=True)
        if errors.is_denied(problem):
            return self._denied("topic", topic)
        raise self._admin.away(problem, topic) from error

    def _log_offsets(self, places: Sequence[Place], spec: OffsetSpec) -> dict[Place, int | Unread]:
        """Where each log begins or ends, or why that is not known."""
        if not places:
            return {}
        asked: dict[TopicPartition, OffsetSpec] = {}
        for place in places:
            asked[TopicPartition(*place)] = spec
        # read_uncommitted, as Faust's consumer has it: otherwise an open transaction
        # looks like lag.
        answers = self._admin.client().list_offsets(
            asked,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ANSWER_SECONDS,
        )
        found: dict[Place, int | Unread] = {}
        for key, future in answers.items():
            try:
                offset = future.result().offset
            except KafkaException as error:
                found[key.topic, key.partition] = Unread(self._admin.reason(error))
            else:
                found[key.topic, key.partition] = _log_offset(offset)
        return found

    def _committed(self, group: str, places: Sequence[Place]) -> lag_rows.Commits:
        """What the group committed, or why that is not known."""
        if not places:
            return {}
        try:
            return self._commits.read(group, places, ANSWER_SECONDS)
        except KafkaException as error:
            problem = error.args[0]
            if errors.is_denied(problem):
                return self._denied("group", group)
            return Unread(errors.reason(problem))

    def _described(self, group: str) -> ConsumerGroup | Unread:
        """The group, or why it is not known."""
        try:
            found = describe(self._admin.client(), group, ANSWER_SECONDS)
        except KafkaException as error:
            return Unread(self._admin.reason(error))
        if found.state is not None:
            return found
        # A group that we may not see is not listed, like one that does not exist: so
        # this one is asked for by its name.
        (future,) = (
            self._admin.client()
            .describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)
            .values()
        )
        try:
            future.result()
        except KafkaException as error:
            if errors.is_denied(error.args[0]):
                return self._denied("group", group)
            return Unread(self._admin.reason(error))
        return found

    def _denied(self, resource: Literal["topic", "group"], name: str) -> Unread:
        right = Right(resource, name, "DESCRIBE")
        error = errors.permission_denied(self._settings, [right])
        return Unread(str(error), is_denied=True)


def _places(partitions: lag_rows.Partitions, topics: Collection[str]) -> list[Place]:
    """The partitions of these topics, as far as they could be read."""
    places: list[Place] = []
    for topic, numbers in partitions.items():
        if topic in topics and not isinstance(numbers, Unread):
            places += [(topic, number) for number in numbers]
    return places


def _log_offset(offset: int) -> int | Unread:
    # A broker that is starting may say -1001 without an error.
    if offset < 0:
        return Unread("the broker does not say where the log begins and ends")
    return offset
