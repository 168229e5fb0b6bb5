"""The replay lane on twins: what a chunk does to rows, ledger and model."""

import dataclasses
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from connectors.twins.memory import (
    LedgerEntry,
    MemoryClock,
    MemoryOutbox,
    MemoryRow,
    MemoryStore,
    sha256,
)
from schemas.errors import DeadLetterLimitReached, Stopping
from schemas.messages.chunk import Chunk, Deferral, DeferredRow
from schemas.messages.record import Record
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import load
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.replay import Chunks
from streams.worker.settle import RowSettler
from tests.support.slow_model import SlowEmbedder

NAME = TableName("public", "questions")


class Bench:
    """A replay lane on twins, micro-batches of two."""

    def __init__(self, micro_batch: int = 2, seconds_per_character: float = 0.0) -> None:
        self.clock = MemoryClock()
        self.embedder = SlowEmbedder(self.clock, seconds_per_character)
        self.target = Target(
            NAME, "embedding", "question", (KeyColumn("id", "bigint"),), self.embedder.model_id, 16
        )
        self.store = MemoryStore(self.target)
        self.outbox = MemoryOutbox()
        retry = RetryPolicy(self.clock, seconds=30, lane="replay")
        settler = RowSettler(
            self.store, Embedders.single(self.embedder), self.clock, retry, lane="replay"
        )
        settings = load(replay={"micro_batch": micro_batch})
        self.chunks = Chunks(
            [self.target],
            self.store,
            self.store,
            settler,
            self.outbox,
            clock=self.clock,
            retry=retry,
            settings=settings,
        )

    def chunk(
        self, *keys: str, model: str | None = None, run: UUID | None = None
    ) -> tuple[Record, LedgerEntry]:
        run = run or uuid4()
        made = Chunk(
            run=run,
            number=1,
            table=NAME,
            column="embedding",
            model=model or self.target.model,
            keys=tuple((key,) for key in keys),
        )
        return Record("t.replay", 0, 0, None, made.encode()), self.store.enter(made)

    def put(self, key: str, text: str | None) -> None:
        self.store.rows[key,] = MemoryRow(text)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def counts(entry: LedgerEntry) -> dict[str, int]:
    return {name: count for name, count in entry.counts.items() if count}


def test_every_key_is_counted_once_under_what_it_was(bench: Bench) -> None:
    """The counts of a chunk add up to its keys, whatever the rows turned out to be."""
    bench.put("1", "x")
    bench.put("2", None)
    bench.put("3", "y")
    bench.store.rows["4",] = MemoryRow("")
    bench.store.locked.add(("3",))
    record, entry = bench.chunk("1", "2", "3", "4", "5")
    assert list(bench.chunks.steps(record)) == [2, 2, 1]
    assert counts(entry) == {"embedded": 1, "blank": 2, "deferred": 1, "gone": 1}
    assert [chunk.keys for chunk in bench.outbox.deferred] == [(("3",),)]
    assert not bench.outbox.chunks


def test_a_chunk_delivered_again_counts_nothing_and_encodes_nothing(bench: Bench) -> None:
    """A redelivered chunk is recognised by the ledger (I7)."""
    bench.put("1", "x")
    record, entry = bench.chunk("1")
    list(bench.chunks.steps(record))
    assert list(bench.chunks.steps(record)) == []
    assert (counts(entry), bench.embedder.texts_encoded) == ({"embedded": 1}, 1)


def test_an_interrupted_chunk_goes_on_where_it_stopped(bench: Bench) -> None:
    """After one micro-batch the worker dies; the next one does only the rest."""
    for key in "12345":
        bench.put(key, f"text {key}")
    record, entry = bench.chunk(*"12345")
    assert next(bench.chunks.steps(record)) == 2
    assert list(bench.chunks.steps(record)) == [2, 1]
    assert (counts(entry), bench.embedder.texts_encoded) == ({"embedded": 5}, 5)


def test_two_workers_on_one_chunk_count_it_once(bench: Bench) -> None:
    """When another worker advances the chunk between read and write, this one goes on
    from there.
    """
    for key in "1234":
        bench.put(key, f"text {key}")
    record, entry = bench.chunk(*"1234")
    mine, other = bench.chunks.steps(record), bench.chunks.steps(record)
    encode = bench.embedder.encode_documents

    def slow(texts: list[str]) -> object:
        bench.embedder.encode_documents = encode  # type: ignore[method-assign] # only the first call is overtaken
        assert next(other) == 2
        return encode(texts)

    bench.embedder.encode_documents = slow  # type: ignore[method-assign,assignment] # the other worker overtakes
    assert list(mine) == [0, 2]
    assert counts(entry) == {"embedded": 4}


