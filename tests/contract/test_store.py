"""The contract of `Store` and `Ledger`, held by the in-memory twin and by Postgres
alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from connectors.twins.memory import sha256
from schemas.errors import PoisonEvent, TargetMismatch
from schemas.messages.chunk_ledger import ChunkAdvance, LedgerConflict
from schemas.reports.replay import ChunkState
from schemas.rows.document import Decision, Refusal, Update, Written, decide
from schemas.rows.table import Key, TableName
from tests.contract.store_worlds import TARGET, MemoryWorld, PostgresWorld, World, unit


@pytest.fixture(params=["twin", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "twin":
        yield MemoryWorld()
        return
    made = PostgresWorld(request.getfixturevalue("workplace"))
    yield made
    made.store.close()


Read = Callable[[int], Any]


def document(world: World, key: int) -> Any:
    return world.store.read(TARGET, [(str(key),)]).documents[0]


@pytest.mark.parametrize(
    ("key", "fits"),
    [(("1",), True), (("x",), False), ((str(2**63),), False), (("1", "2"), False), ((), False)],
)
def test_a_key_fits_when_each_part_is_a_value_of_its_column(
    world: World, key: tuple[str, ...], fits: bool
) -> None:
    """Whatever the rows are: the type and the number of the key columns decide."""
    assert world.store.takes(TARGET, key) is fits


def test_reading_a_row_gives_text_hash_and_provenance(world: World) -> None:
    """A row is read with its text, the sha256 of its UTF-8 bytes, and nothing stored
    before the first embedding.
    """
    world.put(1, "파이썬의 GIL")
    seen = document(world, 1)
    assert (seen.text, seen.blank, seen.hash) == ("파이썬의 GIL", False, sha256("파이썬의 GIL"))
    assert (seen.stored_hash, seen.stored_model, seen.has_vector) == (None, None, False)


@pytest.mark.parametrize("text", [None, "", " \n\t "])
def test_blank_text_is_blank(world: World, text: str | None) -> None:
    """NULL, empty and white-space texts are blank, and need nothing while there is no
    vector.
    """
    world.put(1, text)
    assert document(world, 1).blank
    assert decide(document(world, 1), "model-a") is Decision.BLANK


@pytest.mark.parametrize(
    ("character", "blank"),
    [
        *((c, True) for c in "\t\v\r\x1c\x7f\x85\xa0\xad\u1680\u180e\u2003\u2028\u205f\u3000"),
        *(
            (c, True)
            for c in (
                "\u034f\u115f\u17b4\u200b\u200d\u202e\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041"
            )
        ),
        *((c, False) for c in ".0\u0301\u00ac\u1100\u2801\ufffd\U0001f600"),
    ],
    ids=ascii,
)
def test_blank_is_what_shows_nothing(world: World, character: str, blank: bool) -> None:
    """White space, controls and what Unicode calls ignorable, in every locale: when it
    is read, and when cleared.
    """
    text = f" {character}{character}\n"
    world.put(1, text)
    assert document(world, 1).blank is blank
    cleared = world.store.write(TARGET, [Update(("1",), sha256(text), None)])
    assert cleared == {("1",): Written.WRITTEN if blank else Written.CHANGED}


def test_a_text_is_read_as_far_as_it_counts(world: World) -> None:
    """A long one is cut while it is read, and its hash is that of the whole: what is
    written is of the whole text.
    """
    text = "가" * 300_000
    world.put(1, text)
    (seen,) = world.store.read(TARGET, [("1",)], 1_000).documents
    assert (seen.text, seen.hash, seen.blank) == (text[:1_000], sha256(text), False)
    assert world.store.write(TARGET, [Update(("1",), sha256(text), unit(1))]) == {
        ("1",): Written.WRITTEN
    }
    assert decide(document(world, 1), "model-a") is Decision.CURRENT


@pytest.mark.parametrize(("shown_at", "blank"), [(99_999, False), (100_000, True)])
def test_blank_is_judged_within_a_bound(world: World, shown_at: int, blank: bool) -> None:
    """A text that shows nothing in its first 100,000 characters is blank, to all that
    judge it.
    """
    text = " " * shown_at + "x"
    world.put(1, text)
    assert document(world, 1).blank is blank
    cleared = world.store.write(TARGET, [Update(("1",), sha256(text), None)])
    assert cleared == {("1",): Written.WRITTEN if blank else Written.CHANGED}


def test_a_missing_row_is_left_out(world: World) -> None:
    """A key without a row is not among the documents; the snapshot is there all the
    same.
    """
    world.put(1, "x")
    reading = world.store.read(TARGET, [("1",), ("2",)])
    assert [d.key for d in reading.documents] == [("1",)]
    assert not world.store.read(TARGET, [("2",)]).documents


@pytest.mark.parametrize(
    "key", [("one",), ("1", "2"), ()], ids=["no number", "two columns", "none"]
)
def test_a_key_that_does_not_fit_is_poison(world: World, key: Key) -> None:
    """Another type or number of columns raises PoisonEvent, and breaks nothing for the
    next call.
    """
    world.put(1, "x")
    for keys in ([("1",), key], [key]):
        with pytest.raises(PoisonEvent):
            world.store.read(TARGET, keys)
    assert not world.store.takes(TARGET, key)
    assert document(world, 1).text == "x"


def test_a_write_sets_vector_hash_and_model_together(world: World) -> None:
    """What was embedded from the current text is written with its provenance, and the
    row is current.
    """
    world.put(1, "x")
    assert world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))]) == {
        ("1",): Written.WRITTEN
    }
    vector, hash_, model = world.stored(1)
    assert vector is not None
    np.testing.assert_allclose(vector, unit(1), atol=1e-6)
    assert (hash_, model) == (sha256("x"), "model-a")
    assert decide(document(world, 1), "model-a") is Decision.CURRENT


def test_a_vector_of_an_older_text_is_never_written(world: World) -> None:
    """When the text changed after it was embedded, the write leaves the row as it is
    (I4).
    """
    world.put(1, "new")
    assert world.store.write(TARGET, [Update(("1",), sha256("old"), unit(1))]) == {
        ("1",): Written.CHANGED
    }
    assert world.stored(1) == (None, None, None)


def test_the_old_vector_stays_until_the_new_one_replaces_it(world: World) -> None:
    """After an edit the stored vector is still readable, and the row asks to be
    embedded (I5).
    """
    world.put(1, "x")
    world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    world.put(1, "y")
    assert world.stored(1)[0] is not None
    assert decide(document(world, 1), "model-a") is Decision.EMBED


def test_a_worker_with_another_model_writes_nothing(world: World) -> None:
    """When the database wants another model, the write raises and the row is untouched."""
    world.put(1, "x")
    world.want("model-b")
    with pytest.raises(TargetMismatch, match="model-b"):
        world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    assert world.stored(1) == (None, None, None)


def test_a_worker_with_another_expression_writes_nothing(world: World) -> None:
    """When the database wants vectors of another text, the write raises and the row is
    untouched.
    """
    world.put(1, "x")
    other = replace(TARGET, text="question || ''")
    with pytest.raises(TargetMismatch, match="another text"):
        world.store.write(other, [Update(("1",), sha256("x"), unit(1))])
    assert world.stored(1) == (None, None, None)


def test_a_cleared_row_has_no_vector_and_no_provenance(world: World) -> None:
    """A row whose text became blank loses vector, hash and model in one write, unless
    it has text again.
    """
    world.put(1, "x")
    world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    world.put(1, " ")
    assert decide(document(world, 1), "model-a") is Decision.CLEAR
    assert world.store.write(TARGET, [Update(("1",), sha256(" "), None)]) == {
        ("1",): Written.WRITTEN
    }
    assert world.stored(1) == (None, None, None)
    world.put(1, "y")
    assert world.store.write(TARGET, [Update(("1",), sha256(" "), None)]) == {
        ("1",): Written.CHANGED
    }


def test_a_locked_row_is_not_waited_for_and_its_neighbours_are_written(world: World) -> None:
    """A row that another transaction holds is reported locked at once; the rest of the
    batch is written (I10).
    """
    world.put(1, "x")
    world.put(2, "y")
    updates = [Update(("1",), sha256("x"), unit(1)), Update(("2",), sha256("y"), unit(2))]
    with world.lock(1):
        assert world.store.write(TARGET, updates) == {
            ("1",): Written.LOCKED,
            ("2",): Written.WRITTEN,
        }
    assert world.store.write(TARGET, updates[:1]) == {("1",): Written.WRITTEN}


def test_an_open_transaction_is_not_seen_and_a_committed_one_is(world: World) -> None:
    """The reading's snapshot tells that a transaction in progress is not visible yet,
    and later that it is.
    """
    world.put(1, "old")
    with world.edit_in_transaction(1, "new") as xid:
        reading = world.store.read(TARGET, [("1",)])
        assert reading.documents[0].text == "old"
        assert not reading.snapshot.sees(xid)
    reading = world.store.read(TARGET, [("1",)])
    assert (reading.documents[0].text, reading.snapshot.sees(xid)) == ("new", True)


def test_the_ledger_moves_with_the_vectors(world: World) -> None:
    """A write with progress advances the chunk and counts what was found and written."""
    chunk = world.chunk(4)
    world.put(1, "x")
    world.put(2, "changed since")
    assert chunk.run is not None
    updates = [Update(("1",), sha256("x"), unit(1)), Update(("2",), sha256("before"), unit(2))]
    world.store.write(TARGET, updates, (), ChunkAdvance(chunk.run, 1, 0, 4, current=1, gone=1))
    assert world.store.position(chunk) == ChunkState(4)
    assert world.counts(chunk) == {"embedded": 1, "changed": 1, "current": 1, "gone": 1}


def test_a_chunk_that_moved_meanwhile_is_not_written(world: World) -> None:
    """When another worker advanced the chunk, neither ledger nor vectors change (no
    chunk counts twice).
    """
    chunk = world.chunk(1)
    world.put(1, "x")
    assert chunk.run is not None
    progress = ChunkAdvance(chunk.run, 1, 0, 1)
    world.store.write(TARGET, [], (), progress)
    update = Update(("1",), sha256("x"), unit(1))
    with pytest.raises(LedgerConflict):
        world.store.write(TARGET, [update], (), progress)
    assert world.stored(1) == (None, None, None)
    assert world.store.write(TARGET, [update]) == {("1",): Written.WRITTEN}


def test_locked_rows_are_deferred_before_the_ledger_counts_them(world: World) -> None:
    """The keys of locked rows are handed over within the transaction, and a failure
    there undoes it.
    """
    chunk = world.chunk(1)
    world.put(1, "x")
    assert chunk.run is not None
    progress = ChunkAdvance(chunk.run, 1, 0, 1)
    updates = [Update(("1",), sha256("x"), unit(1))]

    def failing(_: object) -> None:
        raise ConnectionError

    with world.lock(1):
        with pytest.raises(ConnectionError):
            world.store.write(TARGET, updates, (), progress, failing)
        assert world.store.position(chunk) == ChunkState(0)
        deferred: list[object] = []
        world.store.write(TARGET, updates, (), progress, deferred.extend)
    assert deferred == [("1",)]
    assert world.counts(chunk) == {"deferred": 1}


def test_a_cancelled_chunk_has_no_position(world: World) -> None:
    """Chunks of a cancelled or unknown run are to be skipped."""
    chunk = world.chunk(1)
    assert world.store.position(chunk) == ChunkState(0)
    world.cancel(chunk)
    assert world.store.position(chunk) is None
    unknown = replace(chunk, run=uuid4())
    assert world.store.position(unknown) is None


def test_a_chunk_is_what_its_run_entered(world: World) -> None:
    """Whatever is said of it, run and number alone decide; what a run did not enter, or
    is cancelled, is none.
    """
    chunk = world.chunk(3)
    told = replace(chunk, table=TableName("public", "other"), column="c", model="m", keys=(("9",),))
    assert world.store.chunk(told) == chunk
    assert world.store.chunk(replace(told, number=2)) is None
    assert world.store.chunk(replace(told, run=uuid4())) is None
    world.cancel(chunk)
    assert world.store.chunk(told) is None


def test_only_a_paused_run_takes_its_chunk_back(world: World) -> None:
    """A chunk is given back while its run is paused; a worker that comes too late keeps
    it.
    """
    chunk = world.chunk(1)
    assert not world.store.give_back(chunk)
    assert not world.returned(chunk)
    world.steer(chunk, "paused")
    assert world.store.position(chunk) == ChunkState(0, "paused")
    assert world.store.give_back(chunk)
    assert world.returned(chunk)


def test_slots_of_a_rate_follow_one_another(world: World) -> None:
    """The first rows may start at once, the next when the rate allows; without a rate
    nothing is waited for.
    """
    chunk = world.chunk(1)
    assert world.store.take_slot(chunk, 10) <= 0
    world.steer(chunk, "running", rate=0.5)
    assert world.store.position(chunk) == ChunkState(0, "running", 0.5)
    assert world.store.take_slot(chunk, 10) <= 0
    assert 10 < world.store.take_slot(chunk, 10) <= 20
    assert 30 < world.store.take_slot(chunk, 10) <= 40


def test_a_reason_for_waiting_is_told_and_taken_back(world: World) -> None:
    """Anyone who asks about the run sees why it waits, until it goes on."""
    chunk = world.chunk(1)
    for reason in ("live lag 41s > 30s", None):
        world.store.note_wait(chunk, reason)
        assert world.waits(chunk) == reason


def test_a_refused_text_is_quarantined_until_it_changes(world: World) -> None:
    """The old vector stays, the row asks for nothing more; a new text asks to be
    embedded again.
    """
    world.put(1, "x")
    world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    world.put(1, "poison")
    refusal = Refusal(("1",), sha256("poison") or b"", "the model raised ValueError", 2)
    assert world.store.write(TARGET, [], [refusal]) == {}
    assert decide(document(world, 1), "model-a") is Decision.QUARANTINED
    assert world.stored(1)[0] is not None
    world.put(1, "better")
    assert decide(document(world, 1), "model-a") is Decision.EMBED


def test_a_success_ends_the_quarantine(world: World) -> None:
    """When the same text is taken after all (a fixed model), the row is current, and
    stays so when it comes back.
    """
    world.put(1, "x")
    world.store.write(TARGET, [], [Refusal(("1",), sha256("x") or b"", "out of memory", 2)])
    world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    assert decide(document(world, 1), "model-a") is Decision.CURRENT
    world.put(1, "y")
    world.put(1, "x")
    world.store.write(TARGET, [Update(("1",), sha256("x"), unit(1))])
    assert not document(world, 1).quarantined


def test_a_text_that_changed_meanwhile_is_not_quarantined(world: World) -> None:
    """A refusal counts only while the row still has the refused text."""
    world.put(1, "new")
    world.store.write(TARGET, [], [Refusal(("1",), sha256("old") or b"", "x", 2)])
    world.put(1, "old")
    assert not document(world, 1).quarantined
