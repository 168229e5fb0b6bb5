"""Offsets of consumer groups, read from outside: committed, log start, log end, who
reads, and the record that waits.

From the broker through the admin API, never from Faust's monitor: that one learns the
log end only from records it is given, so a stuck worker looks caught up there.

Hazards:
- The order of the reads is a rule. Log starts before commits: a commit below the start
  is then certainly lost. Log ends after commits: the lag is then never negative.
- A client may stay deaf for long after its broker was killed (seen: describing a group
  timed out again and again). So after any answer that its own library gave in place of
  the broker (a timeout, a lost connection) it is renewed.
- Commits are asked by a consumer that never subscribes, one per group, not by the admin
  client: with a coordinator that is still loading after a broker's restart,
  `list_consumer_group_offsets` ends the process with a segmentation fault (librdkafka
  2.16.0, rd_kafka_handle_OffsetFetch: it tells the client's group to look for the
  coordinator, and an admin client has no group).
- Isolation is read_uncommitted, as Faust's consumer has it: otherwise an open
  transaction looks like lag.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from connectors.kafka import client, probe, rights, security
from connectors.kafka.group import ConsumerGroup, describe
from connectors.kafka.probe import Place
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import TransientError, VectrueError
from schemas.health.lag import GroupLag, Member, PartitionLag
from schemas.messages.record import Record
from schemas.settings.reading import Settings

FIRST_ANSWER_SECONDS = 5.0  # until a broker that does not answer is given up
ANSWER_SECONDS = 3.0  # for each later request, once a broker has answered
_NO_OFFSET = -1001  # librdkafka's RD_KAFKA_OFFSET_INVALID: nothing committed
# Kafka's Uuid of zeros, from brokers that know no ids
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # untyped in the client
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
_ASKER = {
    "enable.auto.commit": False,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
}


class Offsets(Protocol):
    """Where consumer groups stand. Blocks for seconds at most; one thread."""

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """Read the groups over their topics; time lags and statuses are left for the
        caller to fill in.

        What cannot be read costs its row an `error`, never the call. A topic that does
        not exist is one row without partition; a group that does not exist has state
        None, no members and no commits.

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
        """Read the first record at or after an offset, for several partitions at once.

        Args:
            places: offset by partition; one below the log start counts as the log
                start.
            timeout: seconds for all of them.

        Returns:
            the record; None when the log ends without another one (transaction markers
            occupy offsets). A partition that could not be read in time is left out.
        """
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


_REMEMBERED = 8  # of what a client says on the side: it may be open for weeks


class _Denied(str):
    """Why a topic or group is not known: we may not see it."""


class _Missing(str):
    """Why a topic has no partitions: it does not exist."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the admin API answered, an error in the place of each answer that failed."""

    starts: Mapping[Place, int | str]
    ends: Mapping[Place, int | str]


def _told(offset: int) -> int | str:
    """An end of a log, or that it is not known: of a broker that is starting librdkafka
    says -1001, and no error.
    """
    return offset if offset >= 0 else "the broker does not say where the log begins and ends"


