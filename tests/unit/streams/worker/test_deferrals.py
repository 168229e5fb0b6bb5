"""Rows that the live lane cannot handle yet: it defers them, goes on with their neighbours and
comes back later.
"""

import dataclasses
from collections.abc import Sequence
from uuid import uuid4

import pytest

from connectors.twins.memory import MemoryRow
from schemas.errors import TableLocked
from schemas.messages.chunk import Chunk, DeferredRow
from schemas.messages.record import Record
from schemas.rows.document import Reading
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from tests.support.sync_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_early_event_is_read_again_until_its_transaction_is_visible(bench: Bench) -> None:
    """An event whose transaction the read cannot see is never taken for 'nothing
    changed'.
    """
    bench.put(1, "old")
    bench.sync.handle([bench.event(1)])
    bench.store.in_hand.add(500)
    bench.store.next_xid = 501
    wait = bench.clock.wait

    def commit_after(seconds: float) -> None:
        wait(seconds)
        if len(bench.clock.waits) == 3:
            old = bench.store.rows["1",]
            bench.store.rows["1",] = MemoryRow("new", old.vector, old.hash, old.model)
            bench.store.in_hand.clear()

    bench.clock.wait = commit_after  # type: ignore[method-assign] # the commit happens while the lane waits
    bench.sync.handle([bench.event(1, txid=500)])
    assert bench.is_current(1)
    assert not bench.outbox.deferred


def test_an_event_that_stays_early_is_deferred_and_its_neighbour_written(bench: Bench) -> None:
    """After the bounded wait the row goes to the deferred topic with its transaction;
    the rest is done at once.
    """
    bench.put(1, "old")
    bench.put(2, "y")
    bench.store.in_hand.add(500)
    bench.store.next_xid = 501
    bench.sync.handle([bench.event(1, txid=500), bench.event(2)])
    assert bench.is_current(2)
    (chunk,) = bench.outbox.deferred
    assert chunk.keys == (("1",),)
    assert chunk.deferral.txids == (500,)


def test_a_deferred_row_comes_back_until_it_is_visible(bench: Bench) -> None:
    """Not due, a deferred row goes round; due but early it is deferred for longer;
    visible it is written.
    """
    bench.put(1, "x")
    bench.store.in_hand.add(500)
    bench.store.next_xid = 501
    bench.sync.handle([bench.event(1, txid=500)])
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.outbox.deferred[0].deferral.attempt == 1
    bench.clock.advance(2)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.outbox.deferred[0].deferral.attempt == 2
    bench.clock.advance(5)
    bench.store.in_hand.clear()
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)
    assert not bench.outbox.deferred


