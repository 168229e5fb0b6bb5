"""Keys that stop fitting, on twins: looked at before anything is given up, taken in
place, or the table looked at.
"""

import dataclasses
from collections.abc import Collection, Sequence

import pytest

from connectors.twins.memory import MemoryClock, MemoryRow
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.messages.chunk import Deferral, DeferredRow, read_message
from schemas.messages.record import Record
from schemas.rows.document import Reading
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import load
from streams.common.retry import RetryPolicy
from streams.worker.live import Sync
from streams.worker.replay import Chunks
from streams.worker.watches.shapes import Adaptation, FixedShapes
from tests.support.sync_bench import Bench
from tests.unit.streams.worker import test_replay as test_chunks

BEYOND = 3_000_000_000


class Shapes:
    """A table whose key was changed by transaction 100, or will be found to have been."""

    def __init__(self) -> None:
        self.next: list[Sequence[Target] | None] = []
        self.asked: list[TableName] = []
        self.looks = 0

    def renewed(self) -> Sequence[Target] | None:
        self.looks += 1
        return self.next.pop(0) if self.next else None

    def is_older(self, target: Target, txids: Collection[int]) -> bool:  # noqa: ARG002 - one table
        return bool(txids) and max(txids) <= 100

    def ask(self, table: TableName, reason: str) -> None:  # noqa: ARG002 - any will do
        self.asked.append(table)


@pytest.fixture
def shapes() -> Shapes:
    return Shapes()


@pytest.fixture
def bench(shapes: Shapes) -> Bench:
    """A live lane whose table has an integer key."""
    made = Bench()
    made.store.next_xid = 200
    narrow = with_key(made.target, KeyColumn("id", "integer"))
    parts = made.sync
    made.sync = Sync(
        [narrow],
        made.store,
        made.settler,
        made.outbox,
        clock=made.clock,
        retry=parts._retry,
        settings=parts._settings,
        origin="vectrue",
        shapes=shapes,
    )
    return made


def with_key(target: Target, *key: KeyColumn) -> Target:
    return dataclasses.replace(target, key=key)


def test_a_key_beyond_the_type_of_before_is_read_with_the_type_of_now(
    bench: Bench, shapes: Shapes
) -> None:
    """The table is looked at before the event is given up, and the batch is done again
    (C1).
    """
    bench.put(1, "x")
    bench.put(BEYOND, "y")
    shapes.next = [[bench.target]]
    bench.sync.handle([bench.event(1, txid=101), bench.event(BEYOND, txid=101)])
    assert bench.is_current(1)
    assert bench.is_current(BEYOND)
    assert not bench.outbox.dead_letters
    assert not shapes.asked


def test_a_key_whose_transaction_is_in_hand_waits(bench: Bench, shapes: Shapes) -> None:
    """ALTER and INSERT in one transaction: until it is visible, the type of before is
    all there is.
    """
    bench.put(BEYOND, "y")
    bench.store.in_hand.add(101)
    bench.sync.handle([bench.event(BEYOND, txid=101)])
    assert not bench.outbox.dead_letters
    assert [chunk.keys for chunk in bench.outbox.deferred] == [((str(BEYOND),),)]
    bench.store.in_hand.clear()
    shapes.next = [[bench.target]]
    bench.clock.advance(60)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(BEYOND)


@pytest.mark.parametrize(
    ("txid", "letters", "asked"), [(99, 0, 1), (100, 0, 1), (101, 1, 1), (None, 1, 0)]
)
def test_an_event_of_before_the_change_is_no_bad_event(
    bench: Bench, shapes: Shapes, txid: int | None, letters: int, asked: int
) -> None:
    """Its table is looked at; one that came later is bad, and one that names no
    transaction did not come by capture.
    """
    bench.sync.renew(
        [with_key(bench.target, KeyColumn("region", "text"), KeyColumn("id", "integer"))]
    )
    bench.sync.handle([bench.event(1, txid=txid)])
    assert len(bench.outbox.dead_letters) == letters
    assert len(shapes.asked) == asked
    bench.sync.renew([with_key(bench.target, KeyColumn("id", "smallint"))])
    bench.sync.handle([bench.event(BEYOND, txid=txid)])
    assert len(bench.outbox.dead_letters) == 2 * letters
    assert len(shapes.asked) == 2 * asked


