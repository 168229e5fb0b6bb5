"""A batch is never all or nothing: it is done, written, acknowledged and told of in
parts (D5).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import OutOfMemory, Stopping, TransientError, VectrueError
from schemas.health import metrics
from schemas.messages.record import Record
from streams.worker import batch, parts
from tests.support.sync_bench import Bench
from tests.unit.streams.worker.test_replay import Bench as ReplayBench
from tests.unit.streams.worker.test_replay import counts

SECONDS = 90
"""What one long text takes; a part may take one, and what goes before it."""
LONG = 90_000


@pytest.fixture
def bench() -> Bench:
    """A live lane whose model takes 90 s for a long text."""
    return Bench(SECONDS / LONG)


def long(key: int) -> str:
    return f"{key} ".ljust(LONG, "x")


def put(bench: Bench, keys: Sequence[int]) -> list[Record]:
    """Rows with long texts, and an event for each."""
    for key in keys:
        bench.put(key, long(key))
    return [bench.event(key) for key in keys]


def current(bench: Bench) -> list[int]:
    return [int(key[0]) for key in bench.store.rows if bench.is_current(int(key[0]))]


def lasts(bench: Bench, steps: Iterator[Any]) -> Iterator[float]:
    """How long each part takes."""
    while True:
        began = bench.clock.monotonic()
        if next(steps, None) is None:
            return
        yield bench.clock.monotonic() - began


@given(st.lists(st.integers(0, 3 * parts.CHARACTERS)))
def test_windows_are_all_rows_in_their_order(costs: list[int]) -> None:
    """None is left out or comes twice; a window is within the limit or has one text."""
    windows = list(parts.windows(costs))
    assert [position for window in windows for position in window] == list(range(len(costs)))
    for window in windows:
        own = [cost for cost in costs[window.start : window.stop] if cost]
        assert sum(own) <= parts.CHARACTERS or len(own) == 1


@given(st.lists(st.integers(1, 3 * parts.CHARACTERS)))
def test_calls_of_the_model_are_of_texts_of_like_length(costs: list[int]) -> None:
    """With its padding a call is within the limit, or has one text; each text is in one
    call.
    """
    calls = list(parts.calls(costs))
    assert sorted(position for call in calls for position in call) == list(range(len(costs)))
    assert all(
        len(call) * max(costs[i] for i in call) <= parts.CHARACTERS or len(call) == 1
        for call in calls
    )


def test_what_the_model_cuts_costs_nothing() -> None:
    """A text counts up to the model's limit of tokens."""
    assert [parts.cost("x" * 10_000, most) for most in (None, 512)] == [10_000, 512]


def test_a_batch_of_long_texts_is_written_in_parts(bench: Bench) -> None:
    """64 texts that take 96 minutes: one row more is true after each part, and no part
    takes longer than a text.
    """
    steps = bench.sync.steps(put(bench, range(64)))
    done = []
    for seconds in lasts(bench, steps):
        assert seconds <= SECONDS + parts.SECONDS
        done.append(len(current(bench)))
    assert done[:64] == list(range(1, 65))
    assert bench.embedder.texts_encoded == 64


def test_a_worker_killed_within_a_long_batch_loses_no_part(bench: Bench) -> None:
    """The batch comes back whole: what is written is found to be current, and encodes
    nothing (I7).
    """
    records = put(bench, range(10))
    steps = bench.sync.steps(records)
    for _ in range(4):
        next(steps)
    del steps
    assert len(current(bench)) == 4
    bench.sync.handle(records)
    assert len(current(bench)) == bench.embedder.texts_encoded == 10


def test_a_stop_within_a_long_batch_leaves_after_the_part(bench: Bench) -> None:
    """What is written stays, and nothing else is begun."""
    steps = bench.sync.steps(put(bench, range(10)))
    next(steps)
    bench.clock.stopping = True
    with pytest.raises(Stopping):
        next(steps)
    assert len(current(bench)) == bench.embedder.texts_encoded == 1


def test_ordinary_texts_are_one_part(bench: Bench) -> None:
    """A batch that takes no time costs one read, one call of the model and one write."""
    bench.embedder.seconds_per_character = 0.0
    for key in range(64):
        bench.put(key, f"text {key}")
    assert [
        len(handled) for handled in bench.sync.steps([bench.event(key) for key in range(64)])
    ] == [64]
    assert (bench.store.reads, bench.embedder.calls) == (1, 1)