def test_a_chunk_for_another_model_is_obsolete(bench: Bench) -> None:
    """A run planned for a model that is no longer wanted writes nothing, and its ledger
    says so.
    """
    bench.put("1", "x")
    record, entry = bench.chunk("1", "2", "3", model="older")
    list(bench.chunks.steps(record))
    assert counts(entry) == {"obsolete": 3}
    assert bench.embedder.texts_encoded == 0


def test_a_chunk_of_a_cancelled_run_is_skipped(bench: Bench) -> None:
    """Cancelling leaves the messages in the topic; the workers pass over them."""
    bench.put("1", "x")
    record, entry = bench.chunk("1")
    entry.cancelled = True
    assert list(bench.chunks.steps(record)) == []
    assert bench.embedder.texts_encoded == 0


def test_what_is_no_chunk_goes_to_the_dead_letters(bench: Bench) -> None:
    """Bytes that are no message, and a row that was deferred, do not stop the lane."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    deferral = Deferral(since=now, not_before=now, attempt=1)
    row = DeferredRow(table=NAME, column="embedding", model="m", keys=(("1",),), deferral=deferral)
    for value in (b"{", row.encode()):
        assert list(bench.chunks.steps(Record("t.replay", 0, 0, None, value))) == []
    assert len(bench.outbox.dead_letters) == 2


def test_a_chunk_for_a_table_nobody_configured_fails_and_ends(bench: Bench) -> None:
    """It is dead-lettered, and its ledger says so: whoever follows the run does not
    wait for ever.
    """
    run = uuid4()
    unknown = Chunk(
        run=run,
        number=1,
        table=TableName("public", "other"),
        column="embedding",
        model="m",
        keys=(("1",), ("2",)),
    )
    entry = bench.store.enter(unknown)
    assert list(bench.chunks.steps(Record("t.replay", 0, 0, None, unknown.encode()))) == [2]
    assert (entry.done, counts(entry)) == (2, {"failed": 2})
    assert len(bench.outbox.dead_letters) == 1


def test_a_key_that_cannot_be_read_fails_alone(bench: Bench) -> None:
    """Its neighbours are written, it is dead-lettered and counted as failed (I10)."""
    bench.put("1", "x")
    record, entry = bench.chunk("1", "one")
    list(bench.chunks.steps(record))
    assert counts(entry) == {"embedded": 1, "failed": 1}
    assert "one" in bench.outbox.dead_letters[0][1]


def test_one_bad_row_in_each_chunk_is_no_flood(bench: Bench) -> None:
    """Rows whose text cannot be made are counted and told of, however many chunks have
    one: the run ends (F6).
    """
    for number in range(300):
        keys = [str(4 * number + i) for i in range(4)]
        for key in keys:
            bench.put(key, f"text {key}")
        bench.store.unreadable.add((keys[2],))
        record, entry = bench.chunk(*keys)
        assert list(bench.chunks.steps(dataclasses.replace(record, offset=number))) == [2, 2]
        assert counts(entry) == {"embedded": 3, "quarantined": 1}
    assert len(bench.store.quarantine) == 300
    assert not bench.outbox.dead_letters


def test_a_record_is_one_bad_event_however_much_is_bad_in_it(bench: Bench) -> None:
    """Limits count records, and so do letters: 150 keys that are none, among as many
    rows, are one of each.
    """
    keys = [name for number in range(150) for name in (str(number), f"word {number}")]
    for key in keys[::2]:
        bench.put(key, f"text {key}")
    record, entry = bench.chunk(*keys)
    assert list(bench.chunks.steps(record)) == [2] * 150
    assert counts(entry) == {"embedded": 150, "failed": 150}
    assert [letter for letter, _, _ in bench.outbox.dead_letters] == [record]


def test_bad_records_among_good_ones_trip_the_limit_as_anywhere(bench: Bench) -> None:
    """Half of them are too many of them, whether a good chunk had one row or hundreds."""

    def step(number: int) -> None:
        record, _ = bench.chunk(*(str(key) for key in range(20)))
        value = record.value if number % 3 == 0 else b"{"
        list(bench.chunks.steps(dataclasses.replace(record, offset=number, value=value)))

    for number in range(199):
        step(number)
    with pytest.raises(
        DeadLetterLimitReached, match=r"133 of 200 events within 60 s of topic t\.replay"
    ):
        step(199)


def test_stopping_between_micro_batches_loses_nothing(bench: Bench) -> None:
    """A worker that is asked to stop leaves after the micro-batch in hand; the ledger
    knows how far it came.
    """
    for key in "1234":
        bench.put(key, f"text {key}")
    record, entry = bench.chunk(*"1234")
    steps = bench.chunks.steps(record)
    next(steps)
    bench.clock.stopping = True
    with pytest.raises(Stopping):
        next(steps)
    assert (entry.done, bench.store.rows["1",].hash) == (2, sha256("text 1"))
