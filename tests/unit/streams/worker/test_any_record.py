"""Any record in any topic may be anything: one record is one dead letter at most, and
harms nobody (I10).
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.twins.memory import MemoryClock, MemoryOutbox
from schemas.errors import PoisonEvent, TableLocked
from schemas.messages.chunk import Chunk
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.record import Record
from schemas.rows.document import Reading
from schemas.rows.table import TableName
from schemas.settings.sections import DeadLetterSettings
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.watches.canary import CanaryArrivals
from tests.support import malformed
from tests.support.sync_bench import Bench
from tests.unit.streams.worker import test_replay as test_chunks

COUNT = 300
NO_OPS = {"tombstone", "no message", "letter", "wrong type", "huge number", "hypothesis"}
"""Of these some have no value, or name a row that is not there: passed over, and
counted.
"""


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.sync._dead_letter_limit = DeadLetterLimit(
        DeadLetterSettings(most_in_a_row=0, most_share=0)
    )
    return made


def as_records(events: Sequence[malformed.Event], topic: str) -> list[Record]:
    headers = [
        tuple((n, v.encode() if isinstance(v, str) else v) for n, v in event.headers)
        for event in events
    ]
    return [Record(topic, 0, i, e.key, e.value, headers[i]) for i, e in enumerate(events)]


def judge(outbox: MemoryOutbox, events: Sequence[malformed.Event], quiet: Collection[str]) -> None:
    """Each record has one letter at most, and only `quiet` kinds may have none."""
    letters = Counter(record.offset for record, _, _ in outbox.dead_letters)
    assert set(letters.values()) == {1}
    assert {event.kind for i, event in enumerate(events) if i not in letters} <= set(quiet)
    assert all(len(reason) < 1_000 for _, reason, _ in outbox.dead_letters)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_the_deferred_topic(bench: Bench, seed: int) -> None:
    """Rows that are well told of are made true; all else is a dead letter each,
    whichever topic it was made for.
    """
    bench.put(1, "x")
    bench.store.locked.add(("1",))
    bench.sync.handle([bench.event(1)])
    good = dataclasses.replace(bench.deferred_records()[0], offset=COUNT)
    bench.store.locked.clear()
    bench.clock.advance(60)
    events = malformed.records(malformed.DEFERRED, COUNT, seed_=seed)
    records = [*as_records(events, "t.deferred"), good]
    for start in range(0, len(records), 64):
        assert bench.sync.due_in(records[start : start + 64]) == 0
        bench.sync.handle_deferred(records[start : start + 64])
    assert bench.is_current(1)
    assert not bench.outbox.deferred
    judge(bench.outbox, events, ())


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_a_table_topic(bench: Bench, seed: int) -> None:
    """The same, with what was made for the other topics."""
    bench.put(1, "x")
    events = malformed.records(malformed.HAND_MADE, COUNT, seed_=seed)
    for record in as_records(events, "t.public.questions"):
        bench.sync.handle([record])
    bench.sync.handle([bench.event(1)])
    assert bench.is_current(1)
    judge(bench.outbox, events, NO_OPS)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_the_replay_topic(seed: int) -> None:
    """The run's own chunk is done, and its ledger counts it once."""
    bench = test_chunks.Bench()
    bench.chunks._dead_letter_limit = DeadLetterLimit(
        DeadLetterSettings(most_in_a_row=0, most_share=0)
    )
    bench.put("1", "x")
    good, entry = bench.chunk("1")
    events = malformed.records(malformed.REPLAY, COUNT, seed_=seed)
    for record in as_records(events, "t.replay"):
        assert list(bench.chunks.steps(record)) == []
    assert list(bench.chunks.steps(good)) == [1]
    assert test_chunks.counts(entry) == {"embedded": 1}
    judge(bench.outbox, events, {"run and deferral"})


