"""A replay chunk of long texts is done in parts, each of them entered in the ledger."""

from connectors.twins.memory import LedgerEntry, MemoryRow
from schemas.health import metrics
from schemas.messages.record import Record
from streams.worker import parts
from tests.unit.streams.worker.test_parts import LONG, SECONDS, long
from tests.unit.streams.worker.test_replay import Bench as ReplayBench
from tests.unit.streams.worker.test_replay import counts


def long_chunk(count: int) -> tuple[ReplayBench, Record, LedgerEntry]:
    """A replay lane with a chunk of so many long texts."""
    bench = ReplayBench(64, SECONDS / LONG)
    for key in range(count):
        bench.put(str(key), long(key))
    return bench, *bench.chunk(*map(str, range(count)))


def test_a_chunk_of_long_texts_moves_in_parts() -> None:
    """Each part is in the ledger as soon as it is written, and a worker killed in
    between costs none of it.
    """
    bench, record, entry = long_chunk(8)
    steps = bench.chunks.steps(record)
    for done in (1, 2, 3):
        began = bench.clock.monotonic()
        assert next(steps) == 1
        assert bench.clock.monotonic() - began <= SECONDS + parts.SECONDS
        assert entry.done == done
    assert metrics.BATCH_ROWS_LEFT.labels("replay")._value.get() == 5
    del steps
    assert list(bench.chunks.steps(record)) == [1] * 5
    assert (counts(entry), bench.embedder.texts_encoded) == ({"embedded": 8}, 8)
    assert metrics.BATCH_ROWS_LEFT.labels("replay")._value.get() == 0


def test_a_chunk_that_is_given_back_leaves_nothing_in_hand() -> None:
    """A run paused within a long chunk: the metric tells of what a worker has, not of
    what is to come.
    """
    bench, record, entry = long_chunk(8)
    steps = bench.chunks.steps(record)
    assert next(steps) == 1
    entry.state = "paused"
    assert list(steps) == []
    assert entry.returned
    assert metrics.BATCH_ROWS_LEFT.labels("replay")._value.get() == 0


def test_a_part_of_a_chunk_is_its_next_keys() -> None:
    """Whatever rows stand between the long ones, each is counted once, in the part that
    comes to it.
    """
    bench = ReplayBench(64, SECONDS / LONG)
    for key in "159":
        bench.put(key, long(int(key)))
    bench.put("3", None)
    bench.put("4", "short")
    bench.store.rows["6",] = MemoryRow(None)
    bench.store.unreadable.add(("7",))
    bench.put("7", "x")
    record, entry = bench.chunk("1", "2", "3", "4", "5", "6", "7", "8", "9")
    steps = [step for step in bench.chunks.steps(record) if isinstance(step, int)]
    assert sum(steps) == entry.done == 9
    assert counts(entry) == {"embedded": 4, "gone": 2, "blank": 2, "quarantined": 1}
    assert bench.embedder.texts_encoded == 4
    assert len(steps) > 2


def test_parts_of_a_chunk_take_their_room_under_a_rate_once() -> None:
    """A rate counts rows, not parts."""
    bench, record, entry = long_chunk(8)
    entry.rate = 4.0
    list(bench.chunks.steps(record))
    assert (entry.done, entry.slots) == (8, 8 / 4.0)
