"""The dead-letter topic, read from its start to the end it had when the reading began,
and shortened.

Hazards:
- The consumer assigns and commits nothing, so it can join no group and disturb none;
  librdkafka wants a group id all the same, so it has one that no worker uses.
- Retention or a purge may take records away while they are read: offsets have holes,
  and the end is the broker's word for it (partition EOF), never a count.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import client
from connectors.kafka.rights import Right
from connectors.ports import Clock
from schemas.errors import TransientError
from schemas.messages.record import Header, Record
from schemas.settings.reading import Settings

_ANSWER_SECONDS = 10.0
_SILENCE_SECONDS = 30.0
_OPTIONS = {
    "group.id": "vectrue-dlq",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
    # letters may be megabytes each, and are taken one by one
    "queued.max.messages.kbytes": 16_384,
}


class DeadLetterTopic:
    """`<prefix>.dlq`. Opens what it needs for each call."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Remember how to connect."""
        self._settings = settings
        self._clock = clock
        self._topic = settings.dead_letter_topic

    def ends(self) -> dict[int, int]:
        """For each partition the offset that its next record will get.

        Raises:
            ConfigurationError: there is no such topic, or the broker refuses us.
            TransientError: no broker answers, or a partition has no leader.
        """
        said: list[KafkaError] = []
        consumer = client.opened(Consumer, self._settings, **_OPTIONS, error_cb=said.append)
        try:
            return {number: end for number, (_, end) in self._bounds(consumer, said).items()}
        finally:
            consumer.close()

    def read(self, since: Mapping[int, int] | None = None) -> Iterator[Record]:
        """Every record that was there when the call began, partition by partition.

        Args:
            since: offset to begin with by partition; the oldest record where none is
                given.

        Raises:
            as `ends`.
        """
        said: list[KafkaError] = []
        consumer = client.opened(Consumer, self._settings, **_OPTIONS, error_cb=said.append)
        try:
            for number, (start, end) in self._bounds(consumer, said).items():
                first = max(start, (since or {}).get(number, start))
                if first < end:
                    consumer.assign([TopicPartition(self._topic, number, first)])
                    yield from self._records(consumer, number, end)
        finally:
            consumer.close()

    def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Delete all records before an offset, by partition. Cannot be undone.

        Raises:
            TransientError: the broker did not do it.
            ConfigurationError: this user may not, or there is no such topic.
        """
        said: list[KafkaError] = []
        admin = client.opened(AdminClient, self._settings, error_cb=said.append)
        places = [TopicPartition(self._topic, number, offset) for number, offset in offsets.items()]
        for future in admin.delete_records(places, request_timeout=_ANSWER_SECONDS).values():
            try:
                future.result()
            except KafkaException as error:
                admin.poll(0)  # hands over what it said
                right, what = (
                    Right("topic", self._topic, "DELETE"),
                    f"topic {self._topic} cannot be shortened",
                )
                raise client.error_of(self._settings, error.args[0], right, what, said) from error

    def _bounds(self, consumer: Consumer, said: Sequence[KafkaError]) -> dict[int, tuple[int, int]]:
        right = Right("topic", self._topic, "READ")
        try:
            found = consumer.list_topics(self._topic, timeout=_ANSWER_SECONDS).topics[self._topic]
            if found.error is not None:
                raise client.error_of(self._settings, found.error, right)
            lost = [
                number
                for number, partition in sorted(found.partitions.items())
                if partition.leader < 0
            ]
            if lost:
                raise client.leaderless(self._settings, self._topic, lost)
            return {
                number: consumer.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=_ANSWER_SECONDS
                )
                for number in sorted(found.partitions)
            }
        except KafkaException as error:
            consumer.poll(0)  # hands over what it said
            raise client.error_of(self._settings, error.args[0], right, said=said) from error

    def _records(self, consumer: Consumer, number: int, end: int) -> Iterator[Record]:
        heard = self._clock.monotonic()
        while True:
            message = consumer.poll(1.0)
            if message is None:
                if self._clock.monotonic() - heard > _SILENCE_SECONDS:
                    raise TransientError(
                        f"topic {self._topic} could not be read to its end", fix="run it again"
                    )
                continue
            heard = self._clock.monotonic()
            problem = message.error()
            if problem is not None and problem.name() == "_PARTITION_EOF":
                return
            if problem is not None and problem.name() == "GROUP_AUTHORIZATION_FAILED":
                continue  # of a group that is not used: records come all the same
            if problem is not None:
                what = f"topic {self._topic} could not be read"
                raise client.error_of(
                    self._settings, problem, Right("topic", self._topic, "READ"), what
                )
            record = _record(message, number)
            if record.offset >= end:
                return
            yield record
            if record.offset == end - 1:
                return


def _record(message: Message, number: int) -> Record:
    kind, milliseconds = message.timestamp()
    offset = message.offset() or 0
    return Record(
        str(message.topic()),
        number,
        offset,
        message.key(),
        message.value(),
        _headers(message),
        milliseconds if kind else None,
    )


def _headers(message: Message) -> tuple[Header, ...]:
    """Headers of a record; none where a name is no UTF-8, which the client cannot hand
    over.
    """
    try:
        # the client declares more than it returns
        return tuple(cast("list[Header]", message.headers() or []))
    except (SystemError, UnicodeDecodeError):
        return ()
