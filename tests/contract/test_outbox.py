"""The contract of `Outbox`, held by the in-memory twin and by Kafka alike."""

from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer

from connectors.kafka.client import client_config
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Outbox
from connectors.twins.memory import MemoryOutbox
from schemas.errors import PoisonEvent, TransientError
from schemas.messages.chunk import Chunk, Deferral, DeferredRow, read_message
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.rows.table import Key, TableName
from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import Workplace

NAME = TableName("public", "questions")


class World(Protocol):
    """The outbox under test, and what arrived."""

    outbox: Outbox

    def messages(self, count: int) -> list[Chunk | DeferredRow]: ...
    def dead_letter(self) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.outbox = MemoryOutbox()

    def messages(self, count: int) -> list[Chunk | DeferredRow]:
        sent: list[Chunk | DeferredRow] = [*self.outbox.chunks, *self.outbox.deferred]
        return sent[:count]

    def dead_letter(self) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        record, reason, stage = self.outbox.dead_letters[0]
        told = [
            ("__connect.errors.exception.message", reason.encode()),
            ("__connect.errors.stage", stage.encode()),
        ]
        return record.key, record.value, [*record.headers, *told]


class KafkaWorld:
    def __init__(self, place: Workplace) -> None:
        self._place = place
        self.outbox = KafkaOutbox(place.settings)

    def messages(self, count: int) -> list[Chunk | DeferredRow]:
        topics = [self._place.settings.replay_topic, self._place.settings.deferred_topic]
        return [read_message(message.value()) for message in self._read(topics, count)]

    def dead_letter(self) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
        (message,) = self._read([self._place.settings.dead_letter_topic], 1)
        return message.key(), message.value(), message.headers()

    def _read(self, topics: list[str], count: int) -> list[Any]:
        options = {
            "group.id": f"{self._place.settings.kafka.topic_prefix}-peek",
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(client_config(self._place.settings, **options))
        consumer.subscribe(topics)
        found: list[Any] = []

        def enough() -> bool:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
            return len(found) >= count

        until(enough, what=f"{count} records in {topics}")
        consumer.close()
        return found


def _chunk(run: UUID, number: int, *keys: Key) -> Chunk:
    return Chunk(run=run, number=number, table=NAME, column="embedding", model="m", keys=keys)


@pytest.fixture(params=["twin", pytest.param("kafka", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Any:
    return (
        MemoryWorld() if request.param == "twin" else KafkaWorld(request.getfixturevalue("ready"))
    )


def test_chunks_arrive_as_they_were_sent(world: World) -> None:
    """Chunks of a run and deferred rows are there when the call returns, each readable
    again.
    """
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = uuid4()
    sent = [
        _chunk(run, 1, ("1",), ("2",)),
        _chunk(run, 2, ("3",)),
    ]
    deferral = Deferral(since=now, not_before=now, attempt=1, txids=(500,))
    deferred = DeferredRow(
        table=NAME, column="embedding", model="m", keys=(("4",),), deferral=deferral
    )
    world.outbox.send_chunks(sent)
    world.outbox.send_deferred([deferred])
    arrived = world.messages(3)
    assert sorted(arrived, key=lambda message: message.keys) == [*sent, deferred]


def test_sending_nothing_is_nothing(world: World) -> None:
    """An empty list is not an error."""
    world.outbox.send_chunks([])
    world.outbox.send_deferred([])


def test_a_dead_letter_keeps_the_original_bytes_and_says_why(world: World) -> None:
    """Key, value and headers, duplicates included, are kept; the reason stands in
    Connect's headers.
    """
    headers = (("trace", b"1"), ("trace", None))
    record = Record("t.public.questions", 3, 17, b"\x00key", b"\xffvalue", headers)
    world.outbox.send_dead_letters(
        [Failure(record, PoisonEvent("the value is not JSON"), "decode")]
    )
    key, value, told = world.dead_letter()
    assert (key, value) == (b"\x00key", b"\xffvalue")
    assert told[:2] == [("trace", b"1"), ("trace", None)]
    errors = dict(told[2:])
    assert errors["__connect.errors.exception.message"] == b"the value is not JSON"
    assert errors["__connect.errors.stage"] == b"decode"


@pytest.mark.stack
def test_a_topic_that_is_missing_is_an_error_and_nothing_is_lost_silently(
    make_workplace: MakeWorkplace,
) -> None:
    """Without `init` there is no topic: the call raises, with the topic and the command
    that makes it.
    """
    place = make_workplace()
    outbox = KafkaOutbox(place.settings)
    with pytest.raises(TransientError, match=r"replay.*vectrue init"):
        outbox.send_chunks([_chunk(uuid4(), 1, ("1",))])


@pytest.mark.stack
def test_a_dead_letter_that_kafka_does_not_take_is_an_error(make_workplace: MakeWorkplace) -> None:
    """The call waits for the broker's answer: without the topic it raises, so the event
    is not acknowledged (I3).
    """
    place = make_workplace()
    outbox = KafkaOutbox(place.settings)
    with pytest.raises(TransientError, match=r"dlq.*vectrue init"):
        outbox.send_dead_letters(
            [Failure(Record("t", 0, 17, b"k", b"v"), PoisonEvent("no"), "decode")]
        )
