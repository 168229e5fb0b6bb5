"""The dead-letter topic, read and shortened.

It is read from its start to the end it had when the reading began.

Hazard: retention or a purge may take records away while they are read: offsets have
holes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import client, errors
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import TransientError
from schemas.messages.record import Header, Record
from schemas.settings.reading import Settings

_ANSWER_SECONDS = 10.0
_SILENCE_SECONDS = 30.0
_OPTIONS = {
    # librdkafka wants a group id all the same: one that no worker uses.
    "group.id": "vectrue-dlq",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
    # Dead letters may be megabytes each, and are taken one by one.
    "queued.max.messages.kbytes": 16_384,
}


class DeadLetterTopic:
    """`<prefix>.dlq`. Opens what it needs for each call."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._topic = settings.dead_letter_topic

    def ends(self) -> dict[int, int]:
        """For each partition the offset that its next record will get.

        Raises:
            ConfigurationError: the topic does not exist, or the broker refuses us.
            TransientError: no broker answers, or a partition has no leader.
        """
        said: list[KafkaError] = []
        consumer = client.opened(Consumer, self._settings, **_OPTIONS, error_cb=said.append)
        try:
            bounds = self._bounds(consumer, said)
        finally:
            consumer.close()
        ends: dict[int, int] = {}
        for number, (_, end) in bounds.items():
            ends[number] = end
        return ends

    def read(self, since: Mapping[int, int] | None = None) -> Iterator[Record]:
        """Every record that was there when the call began, partition by partition.

        Args:
            since: offset to begin with by partition; the oldest record where none is
                given.

        Raises:
            as `ends`.
        """
        said: list[KafkaError] = []
        begin = since or {}
        consumer = client.opened(Consumer, self._settings, **_OPTIONS, error_cb=said.append)
        try:
            for number, (start, end) in self._bounds(consumer, said).items():
                first = max(start, begin.get(number, start))
                if first < end:
                    # Assigned and never subscribed: it can join no group and disturb none.
                    consumer.assign([TopicPartition(self._topic, number, first)])
                    yield from self._records(consumer, number, end)
        finally:
            consumer.close()

    def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Delete all records before an offset, by partition. Cannot be undone.

        Raises:
            TransientError: the broker did not do it.
            ConfigurationError: this user has no right to it, or the topic does not
                exist.
        """
        said: list[KafkaError] = []
        admin = client.opened(AdminClient, self._settings, error_cb=said.append)
        places = [TopicPartition(self._topic, number, offset) for number, offset in offsets.items()]
        answers = admin.delete_records(places, request_timeout=_ANSWER_SECONDS)
        for future in answers.values():
            try:
                future.result()
            except KafkaException as error:
                # What the client said reaches `said` in a poll only.
                admin.poll(0)
                right = Right("topic", self._topic, "DELETE")
                what = f"topic {self._topic} cannot be shortened"
                problem = error.args[0]
                raise errors.error_of(self._settings, problem, right, what, said) from error

    def _bounds(self, consumer: Consumer, said: Sequence[KafkaError]) -> dict[int, tuple[int, int]]:
        """Log start and log end by partition, in order of their numbers."""
        try:
            partitions = self._partitions(consumer)
            bounds: dict[int, tuple[int, int]] = {}
            for number in partitions:
                place = TopicPartition(self._topic, number)
                bounds[number] = consumer.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            # What the client said reaches `said` in a poll only.
            consumer.poll(0)
            right = Right("topic", self._topic, "READ")
            raise errors.error_of(self._settings, error.args[0], right, said=said) from error
        return bounds

    def _partitions(self, consumer: Consumer) -> list[int]:
        """Numbers of the partitions, each of which has a leader."""
        listed = consumer.list_topics(self._topic, timeout=_ANSWER_SECONDS)
        found = listed.topics[self._topic]
        if found.error is not None:
            right = Right("topic", self._topic, "READ")
            raise errors.error_of(self._settings, found.error, right)
        numbers = sorted(found.partitions)
        lost = [number for number in numbers if found.partitions[number].leader < 0]
        if lost:
            raise errors.leaderless(self._settings, self._topic, lost)
        return numbers

    def _records(self, consumer: Consumer, number: int, end: int) -> Iterator[Record]:
        heard = self._clock.monotonic()
        while True:
            message = consumer.poll(1.0)
            if message is None:
                if self._clock.monotonic() - heard > _SILENCE_SECONDS:
                    raise TransientError(
                        f"topic {self._topic} could not be read to its end",
                        fix="run it again",
                    )
                continue
            heard = self._clock.monotonic()
            problem = message.error()
            if problem is not None:
                # The end as the broker reports it, never a count: offsets have holes.
                if problem.name() == "_PARTITION_EOF":
                    return
                self._require_passing(problem)
                continue
            record = _record(message, number)
            if record.offset >= end:
                return
            yield record
            if record.offset == end - 1:
                return

    def _require_passing(self, problem: KafkaError) -> None:
        """Raise an error that ends the reading."""
        # This one is about the group, which is not used: records come all the same.
        if problem.name() == "GROUP_AUTHORIZATION_FAILED":
            return
        right = Right("topic", self._topic, "READ")
        what = f"topic {self._topic} could not be read"
        raise errors.error_of(self._settings, problem, right, what)


def _record(message: Message, number: int) -> Record:
    kind, milliseconds = message.timestamp()
    return Record(
        topic=str(message.topic()),
        partition=number,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
        timestamp_ms=milliseconds if kind else None,  # kind 0: the record has none
    )


def _headers(message: Message) -> tuple[Header, ...]:
    """Headers of a record; none where a name is not UTF-8."""
    try:
        # the client declares more than it returns
        return tuple(cast("list[Header]", message.headers() or []))
    # The client cannot hand over a name that is not UTF-8.
    except (SystemError, UnicodeDecodeError):
        return ()
