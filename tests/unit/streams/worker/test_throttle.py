"""Live first, limits and pauses: when a replay chunk waits, and what becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.twins.memory import LedgerEntry
from schemas.messages.record import Record
from streams.worker.replay import HOLD_SECONDS
from streams.worker.watches.live_lag import LiveFirst, LiveView, Pause
from tests.unit.streams.worker.test_replay import Bench


class Waiting:
    """A chunk of four rows, micro-batches of two, and a live lane that can be set."""

    def __init__(self) -> None:
        self.bench = Bench()
        for key in "1234":
            self.bench.put(key, f"text {key}")
        self.record: Record
        self.entry: LedgerEntry
        self.record, self.entry = self.bench.chunk(*"1234")
        self.view: LiveView | None = LiveView(1, 0.0)
        self.bench.chunks.give_way_to(lambda: self.view)

    def steps(self) -> Iterator[Any]:
        return self.bench.chunks.steps(self.record)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.mark.parametrize(
    ("lags", "waits"),
    [
        ((0.0, 30.0, 30.1), (False, False, True)),
        ((41.0, 20.0, 15.0, 20.0), (True, True, False, False)),
        ((41.0, None, 20.0), (True, False, False)),
    ],
)
def test_the_lane_waits_from_the_limit_down_to_half_of_it(
    lags: tuple[float | None, ...], waits: tuple[bool, ...]
) -> None:
    """It does not flutter around the limit, and what is not known holds nothing up
    (I8).
    """
    live_first = LiveFirst()
    seen = [live_first.reason(LiveView(1, lag), 30.0) is not None for lag in lags]
    assert tuple(seen) == waits


@pytest.mark.parametrize("view", [None, LiveView(0, 99.0), LiveView(None, 99.0)])
def test_a_lane_that_nobody_runs_is_not_waited_for(view: LiveView | None) -> None:
    """Nobody would ever catch up: the replay would stand for ever."""
    assert LiveFirst().reason(view, 1.0) is None


def test_between_micro_batches_the_replay_waits_for_the_live_lane(waiting: Waiting) -> None:
    """It stops after the micro-batch in hand, says why, and goes on from there (I6)."""
    steps = waiting.steps()
    assert next(steps) == 2
    waiting.view = LiveView(1, 41.0)
    pause = next(steps)
    assert isinstance(pause, Pause)
    assert pause.reason == waiting.entry.waits[-1] == "live lag 41s > 5s"
    waiting.view = LiveView(1, 0.0)
    assert list(steps) == [2]
    assert waiting.entry.waits[1:] == [None]
    assert waiting.entry.counts["embedded"] == 4


def test_a_long_wait_sends_the_chunk_to_the_end_of_the_topic(waiting: Waiting) -> None:
    """A chunk in hand would hold up a rebalance; the ledger knows where it stands, so
    it may be sent again.
    """
    waiting.view = LiveView(1, 41.0)
    steps = waiting.steps()
    assert isinstance(next(steps), Pause)
    waiting.bench.clock.advance(HOLD_SECONDS + 1)
    assert list(steps) == []
    assert [chunk.keys for chunk in waiting.bench.outbox.chunks] == [
        (("1",), ("2",), ("3",), ("4",))
    ]
    assert waiting.entry.done == 0


def test_a_paused_run_gets_its_chunk_back(waiting: Waiting) -> None:
    """After the micro-batch in hand nothing more is done, and the message may go."""
    steps = waiting.steps()
    assert next(steps) == 2
    waiting.entry.state = "paused"
    assert list(steps) == []
    assert (waiting.entry.returned, waiting.entry.done) == (True, 2)
    waiting.entry.state = "running"
    assert list(waiting.steps()) == [2]


def test_a_rate_spaces_the_micro_batches(waiting: Waiting) -> None:
    """Each takes its slot once, with at most a second's worth of rows."""
    waiting.entry.rate = 1.0
    steps = list(waiting.steps())
    pauses = [step for step in steps if isinstance(step, Pause)]
    rows = [step for step in steps if not isinstance(step, Pause)]
    assert (rows, [pause.seconds for pause in pauses]) == ([1, 1, 1, 1], [1.0, 2.0, 3.0])


def test_force_embeds_current_rows_once_more(waiting: Waiting) -> None:
    """Without it they cost no model time (I7)."""
    list(waiting.steps())
    record, entry = waiting.bench.chunk(*"1234")
    list(waiting.bench.chunks.steps(record))
    assert (entry.counts["current"], waiting.bench.embedder.texts_encoded) == (4, 4)
    record, entry = waiting.bench.chunk(*"1234")
    entry.force = True
    list(waiting.bench.chunks.steps(record))
    assert (entry.counts["embedded"], waiting.bench.embedder.texts_encoded) == (4, 8)


def test_a_live_change_makes_the_replays_work_a_no_op(waiting: Waiting) -> None:
    """Rows that the live lane has written before the chunk comes to them are current:
    nothing is encoded or written.
    """
    list(waiting.steps())
    rows = dict(waiting.bench.store.rows)
    record, entry = waiting.bench.chunk(*"1234")
    list(waiting.bench.chunks.steps(record))
    assert (waiting.bench.store.rows, entry.counts["current"]) == (rows, 4)