class Desk:
    """Notes beats as Postgres would."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def arrived(self, records: Sequence[Any], worker_at: datetime) -> None:
        assert all(type(one.beat.number) is int and 0 < one.beat.number < 2**63 for one in records)
        assert all(
            one.beat.sent_at < worker_at + timedelta(days=9_999_999 // 100) for one in records
        )
        self.noted += [one.beat.number for one in records]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_the_topic_of_the_canary(bench: Bench, seed: int) -> None:
    """Beats are noted that stand beside it in a batch; what is none goes through the
    lane.
    """
    desk = Desk()
    arrivals = CanaryArrivals(bench.sync.handle, desk, "t", MemoryClock())  # type: ignore[arg-type]  # a twin of what is used
    source = {"schema": "vectrue", "table": "canary", "ts_ms": 1767225600000}
    row = {"prefix": "t", "beat": 7, "sent_at": "2026-01-01T00:00:00Z"}
    good = Record(
        "t.vectrue.canary",
        0,
        COUNT,
        None,
        json.dumps({"op": "u", "source": source, "after": row}).encode(),
    )
    events = malformed.records(malformed.CANARY, COUNT, seed_=seed)
    for record in as_records(events, "t.vectrue.canary"):
        arrivals.handle([record, good])
    assert desk.noted == [7] * COUNT
    judge(bench.outbox, events, NO_OPS)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_the_dead_letter_topic(seed: int) -> None:
    """Each record is read back, and one that names a place that cannot be stands under
    its own.
    """
    for record in as_records(malformed.records(malformed.LETTERS, COUNT, seed_=seed), "t.dlq"):
        letter = DeadLetter.parse(record)
        assert "\x00" not in letter.id
        assert letter.id.isascii()
        if letter.original is not None:
            assert 0 <= letter.original.partition < 2**31
            assert 0 <= letter.original.offset < 2**63


def deferred(bench: Bench, *keys: Any, **changed: Any) -> Record:
    """A record of the deferred topic, its deferral's fields replaced; due by the
    bench's clock.
    """
    now = bench.clock.now()
    told = {
        "since": now.isoformat(),
        "not_before": now.isoformat(),
        "attempt": 1,
        "txids": [],
        **changed,
    }
    bench.offset += 1
    return Record(
        "t.deferred",
        0,
        bench.offset,
        None,
        json.dumps(malformed.message(*keys, deferral=told)).encode(),
    )


@pytest.mark.parametrize(
    ("keys", "changed"),
    [(([1],), {"since": "2026-01-01T00:00:00", "not_before": "2026-01-01T00:00:00"}), (([],), {})],
)
def test_a_deferred_row_without_a_zone_or_a_key_is_a_dead_letter(
    bench: Bench, keys: tuple[Any, ...], changed: dict[str, str]
) -> None:
    """The lane goes on with the row beside it (F1)."""
    bench.put(2, "y")
    bad = deferred(bench, *keys, **changed)
    assert bench.sync.due_in([bad]) == 0
    bench.sync.handle_deferred([bad, deferred(bench, [2])])
    assert [(record, stage) for record, _, stage in bench.outbox.dead_letters] == [(bad, "decode")]
    assert bench.is_current(2)


def test_a_deferred_row_that_cannot_be_handed_on_is_a_dead_letter(bench: Bench) -> None:
    """Larger than a record that a broker takes by default, with a time that would send
    it round again.
    """
    bench.put(2, "y")
    later = (bench.clock.now() + timedelta(seconds=20)).isoformat()
    bad = deferred(bench, ["k" * 1_000_000], not_before=later)
    bench.sync.handle_deferred([bad, deferred(bench, [2])])
    assert [record for record, *_ in bench.outbox.dead_letters] == [bad]
    assert bench.is_current(2)


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=365 * 7_000)])
def test_a_row_that_is_to_wait_for_longer_than_any_is_looked_at(
    bench: Bench, ahead: timedelta
) -> None:
    """A clock that was wrong, or a time that somebody made up: it is not carried round
    for ever.
    """
    bench.put(1, "x")
    at = (bench.clock.now() + ahead).isoformat()
    record = deferred(bench, [1], since=at, not_before=at)
    assert bench.sync.due_in([record]) == 0
    bench.sync.handle_deferred([record])
    assert bench.is_current(1)


def test_a_row_from_the_future_waits_for_a_lost_transaction_no_longer_than_any(
    bench: Bench,
) -> None:
    """Its time counts from now, and its attempts from a number that can be written."""
    bench.put(1, "x")
    bench.store.next_xid = 400
    bench.sync.handle_deferred(
        [deferred(bench, [1], since="9000-01-01T00:00:00Z", attempt=10**9, txids=[500])]
    )
    assert not bench.is_current(1)
    for _ in range(2):
        bench.clock.advance(3601)
        bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)
    assert not bench.outbox.dead_letters


def locked(_: object, keys: Sequence[object], characters: int = 0) -> Reading:
    raise TableLocked


@pytest.mark.parametrize("key", ["no number", "9" * 5_000])
def test_a_key_that_is_no_number_while_its_table_is_locked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """It is put off with its neighbours, and is one dead letter as soon as the table
    can be read.
    """
    bench.put(1, "x")
    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "read", locked)
        bench.sync.handle([bench.event(key, txid=50), bench.event(1)])
    for _ in range(3):
        bench.clock.advance(60)
        bench.sync.handle_deferred(bench.deferred_records())
    assert [stage for _, _, stage in bench.outbox.dead_letters] == ["read"]
    assert bench.is_current(1)


def test_a_key_too_long_to_be_sent_on_is_a_dead_letter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record of the deferred topic could hold it: the broker would refuse it for
    ever.
    """
    bench.put(1, "x")
    long = bench.event("x" * 500_000)
    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "read", locked)
        bench.sync.handle([long, bench.event(1)])
    assert [(record, stage) for record, _, stage in bench.outbox.dead_letters] == [(long, "defer")]
    assert [chunk.keys for chunk in bench.outbox.deferred] == [(("1",),)]


