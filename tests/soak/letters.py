"""Poison events: records in all topics that cannot be read, and what must come of
each: a dead letter.

A fault lets the dead-letter topic refuse every record for a while, as a full disk or a
quota would.

Hazards:
- A send whose acknowledgement was lost may have arrived: such an event may become a
  dead letter, and need not.
- A letter is known by the place of its event, not by its content: while the topic
  refuses everything as too large, a letter without content may be the first that it
  takes again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.soak.checker import Offsets
from tests.soak.hits import Hit, Kind, Stage
from tests.support.waiting import until

_Place = tuple[str | None, int | None, int | None]
_ORIGIN = tuple(f"__connect.errors.{name}" for name in ("topic", "partition", "offset"))
POISON = b"poison-event-"
EVENTS = (
    b'{"not": "closed", "poison-event-%d',
    b'{"op":"u","source":{"schema":"public","table":"nowhere"},"after":{"id":"poison-event-%d"}}',
    b'{"op":"u","source":{"schema":"public","table":"articles"},"after":{"id":"poison-event-%d"}}',
    b"\xff\xfe poison-event-%d",
)
"""No JSON; a table that is not configured; a key of the wrong type, found out by
reading; no UTF-8.
"""
_DEFERRAL = b'{"since":"2026-01-01T00:00:00Z","not_before":"2026-01-01T00:00:00Z","attempt":1}'
_MESSAGE = (
    b'{"chunk":0,"table":"public.articles","column":"embedding",'
    b'"model":"poison-event-%d","keys":[[1]]}'
)
_DEFERRED = _MESSAGE[:-1] + b',"deferral":' + _DEFERRAL + b"}"
DEFERRED = (
    _DEFERRED.replace(b"00Z", b"00"),
    _DEFERRED.replace(b"[[1]]", b"[[]]"),
    _DEFERRED.replace(b"poison-event-%d", b"m").replace(b"[[1]]", b'[["poison-event-%d"]]'),
    _DEFERRED.replace(b'"attempt":1', b'"attempt":' + b"1" * 5_000),
    EVENTS[0],
)
"""Times without a zone; no key; a key of the wrong type, found out by reading; a number
too long; no JSON.
"""
CHUNKS = (
    _MESSAGE,
    _DEFERRED,
    _MESSAGE.replace(b'{"chunk":0', b'{"run":"no run","chunk":0'),
    EVENTS[3],
)
"""Of no run; a deferred row; of a run that cannot be; no UTF-8."""
BEATS = (
    b'{"op":"u","source":{"schema":"vectrue","table":"canary"},"after":{"prefix":"poison-event-%d"}}',
    b'{"op":"u","source":{"schema":"vectrue","table":"canary"},"after":{"prefix":"poison-event-%d","beat":'
    + b"1" * 5_000
    + b',"sent_at":"2026-01-01T00:00:00Z"}}',
    EVENTS[0],
)
"""Without a number; with one that is too long; no JSON."""

_REFUSED_BYTES, _ALLOWED_BYTES = "10", "1048588"
_ADMIN_SECONDS = 15.0


class Letters:
    """Sends poison events and collects dead letters."""

    def __init__(
        self,
        stage: Stage,
        offsets: Offsets,
        servers: str,
        topics: Mapping[str, Sequence[bytes]],
        dead_letters: str,
    ) -> None:
        """Nothing is sent yet. `topics` are those whose records no one else has to
        understand, each with its shapes.
        """
        self.sent: set[int] = set()
        self.arrived: set[int] = set()
        self._stage = stage
        self._offsets = offsets
        self._topics = topics
        self._dead_letters = dead_letters
        self._options: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0}
        self._places: dict[_Place, int] = {}
        self._producer = Producer({**self._options, "acks": "all", "message.timeout.ms": 10_000})
        self._count = 0
        self._next: int | None = None

    def kinds(self) -> list[Kind]:
        """The one fault of this module."""
        return [Kind("dead letters refused", "kafka", self._refused)]

    def send(self, count: int) -> None:
        """Send poison events; they count once the broker has them."""
        for _ in range(count):
            self._count += 1
            number = self._count

            def delivered(error: object, message: Message, number: int = number) -> None:
                if error is None:
                    self.sent.add(number)
                    self._places[message.topic(), message.partition(), message.offset()] = number

            topic = self._stage.random.choice(list(self._topics))
            shape = self._stage.random.choice(self._topics[topic])
            # Without a key: the one of a record is believed before its value.
            self._producer.produce(topic, shape % number, on_delivery=delivered)
        self._producer.poll(0)

    def missing(self) -> set[int]:
        """Events that the broker has and that are not dead letters. Only after lag 0
        this is a loss.

        Raises:
            KafkaException: the broker is away.
        """
        self._producer.flush(11)
        consumer = self._offsets.consumer("soak-letters")
        try:
            end = consumer.get_watermark_offsets(TopicPartition(self._dead_letters, 0), timeout=5)[
                1
            ]
            self._read(consumer, end)
        finally:
            consumer.close()
        return self.sent - self.arrived

    def _read(self, consumer: Consumer, end: int) -> None:
        start = OFFSET_BEGINNING if self._next is None else self._next
        consumer.assign([TopicPartition(self._dead_letters, 0, start)])

        def all_read() -> bool:
            for message in consumer.consume(100, timeout=0.2):
                if message.error() is not None:
                    continue
                self._next = (message.offset() or 0) + 1
                number = self._places.get(_place(message))
                if number is not None:
                    self.arrived.add(number)
            return (self._next or 0) >= end

        until(all_read, timeout=20, what="the dead letters to be read")

    def _refused(self) -> Hit | None:
        try:
            self._limit(_REFUSED_BYTES)
        except (KafkaException, TimeoutError):
            return None
        self.send(self._stage.random.randrange(1, 4))
        hold = self._stage.random.uniform(1.0, 6.0)
        return self._stage.made("dead letters refused", self._dead_letters, hold, self._allowed)

    def _allowed(self) -> None:
        def done() -> bool:
            try:
                self._limit(_ALLOWED_BYTES)
            except (KafkaException, TimeoutError):
                return False
            return True

        until(done, timeout=60, what="the broker to take the limit back")

    def _limit(self, size: str) -> None:
        entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(
            ResourceType.TOPIC, self._dead_letters, incremental_configs=[entry]
        )
        # held: with the last reference to it its answers would never come
        admin = AdminClient(self._options)
        for future in admin.incremental_alter_configs([resource], request_timeout=5).values():
            future.result(timeout=_ADMIN_SECONDS)


def _place(letter: Message) -> _Place:
    """Of the event that a dead letter is about; where headers are repeated, the last
    ones are the letter's.
    """
    headers = {
        name: value
        for name, value in dict(letter.headers() or []).items()
        if isinstance(value, bytes)
    }
    topic, partition, offset = (headers[name].decode() for name in _ORIGIN)
    return topic, int(partition), int(offset)
