"""The live lane on twins: what a batch of events does to rows, vectors and the model."""

import dataclasses
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from connectors.twins.memory import MemoryRow
from schemas.errors import DeadLetterLimitReached, Stopping, TableLocked, TransientError
from schemas.messages.chunk import Chunk, DeferredRow
from schemas.messages.record import Record
from schemas.rows.document import Reading, Written
from schemas.rows.table import TableName
from tests.support.sync_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_changed_row_gets_its_vector(bench: Bench) -> None:
    """One event, one text through the model, one current row."""
    bench.put(1, "x")
    bench.sync.handle([bench.event(1)])
    assert bench.is_current(1)
    assert bench.embedder.texts_encoded == 1


def test_several_changes_of_one_row_cost_one_encode(bench: Bench) -> None:
    """A batch with many events of one row encodes its text once."""
    bench.put(1, "x")
    bench.sync.handle([bench.event(1) for _ in range(10)])
    assert bench.embedder.texts_encoded == 1


def test_equal_texts_cost_one_encode(bench: Bench) -> None:
    """Rows with the same text share one encode, and both are current."""
    bench.put(1, "same")
    bench.put(2, "same")
    bench.sync.handle([bench.event(1), bench.event(2)])
    assert bench.embedder.texts_encoded == 1
    assert bench.is_current(1)
    assert bench.is_current(2)


def test_echoes_and_redeliveries_encode_nothing(bench: Bench) -> None:
    """An event for a row that is current costs one look-up and no encode (I7)."""
    bench.put(1, "x")
    bench.sync.handle([bench.event(1)])
    bench.sync.handle([bench.event(1), bench.event(1)])
    assert bench.embedder.texts_encoded == 1


def test_own_writes_are_dropped_by_origin(bench: Bench) -> None:
    """Where the server cannot filter by origin, an event labelled with ours is not even
    read.
    """
    bench.put(1, "x")
    bench.sync.handle([bench.event(1, origin="vectrue_3")])
    assert bench.store.reads == 0
    bench.sync.handle([bench.event(1, origin="somebody_else")])
    assert bench.is_current(1)


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_blank_text_clears_the_vector(bench: Bench, text: str | None) -> None:
    """When the text goes away, so do vector and provenance; the model is not asked."""
    bench.put(1, "x")
    bench.sync.handle([bench.event(1)])
    old = bench.store.rows["1",]
    bench.store.rows["1",] = MemoryRow(text, old.vector, old.hash, old.model)
    bench.sync.handle([bench.event(1)])
    assert bench.store.rows["1",] == MemoryRow(text)
    assert bench.embedder.texts_encoded == 1


def test_deleted_rows_and_deletes_need_nothing(bench: Bench) -> None:
    """An event for a row that is gone, and a delete, are handled without a write or a
    dead letter.
    """
    bench.sync.handle([bench.event(1), bench.event(2, op="d")])
    assert not bench.outbox.dead_letters
    assert not bench.outbox.deferred


def test_one_bad_event_harms_no_neighbour(bench: Bench) -> None:
    """Bytes that are no event, a table nobody configured and a key of the wrong type go
    to the dead letters (I10).
    """
    bench.put(1, "x")
    bad = [
        Record("t", 0, 1, None, b"{"),
        bench.event(2, table="unknown"),
        bench.event("not a number"),
    ]
    bench.sync.handle([bad[0], bench.event(1), *bad[1:]])
    assert bench.is_current(1)
    assert [(record, stage) for record, _, stage in bench.outbox.dead_letters] == [
        (bad[0], "decode"),
        (bad[1], "decode"),
        (bad[2], "read"),
    ]


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


def test_a_service_that_comes_back_costs_no_second_encode(bench: Bench) -> None:
    """When the write fails for a while it is tried again with the vectors already made
    (I7).
    """
    bench.put(1, "x")
    write = bench.store.write
    failures = iter([True, True, False])

    def flaky(*args: Any, **kwargs: Any) -> Any:
        if next(failures):
            raise TransientError("Postgres is away")
        return write(*args, **kwargs)

    bench.store.write = flaky  # type: ignore[method-assign] # a service that is away twice
    bench.sync.handle([bench.event(1)])
    assert bench.is_current(1)
    assert bench.embedder.texts_encoded == 1