def test_rows_that_are_not_due_go_round_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wait for Kafka for all of them: live changes share the thread, and there may
    be thousands.
    """
    bench.store.locked |= {(str(key),) for key in range(20)}
    for key in range(20):
        bench.put(key, "x")
    bench.sync.handle([bench.event(key) for key in range(20)])
    sends: list[int] = []
    send = bench.outbox.send_deferred

    def counted(rows: Sequence[DeferredRow]) -> None:
        sends.append(len(rows))
        send(rows)

    monkeypatch.setattr(bench.outbox, "send_deferred", counted)
    bench.sync.handle_deferred(bench.deferred_records())
    assert sends == [20]
    assert len(bench.outbox.deferred) == 20


def test_two_deferrals_of_one_row_wait_for_both_transactions(bench: Bench) -> None:
    """When two changes of a row are deferred and come back together, neither
    transaction is forgotten.
    """
    bench.put(1, "x")
    bench.store.in_hand |= {500, 501}
    bench.store.next_xid = 502
    bench.sync.handle([bench.event(1, txid=500)])
    bench.sync.handle([bench.event(1, txid=501)])
    bench.clock.advance(60)
    bench.store.in_hand.discard(501)
    bench.sync.handle_deferred(bench.deferred_records())
    (chunk,) = bench.outbox.deferred
    assert set(chunk.deferral.txids) == {500, 501}


def test_a_transaction_lost_in_a_failover_is_not_waited_for_for_ever(bench: Bench) -> None:
    """After `defer_limit_seconds` the row is taken as it stands."""
    bench.put(1, "x")
    bench.store.next_xid = 400
    bench.sync.handle([bench.event(1, txid=500)])
    bench.clock.advance(3601)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)


def test_a_commit_that_the_server_still_holds_is_waited_for_however_long(bench: Bench) -> None:
    """A standby that is away for longer than `defer_limit_seconds` does not make the
    old text pass for the new one.
    """
    bench.put(1, "old")
    bench.store.in_hand.add(500)
    bench.store.next_xid = 501
    bench.sync.handle([bench.event(1, txid=500)])
    for _ in range(3):
        bench.clock.advance(3601)
        bench.sync.handle_deferred(bench.deferred_records())
        assert bench.store.rows[("1",)].vector is None
    bench.store.in_hand.clear()
    bench.put(1, "new")
    bench.clock.advance(60)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)


def test_a_row_deferred_for_a_whole_night_is_deferred_once_more(bench: Bench) -> None:
    """The doubled pause stays within 30 s however often the row was looked at in vain."""
    bench.put(1, "x")
    bench.store.locked.add(("1",))
    bench.sync.handle([bench.event(1)])
    (chunk,) = bench.outbox.deferred
    bench.outbox.deferred = [
        dataclasses.replace(chunk, deferral=dataclasses.replace(chunk.deferral, attempt=5000))
    ]
    bench.clock.advance(60)
    bench.sync.handle_deferred(bench.deferred_records())
    (again,) = bench.outbox.deferred
    assert (again.deferral.not_before - bench.clock.now()).total_seconds() == 30


def test_a_locked_table_is_deferred_at_once_and_asked_again_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a table that somebody locks as a whole are handed on, the next batches of
    it without even a look.
    """
    bench.put(1, "x")
    bench.put(2, "y")
    asked: list[int] = []

    def locked(target: object, keys: Sequence[object], characters: int) -> Reading:
        asked.append(len(keys))
        bench.clock.advance(2)
        raise TableLocked

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "read", locked)
        bench.sync.handle([bench.event(1)])
        bench.sync.handle([bench.event(2)])
    assert (asked, len(bench.outbox.deferred)) == ([1], 2)
    bench.clock.advance(5)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)
    assert bench.is_current(2)


def test_a_row_found_unreadable_before_its_table_was_locked_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its quarantine entry was not written yet: it is deferred with the rows that were
    not read.
    """
    bench.put(1, "x")
    bench.put(2, "y")
    bench.store.unreadable.add(("1",))
    read = bench.store.read

    def locked(target: Target, keys: Sequence[Key], characters: int) -> Reading:
        if keys == [("2",)]:
            raise TableLocked
        return read(target, keys, characters)

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "read", locked)
        patch.setattr(bench.clock, "wait", bench.clock.advance)
        bench.sync.handle([bench.event(1), bench.event(2)])
    assert {row.key for row in bench.outbox.deferred} == {("1",), ("2",)}
    bench.clock.advance(5)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.store.quarantine.keys() == {("1",)}
    assert bench.is_current(2)


def test_a_deferred_row_that_nobody_can_place_is_dead_lettered(bench: Bench) -> None:
    """Bytes that are no chunk, a chunk of a run, and a table nobody configured are not
    passed over in silence.
    """
    bench.put(1, "x")
    bench.store.locked.add(("1",))
    bench.sync.handle([bench.event(1)])
    (deferred,) = bench.outbox.deferred
    elsewhere = dataclasses.replace(deferred, table=TableName("public", "other"))
    of_a_run = Chunk(
        run=uuid4(),
        number=1,
        table=deferred.table,
        column=deferred.column,
        model=deferred.model,
        keys=deferred.keys,
    )
    values = [b"{", elsewhere.encode(), of_a_run.encode()]
    bench.sync.handle_deferred(
        [Record("t.deferred", 0, i, None, value) for i, value in enumerate(values)]
    )
    assert [stage for _, _, stage in bench.outbox.dead_letters] == ["decode"] * 3


def test_a_locked_row_is_deferred_and_written_later(bench: Bench) -> None:
    """A row that somebody holds does not hold the batch; it is current once it is free
    and due.
    """
    bench.put(1, "x")
    bench.put(2, "y")
    bench.store.locked.add(("1",))
    bench.sync.handle([bench.event(1), bench.event(2)])
    assert bench.is_current(2)
    assert not bench.is_current(1)
    bench.store.locked.clear()
    bench.clock.advance(2)
    bench.sync.handle_deferred(bench.deferred_records())
    assert bench.is_current(1)
    assert bench.embedder.texts_encoded == 3