def test_a_long_text_holds_up_no_short_one(bench: Bench) -> None:
    """Short texts are written before the model begins with the long one, wherever it
    stands in the batch.
    """
    records = put(bench, [1])
    for key in range(2, 12):
        bench.put(key, f"text {key}")
        records.append(bench.event(key))
    next(bench.sync.steps(records))
    assert current(bench) == list(range(2, 12))
    assert bench.embedder.longest_call < parts.SECONDS


def test_a_long_text_lends_its_length_to_no_other(bench: Bench) -> None:
    """Texts in one call are padded to the longest: the long one goes alone, in both
    lanes.
    """
    replay = ReplayBench(64, SECONDS / LONG)
    characters = parts.CHARACTERS - 1_000
    for key in range(32):
        text = "x" * characters if key == 7 else f"text {key}"
        bench.put(key, text)
        replay.put(str(key), text)
    bench.sync.handle([bench.event(key) for key in range(32)])
    record, entry = replay.chunk(*map(str, range(32)))
    assert sum(step for step in replay.chunks.steps(record) if isinstance(step, int)) == 32
    assert len(current(bench)) == counts(entry)["embedded"] == 32
    alone = characters * SECONDS / LONG
    assert bench.embedder.longest_call == replay.embedder.longest_call == pytest.approx(alone)