def test_more_transactions_than_a_record_holds_are_waited_for_all_the_same(bench: Bench) -> None:
    """A row that changed 25,000 times while a standby was away is deferred in parts,
    and none is forgotten.
    """
    bench.put(1, "x")
    xids = set(range(1_000, 26_000))
    bench.store.in_hand |= xids
    bench.store.next_xid = 26_000
    bench.sync.handle_deferred([deferred(bench, [1], txids=sorted(xids))])
    told = [row.deferral.txids for row in bench.outbox.deferred]
    assert [len(txids) for txids in told] == [10_000, 10_000, 5_000]
    assert set().union(*told) == xids
    bench.clock.advance(60)
    bench.store.in_hand.clear()
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)


def other_messages(bench: test_chunks.Bench, entered: Chunk) -> Iterator[bytes]:
    """What a message of a chunk may say that its run did not enter."""
    yield dataclasses.replace(entered, keys=(*entered.keys, ("3",), ("4",))).encode()
    yield dataclasses.replace(entered, keys=entered.keys[:1]).encode()
    yield dataclasses.replace(entered, keys=(("word",), ("1", "2"))).encode()
    yield dataclasses.replace(entered, table=TableName("public", "other")).encode()
    yield dataclasses.replace(entered, model="older").encode()
    yield dataclasses.replace(entered, column="other").encode()


@pytest.mark.parametrize("which", range(6))
def test_the_ledger_says_which_keys_a_chunk_has(which: int) -> None:
    """A message that says otherwise is one dead letter, and the chunk is done as its
    run entered it, once.
    """
    bench = test_chunks.Bench()
    for key in "1234":
        bench.put(key, f"text {key}")
    record, entry = bench.chunk("1", "2")
    value = list(other_messages(bench, entry.chunk))[which]
    assert list(bench.chunks.steps(dataclasses.replace(record, value=value, offset=1))) == [2]
    assert list(bench.chunks.steps(record)) == []
    assert test_chunks.counts(entry) == {"embedded": 2}
    assert bench.store.rows["3",].vector is None
    assert [letter.offset for letter, _, _ in bench.outbox.dead_letters] == [1]


def test_a_chunk_with_a_deferral_is_a_dead_letter() -> None:
    """It is neither a chunk nor a deferred row: the run's own message does the chunk."""
    bench = test_chunks.Bench()
    bench.put("1", "text")
    record, entry = bench.chunk("1")
    now = bench.clock.now().isoformat()
    both = json.loads(entry.chunk.encode())
    both["deferral"] = {"since": now, "not_before": now, "attempt": 1}
    value = json.dumps(both).encode()
    assert list(bench.chunks.steps(dataclasses.replace(record, value=value, offset=1))) == []
    assert list(bench.chunks.steps(record)) == [1]
    assert test_chunks.counts(entry) == {"embedded": 1}
    assert [letter.offset for letter, _, _ in bench.outbox.dead_letters] == [1]


def test_a_chunk_of_an_unknown_run_is_passed_over() -> None:
    """As after a database was restored: the ledger knows of nothing to be done, and
    hundreds of them are no flood.
    """
    bench = test_chunks.Bench()
    for number in range(300):
        chunk = Chunk(
            run=uuid4(),
            number=number,
            table=test_chunks.NAME,
            column="embedding",
            model=bench.target.model,
            keys=(("1",),),
        )
        assert list(bench.chunks.steps(Record("t.replay", 0, number, None, chunk.encode()))) == []
    assert not bench.outbox.dead_letters
    assert not bench.store.reads


@pytest.mark.parametrize("names", ["partition", "offset"])
def test_a_number_of_a_letter_may_be_any_text(names: str) -> None:
    """Python reads no number of 5,000 digits; a letter that holds one is listed under
    its own place.
    """
    told = {"topic": b"t.public.questions", "partition": b"0", "offset": b"5"} | {
        names: b"9" * 5_000
    }
    headers = tuple((f"__connect.errors.{name}", value) for name, value in told.items())
    letter = DeadLetter.parse(Record("t.dlq", 0, 3, None, None, headers))
    assert (letter.id, letter.original) == ("t.dlq/0/3", None)


def test_what_a_reason_quotes_is_cut() -> None:
    """A key of a megabyte stands in no log line, header or metric."""
    assert len(str(PoisonEvent(f"a key {'x' * 1_000_000}"))) < 600


def test_times_of_any_zone_are_compared(bench: Bench) -> None:
    """The outermost times that can be written."""
    bench.put(1, "x")
    first, last = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"
    assert datetime.fromisoformat(first) < datetime.now(UTC)
    bench.sync.handle_deferred([deferred(bench, [1], since=first, not_before=last)])
    assert bench.is_current(1)
