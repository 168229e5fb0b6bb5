"""The live lane on twins: what a batch of events does to rows, vectors and the model."""

from typing import Any

import pytest

from connectors.twins.memory import MemoryRow
from schemas.errors import DeadLetterLimitReached, Stopping, TransientError
from schemas.messages.record import Record
from schemas.rows.document import Written
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