def test_no_row_is_read_for_each_part(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a part did not come to is read again; all reads together stay within a few
    times the rows.
    """
    asked = 0
    read = bench.store.read

    def counted(target: Any, keys: Sequence[Any], characters: int) -> Any:
        nonlocal asked
        asked += len(keys)
        return read(target, keys, characters)

    monkeypatch.setattr(bench.store, "read", counted)
    bench.sync.handle(put(bench, range(64)))
    assert len(current(bench)) == 64
    assert asked <= 4 * 64


def test_a_row_is_read_shortly_before_it_is_embedded(bench: Bench) -> None:
    """A text that changes while others of its batch are embedded is embedded once, as
    it is then.
    """
    steps = bench.sync.steps(put(bench, range(4)))
    next(steps)
    bench.put(3, "another")
    for _ in steps:
        pass
    assert current(bench) == [0, 1, 2, 3]
    assert bench.embedder.texts_encoded == 4


def offsets(records: Sequence[Record]) -> list[int]:
    return [record.offset for record in records]


def test_events_are_acknowledged_in_the_order_of_their_offsets(bench: Bench) -> None:
    """After each part those before the first whose row is not done, in each partition;
    all of them by the end (I3).
    """
    bench.put(1, "short")
    records = [bench.event(1), *put(bench, [2, 3]), bench.event(1)]
    elsewhere = Record("t.public.questions", 1, 1, bench.event(1).key, bench.event(1).value)
    assert [offsets(handled) for handled in bench.sync.steps([*records, elsewhere])] == [
        [1, 1],
        [2],
        [3, 4],
    ]


def test_events_of_a_row_that_is_not_done_are_not_acknowledged(bench: Bench) -> None:
    """Not the later ones of the same row either, nor what comes behind it."""
    records = put(bench, [1, 2])
    records.append(bench.event(1))
    bench.put(3, "short")
    records.append(bench.event(3))
    assert [offsets(handled) for handled in bench.sync.steps(records)] == [[], [1], [2, 3, 4]]


def test_no_event_is_acknowledged_while_one_of_the_batch_is_bad(bench: Bench) -> None:
    """It may be the first of another table, and the batch is then done again; it is
    moved when the others are done.
    """
    records = [*put(bench, [1, 2]), Record("t.public.questions", 0, 99, None, b"{")]
    steps = bench.sync.steps(records)
    assert next(steps) == []
    assert not bench.outbox.dead_letters
    assert [offsets(handled) for handled in steps] == [[1, 2, 99]]
    assert len(bench.outbox.dead_letters) == 1


def test_a_locked_row_is_deferred_within_its_part(bench: Bench) -> None:
    """It does not wait for the rest of a long batch; its event counts as handled."""
    bench.put(1, "held")
    bench.store.locked.add(("1",))
    steps = bench.sync.steps([bench.event(1), *put(bench, [2, 3])])
    assert offsets(next(steps)) == [1]
    assert [chunk.keys for chunk in bench.outbox.deferred] == [(("1",),)]


def test_another_batch_may_come_between_two_parts(bench: Bench) -> None:
    """Its bad events, and what it asks for, are its own."""
    steps = bench.sync.steps(put(bench, [1, 2]))
    next(steps)
    bench.put(3, "x")
    other = list(
        bench.sync.steps([bench.event(3), Record("t.public.questions", 0, 99, None, b"{")])
    )
    assert [offsets(handled) for handled in other] == [[3, 99]]
    assert len(bench.outbox.dead_letters) == 1
    assert [offsets(handled) for handled in steps] == [[2]]
    assert current(bench) == [1, 2, 3]
    assert len(bench.outbox.dead_letters) == 1


def test_a_model_that_refuses_all_long_texts_is_broken(bench: Bench) -> None:
    """The rule about eight texts of which none is taken holds for the batch, in how
    many calls whatever.
    """
    bench.embedder.fails = lambda text: len(text) > 1
    with pytest.raises(VectrueError, match="took none of 8 texts"):
        bench.sync.handle(put(bench, range(64)))
    assert len(bench.store.quarantine) < 8
    replay = ReplayBench(64, SECONDS / LONG)
    replay.embedder.fails = lambda text: len(text) > 1
    for key in range(64):
        replay.put(str(key), long(key))
    record, _ = replay.chunk(*map(str, range(64)))
    with pytest.raises(VectrueError, match="took none of 8 texts"):
        list(replay.chunks.steps(record))
    assert len(replay.store.quarantine) < 8


def test_a_device_that_is_filled_within_a_long_batch_costs_no_row(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text for which there is no room any more, where there was for a like one of its
    batch, is not guilty.
    """
    encode = bench.embedder.encode_documents
    taken: list[str] = []

    def filled_later(texts: Sequence[str]) -> Any:
        if taken and max(map(len, texts)) > 5:
            raise OutOfMemory("no room")
        taken.extend(texts)
        return encode(texts)

    monkeypatch.setattr(bench.embedder, "encode_documents", filled_later)
    with pytest.raises(TransientError, match="for what it took a moment ago"):
        bench.sync.handle(put(bench, range(3)))
    assert (len(current(bench)), bench.store.quarantine) == (1, {})


def test_progress_is_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric and, about every half minute of a long batch, a line say how many of how
    many rows are done.
    """
    said: list[tuple[str, Any]] = []
    monkeypatch.setattr(batch.log, "info", lambda event, **more: said.append((event, more)))
    left = metrics.BATCH_ROWS_LEFT.labels("sync")._value
    seen = [left.get() for _ in bench.sync.steps(put(bench, range(4)))]
    assert seen == [3, 2, 1, 0]
    assert [(event, more["rows"], more["of"]) for event, more in said] == [
        ("a long batch goes on", 1, 4),
        ("a long batch goes on", 2, 4),
        ("a long batch goes on", 3, 4),
        ("a long batch is done", 4, 4),
    ]
    said.clear()
    bench.put(9, "short")
    bench.sync.handle([bench.event(9)])
    assert not said


def test_equal_texts_of_a_long_batch_are_encoded_once(bench: Bench) -> None:
    """Also when they come to different parts."""
    bench.put(1, long(0))
    bench.put(2, long(1))
    bench.put(3, long(0))
    bench.sync.handle([bench.event(key) for key in (1, 2, 3)])
    assert (current(bench), bench.embedder.texts_encoded) == ([1, 2, 3], 2)


def test_a_lane_takes_a_new_key_between_two_parts(bench: Bench) -> None:
    """A look at the tables may come in between; a batch with something doubtful in it
    is then done again.
    """
    records = [*put(bench, [1, 2]), Record("t.public.questions", 0, 99, None, b"{")]
    steps = bench.sync.steps(records)
    next(steps)
    reads = bench.store.reads
    bench.sync.renew([bench.target])
    assert [offsets(handled) for handled in steps] == [[1, 2, 99]]
    assert bench.store.reads > reads + 1
    assert bench.embedder.texts_encoded == 2