def test_a_text_that_cannot_be_made_is_the_rows_own_trouble_whenever_it_came(
    bench: Bench, shapes: Shapes
) -> None:
    """Its key fits, so it is the row that is bad: it goes to quarantine, and nothing
    else has to be looked at.
    """
    bench.put(1, "x")
    bench.store.unreadable.add(("1",))
    bench.sync.handle([bench.event(1, txid=99)])
    assert not bench.outbox.dead_letters
    assert (
        bench.store.quarantine["1",].reason
        == "its text cannot be made: Postgres raised InvalidTextRepresentation"
    )
    assert not shapes.asked


def test_a_deferred_row_of_another_key_is_looked_for(bench: Bench, shapes: Shapes) -> None:
    """Deferred, the primary key gets a column, the worker starts again: no dead letter,
    no error (F2).
    """
    bench.put(1, "x")
    bench.store.locked.add(("1",))
    bench.sync.handle([bench.event(1, txid=99)])
    bench.sync.renew(
        [with_key(bench.target, KeyColumn("region", "text"), KeyColumn("id", "integer"))]
    )
    bench.clock.advance(60)
    records = bench.deferred_records()
    bench.sync.handle_deferred(records)
    assert shapes.asked == [bench.target.table]
    assert not bench.outbox.dead_letters
    assert not bench.outbox.deferred
    empty = Record("t.deferred", 0, 9, None, (records[0].value or b"").replace(b'[["1"]]', b"[[]]"))
    bench.sync.handle_deferred([empty])
    assert len(bench.outbox.dead_letters) == 1


def test_a_row_that_a_replay_deferred_is_looked_for_too(bench: Bench, shapes: Shapes) -> None:
    """Its deferral names no change, but tells when its key was one of the table (F2)."""
    lane = test_chunks.Bench()
    lane.put("1", "x")
    lane.store.locked.add(("1",))
    record, _ = lane.chunk("1")
    list(lane.chunks.steps(record))
    (chunk,) = lane.outbox.deferred
    assert all(lane.store.read(lane.target, []).snapshot.sees(xid) for xid in chunk.deferral.txids)
    bench.sync.renew(
        [with_key(bench.target, KeyColumn("region", "text"), KeyColumn("id", "integer"))]
    )
    bench.clock.advance(60)
    bench.sync.handle_deferred([Record("t.deferred", 0, 9, None, chunk.encode())])
    assert shapes.asked == [bench.target.table]
    assert not bench.outbox.dead_letters


def test_a_deferred_key_that_never_was_one_is_a_dead_letter(bench: Bench, shapes: Shapes) -> None:
    """Nothing says that it is of before the table's key was changed: somebody has made
    it up.
    """
    now = bench.clock.now()
    chunk = DeferredRow(
        table=bench.target.table,
        column="embedding",
        model="m",
        keys=(("word",),),
        deferral=Deferral(since=now, not_before=now, attempt=1),
    )
    bench.sync.handle_deferred([Record("t.deferred", 0, 9, None, chunk.encode())])
    assert len(bench.outbox.dead_letters) == 1
    assert not shapes.asked


def test_a_deferred_row_goes_round_whatever_its_key_was(bench: Bench) -> None:
    """A text where the key is a number now is written as the text that it is."""
    now = bench.clock.now()
    deferral = Deferral(since=now, not_before=now, attempt=1)
    for text in ("no number", "17", "1" * 400):
        row = DeferredRow.of(bench.target, (text,), deferral)
        assert read_message(row.encode(bench.target.key)) == row


def chunks_with(bench: "test_chunks.Bench", shapes: Shapes, *key: KeyColumn) -> None:
    parts = bench.chunks
    bench.chunks = Chunks(
        [with_key(bench.target, *key)],
        bench.store,
        bench.store,
        parts._rows._settler,
        bench.outbox,
        clock=bench.clock,
        retry=parts._retry,
        settings=load(replay={"micro_batch": 2}),
        shapes=shapes,
    )