def test_a_service_that_stays_away_ends_the_patience(bench: Bench) -> None:
    """After `retry_seconds` of growing waits the error reaches the caller, which must
    not acknowledge.
    """

    def away(*_: Any, **__: Any) -> Any:
        raise TransientError("Postgres is away")

    bench.put(1, "x")
    bench.store.read = away  # type: ignore[method-assign] # a service that is away for good
    with pytest.raises(TransientError):
        bench.sync.handle([bench.event(1)])
    assert 30 <= sum(bench.clock.waits) <= 30 + 11
    assert bench.clock.waits[-1] > bench.clock.waits[0]


def test_stopping_leaves_the_batch(bench: Bench) -> None:
    """A process that is asked to stop while it waits raises Stopping: nothing is
    acknowledged.
    """
    bench.put(1, "x")
    bench.store.locked.add(("1",))
    bench.clock.stopping = True
    with pytest.raises(Stopping):
        bench.sync.handle([bench.event(1)])


def test_a_text_edited_while_it_was_embedded_is_not_overwritten(bench: Bench) -> None:
    """The vector of the older text is dropped, and the edit's own event brings the
    right one (I4).
    """
    bench.put(1, "old")
    encode = bench.embedder.encode_documents

    def edited_meanwhile(texts: Any) -> Any:
        vectors = encode(texts)
        bench.put(1, "new")
        return vectors

    bench.embedder.encode_documents = edited_meanwhile  # type: ignore[method-assign] # an edit during the encode
    bench.sync.handle([bench.event(1)])
    assert bench.store.rows["1",].vector is None
    bench.embedder.encode_documents = encode  # type: ignore[method-assign] # back to normal
    bench.sync.handle([bench.event(1)])
    assert bench.is_current(1)


def test_a_poison_text_is_quarantined_and_its_neighbours_written(bench: Bench) -> None:
    """One text that the model cannot take costs the others nothing; it is tried again
    when it changes (I10, I7).
    """
    texts = {key: f"text {key}" for key in range(1, 21)}
    for key, text in texts.items():
        bench.put(key, text)
    encode = bench.embedder.encode_documents

    def picky(batch: Any) -> Any:
        if "text 7" in batch:
            raise ValueError("no")
        return encode(batch)

    bench.embedder.encode_documents = picky  # type: ignore[method-assign,assignment] # one text is refused
    bench.sync.handle([bench.event(key) for key in texts])
    assert [key for key in texts if not bench.is_current(key)] == [7]
    assert set(bench.store.quarantine) == {("7",)}
    calls = bench.embedder.calls
    bench.sync.handle([bench.event(7)])
    assert bench.embedder.calls == calls
    bench.put(7, "a better text")
    bench.sync.handle([bench.event(7)])
    assert bench.is_current(7)
    assert not bench.store.quarantine


def test_written_names_are_the_metrics_outcomes() -> None:
    """The outcomes of a write are the words that metrics, ledger and documents use."""
    assert [w.value for w in Written] == ["written", "changed", "locked", "again", "quarantined"]


def test_a_flood_stops_the_lane_before_a_bad_event_is_moved(bench: Bench) -> None:
    """Good events of the batch are done, no bad one is in the dead letters, and the
    lane says which topic it is.
    """
    bench.put(1, "x")
    batch = [
        bench.event(1),
        *[Record("t.public.questions", 0, 1000 + i, None, b"{") for i in range(101)],
    ]
    with pytest.raises(
        DeadLetterLimitReached, match=r"101 events in a row of topic t\.public\.questions"
    ):
        bench.sync.handle(batch)
    assert bench.is_current(1)
    assert not bench.outbox.dead_letters


def test_keys_of_the_wrong_type_count_as_a_flood_too(bench: Bench) -> None:
    """Events that only the database finds to be bad are bad events."""
    with pytest.raises(DeadLetterLimitReached, match="in a row"):
        bench.sync.handle([bench.event(f"word {i}") for i in range(101)])


def test_tombstones_are_no_bad_events(bench: Bench) -> None:
    """A topic full of tombstones is no flood."""
    bench.sync.handle([Record("t.public.questions", 0, i, b"{}", None) for i in range(1000)])
    assert not bench.outbox.dead_letters