class KafkaOffsets:
    """`Offsets` over a real broker."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Remember how to connect; nothing is opened yet."""
        self._settings = settings
        self._clock = clock
        self._admin: AdminClient | None = None
        self._said: deque[KafkaError] = deque(maxlen=_REMEMBERED)
        self._is_deaf = False
        self._askers: dict[str, Consumer] = {}

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """As the port says."""
        topics = sorted({topic for asked in groups.values() for topic in asked})
        partitions = self._partitions(topics)
        places = [
            (topic, number)
            for topic, found in partitions.items()
            if not isinstance(found, str)
            for number in found
        ]
        starts = self._log_offsets(places, _EARLIEST)
        commits = self._commits(
            {group: [p for p in places if p[0] in asked] for group, asked in groups.items()}
        )
        described = {group: self._visible(group, self._description(group)) for group in groups}
        facts = _Facts(starts, self._log_offsets(places, _LATEST))
        return {
            group: _group(group, _rows(asked, partitions, facts, commits[group]), described[group])
            for group, asked in groups.items()
        }

    def client_ids(self, group: str) -> set[str]:
        """Client ids of a group's members.

        Raises:
            TransientError: the broker did not tell.
            ConfigurationError: we may not see the group.
        """
        described = self._visible(group, self._description(group))
        if isinstance(described, _Denied):
            raise rights.refusal(self._settings, [Right("group", group, "DESCRIBE")])
        if isinstance(described, str):
            raise TransientError(
                f"group {group} cannot be described ({described})", fix="run it again"
            )
        return {member.client_id for member in described.members}

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str | None]:
        """The ids that Kafka gave these topics: empty from a broker that gives none;
        None for one that is missing.

        Raises:
            TransientError: no broker answers.
            ConfigurationError: the broker refuses us, or does not let us see a topic.
        """
        asked = self._open().describe_topics(
            TopicCollection(list(topics)), request_timeout=FIRST_ANSWER_SECONDS
        )
        found: dict[str, str | None] = {}
        for topic, future in asked.items():
            try:
                given = str(future.result().topic_id)
                found[topic] = "" if given == _NO_ID else given
            except KafkaException as error:
                if not client.is_missing(error.args[0]):
                    raise self._away(error.args[0], topic) from error
                found[topic] = None
        return found

    def set_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group that has no member.

        Raises:
            TransientError: the broker did not take them; while the group has a member
                it does not.
            ConfigurationError: this user may not.
        """
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        try:
            answers = self._asker(group).commit(offsets=places, asynchronous=False)
            refused = next((one.error for one in answers or () if one.error is not None), None)
        except KafkaException as error:
            refused = error.args[0]
        if refused is not None:
            self._forget_asker(group)
            what = f"the offsets of group {group} could not be set"
            raise client.error_of(self._settings, refused, Right("group", group, "READ"), what)

    def records_at(
        self, places: Mapping[Place, int], *, timeout: float
    ) -> Mapping[Place, Record | None]:
        """As the port says."""
        return probe.first_records(self._settings, places, timeout, self._clock)

    def close(self) -> None:
        """As the port says."""
        self._admin = None
        for group in list(self._askers):
            self._forget_asker(group)

    def _partitions(self, topics: Sequence[str]) -> dict[str, list[int] | str]:
        """Partition numbers of each topic, or why it has none."""
        if not topics:
            return {}
        asked = self._open().describe_topics(
            TopicCollection(list(topics)), request_timeout=FIRST_ANSWER_SECONDS
        )
        found: dict[str, list[int] | str] = {}
        for topic, future in asked.items():
            try:
                found[topic] = sorted(partition.id for partition in future.result().partitions)
            except KafkaException as error:
                found[topic] = self._no_topic(topic, error)
        self._said.clear()  # it answers, so what it complained of is over
        return {topic: found[topic] for topic in topics}

    def _no_topic(self, topic: str, error: KafkaException) -> str:
        problem = error.args[0]
        if client.is_missing(problem):
            return _Missing(f"topic {topic} does not exist: vectrue init")
        if client.is_denied(problem):
            return self._denied("topic", topic)
        raise self._away(problem, topic) from error

    def _log_offsets(self, places: Sequence[Place], spec: OffsetSpec) -> dict[Place, int | str]:
        if not places:
            return {}
        answers = self._open().list_offsets(
            {TopicPartition(topic, number): spec for topic, number in places},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ANSWER_SECONDS,
        )
        return {
            (key.topic, key.partition): self._answer(future, lambda info: _told(info.offset))
            for key, future in answers.items()
        }

    def _commits(
        self, asked: Mapping[str, Sequence[Place]]
    ) -> dict[str, dict[Place, int | None] | str]:
        return {
            group: self._committed(group, places) if places else {}
            for group, places in asked.items()
        }

    def _committed(self, group: str, places: Sequence[Place]) -> dict[Place, int | None] | str:
        """What the group committed, or why that is not known. The consumer never
        subscribes, so it is no member.
        """
        try:
            found = self._asker(group).committed(
                [TopicPartition(*place) for place in places], timeout=ANSWER_SECONDS
            )
        except KafkaException as error:
            self._forget_asker(group)
            if client.is_denied(error.args[0]):
                return self._denied("group", group)
            return security.reason(error.args[0])
        return {
            (p.topic, p.partition): None if p.offset == _NO_OFFSET else int(p.offset)
            for p in found
            if p.error is None
        }

    def _asker(self, group: str) -> Consumer:
        if group not in self._askers:
            self._askers[group] = client.opened(
                Consumer, self._settings, **_ASKER, **{"group.id": group}
            )
        return self._askers[group]

    def _forget_asker(self, group: str) -> None:
        asker = self._askers.pop(group, None)
        if asker is not None:
            asker.close()

    def _description(self, group: str) -> ConsumerGroup | str:
        """The group, or why it is not known."""
        try:
            return describe(self._open(), group, ANSWER_SECONDS)
        except KafkaException as error:
            return self._silence(error)

    def _visible(self, group: str, found: ConsumerGroup | str) -> ConsumerGroup | str:
        """The group; where none was found, perhaps since we may not see it, the reason."""
        if isinstance(found, str) or found.state is not None:
            return found
        (future,) = (
            self._open().describe_consumer_groups([group], request_timeout=ANSWER_SECONDS).values()
        )
        try:
            future.result()
        except KafkaException as error:
            return (
                self._denied("group", group)
                if client.is_denied(error.args[0])
                else self._silence(error)
            )
        return found

    def _answer(self, future: "Future[Any]", take: Callable[[Any], Any]) -> Any:
        """What the broker answered, or the sentence of its refusal."""
        try:
            return take(future.result())
        except KafkaException as error:
            return self._silence(error)

    def _silence(self, error: KafkaException) -> str:
        # librdkafka's own errors are negative
        self._is_deaf = self._is_deaf or error.args[0].code() < 0
        return security.reason(error.args[0])

    def _denied(self, resource: Literal["topic", "group"], name: str) -> str:
        return _Denied(rights.refusal(self._settings, [Right(resource, name, "DESCRIBE")]))

    def _open(self) -> AdminClient:
        if self._is_deaf:
            self._admin, self._is_deaf = None, False
        if self._admin is None:
            self._said.clear()
            self._admin = client.opened(AdminClient, self._settings, error_cb=self._said.append)
        return self._admin

    def _away(self, problem: KafkaError, topic: str) -> VectrueError:
        """Say why nobody answered. The next call connects anew."""
        if self._admin is not None:
            self._admin.poll(0)  # hands over what it said
        self._admin = None
        return client.error_of(
            self._settings, problem, Right("topic", topic, "DESCRIBE"), said=tuple(self._said)
        )


def _rows(
    topics: Sequence[str],
    partitions: Mapping[str, list[int] | str],
    facts: _Facts,
    commits: Mapping[Place, int | None] | str,
) -> Iterable[PartitionLag]:
    for topic in topics:
        found = partitions[topic]
        if isinstance(found, str):
            yield PartitionLag(
                topic, None, is_missing=isinstance(found, _Missing), error=str(found)
            )
            continue
        for number in found:
            yield _row((topic, number), facts, commits)


def _row(place: Place, facts: _Facts, commits: Mapping[Place, int | None] | str) -> PartitionLag:
    start, end = facts.starts[place], facts.ends[place]
    commit: int | str | None = (
        commits if isinstance(commits, str) else commits.get(place, "no answer for this partition")
    )
    row = PartitionLag(
        *place,
        current_offset=None if isinstance(commit, str) else commit,
        log_start_offset=None if isinstance(start, str) else start,
        log_end_offset=None if isinstance(end, str) else end,
    )
    parts = (("committed offset", commit), ("log start", start), ("log end", end))
    problem = next(
        (
            f"the {what} of {row.name} cannot be read ({answer})"
            for what, answer in parts
            if isinstance(answer, str)
        ),
        None,
    )
    return row if problem is None else replace(row, error=problem)


def _group(name: str, rows: Iterable[PartitionLag], described: ConsumerGroup | str) -> GroupLag:
    if isinstance(described, str):
        return GroupLag(
            name, partitions=tuple(rows), error=f"group {name} cannot be described ({described})"
        )
    readers = {
        place: Member(member.member_id, member.host, member.client_id)
        for member in described.members
        for place in member.partitions
    }
    partitions = tuple(
        row
        if row.partition is None
        else replace(row, member=readers.get((row.topic, row.partition)))
        for row in rows
    )
    return GroupLag(name, described.state, len(described.members), partitions)