@pytest.mark.parametrize(
    "key",
    [(KeyColumn("region", "text"), KeyColumn("id", "bigint")), (KeyColumn("id", "smallint"),)],
)
def test_a_chunk_of_before_the_change_ends_as_obsolete(
    shapes: Shapes, key: tuple[KeyColumn, ...]
) -> None:
    """Whichever rows its keys meant: the run ends, nothing is dead-lettered, and the
    table is looked at.
    """
    bench = test_chunks.Bench()
    chunks_with(bench, shapes, *key)
    record, entry = bench.chunk("70000", "70001", "70002")
    list(bench.chunks.steps(record))
    assert test_chunks.counts(entry) == {"obsolete": 3}
    assert set(shapes.asked) == {bench.target.table}
    assert not bench.outbox.dead_letters


def test_a_chunk_ahead_of_its_worker_is_done_with_the_key_of_now(shapes: Shapes) -> None:
    """A run that was planned after the change: the worker looks, and goes on from where
    the chunk stands.
    """
    bench = test_chunks.Bench()
    chunks_with(bench, shapes, KeyColumn("id", "smallint"))
    bench.put("70000", "x")
    shapes.next = [[bench.target]]
    record, entry = bench.chunk("70000")
    assert list(bench.chunks.steps(record)) == [0, 1]
    assert test_chunks.counts(entry) == {"embedded": 1}
    assert entry.done == 1


def test_a_mismatch_is_looked_at_twice_before_it_ends_a_lane(bench: Bench, shapes: Shapes) -> None:
    """A step of somebody's migration passes; what stays is raised, and what needs a new
    process at once.
    """
    bench.put(1, "x")
    read, errors = bench.store.read, [ConfigurationError("column does not exist")]

    def failing(target: Target, keys: Sequence[tuple[str, ...]], characters: int = 9):  # type: ignore[no-untyped-def] # as the port
        if errors:
            raise errors[-1]
        return read(target, keys, characters)

    bench.store.read = failing  # type: ignore[method-assign] # fails from outside
    with pytest.raises(ConfigurationError, match="column does not exist"):
        bench.sync.handle([bench.event(1)])
    assert bench.clock.waits == [3.0]

    wait = bench.clock.wait

    def fixed(seconds: float) -> None:
        wait(seconds)
        errors.clear()

    bench.clock.wait = fixed  # type: ignore[method-assign] # somebody's next step
    bench.sync.handle([bench.event(1)])
    assert bench.is_current(1)


def test_what_needs_another_process_is_not_waited_for() -> None:
    """Other models are taken by a process that starts again; a row's trouble is not a
    table's.
    """
    clock = MemoryClock()
    adaptation = Adaptation(
        FixedShapes(), lambda _: None, clock, RetryPolicy(clock, seconds=30, lane="live")
    )
    assert not adaptation.again(TargetMismatch("another model"))
    assert adaptation.again(ConfigurationError("a column is gone"))
    assert not adaptation.again(ConfigurationError("a column is gone"))
    adaptation.settled()
    assert adaptation.again(ConfigurationError("another one"))
    assert clock.waits == [3.0, 3.0]
    FixedShapes().ask(TableName("public", "posts"), "for the log")
    assert MemoryRow("x").vector is None


def test_a_key_that_stands_for_several_rows_makes_the_lane_look(
    bench: Bench, shapes: Shapes
) -> None:
    """The key got a column, and the lane does not know yet: what it reads is done again
    with the key of now.
    """
    bench.put(1, "x")
    read = bench.store.read

    def doubled(target: Target, keys: Sequence[tuple[str, ...]], characters: int = 9) -> Reading:
        reading = read(target, keys, characters)
        return dataclasses.replace(reading, documents=[*reading.documents, *reading.documents])

    bench.store.read = doubled  # type: ignore[method-assign] # one more row of that number
    bench.sync.handle([bench.event(1)])
    assert shapes.looks == 1
    assert bench.is_current(1)
    other = test_chunks.Bench()
    chunks_with(other, shapes, KeyColumn("id", "bigint"))
    other.put("1", "x")
    other.store.read = lambda _, keys, characters=9: doubled(bench.target, keys, characters)  # type: ignore[method-assign,assignment] # as above
    record, entry = other.chunk("1")
    list(other.chunks.steps(record))
    assert test_chunks.counts(entry) == {"obsolete": 1}
