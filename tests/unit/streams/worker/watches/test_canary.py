"""The canary in the worker: the thread that writes its beats, and the lane that notes their
arrival.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from connectors.twins.memory import MemoryClock
from schemas.errors import DeadLetterLimitReached, TransientError
from schemas.messages.record import Record
from schemas.settings.sections import DeadLetterSettings
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.watches.canary import CanaryArrivals, CanaryWriter
from tests.support.canary_records import event, record
from tests.support.lag import NOW, witness
from tests.support.waiting import until


class Desk:
    """Takes beats and arrivals, and may be away."""

    def __init__(self) -> None:
        self.beats = 0
        self.noted: list[int] = []
        self.failing = 0
        self.bug: Exception | None = None

    def beat(self, every_seconds: float) -> float:
        self._fail()
        self.beats += 1
        return every_seconds

    def note_slot(self, every_seconds: float) -> None:
        assert every_seconds

    def arrived(self, records: Sequence[Any], worker_at: datetime) -> None:
        assert worker_at.tzinfo is UTC
        self._fail()
        self.noted += [one.beat.number for one in records]

    def _fail(self) -> None:
        if self.bug:
            raise self.bug
        if self.failing:
            self.failing -= 1
            raise TransientError("Postgres does not answer")


def writer(desk: Desk, clock: MemoryClock) -> CanaryWriter:
    return CanaryWriter(desk, witness, clock, 5.0)  # type: ignore[arg-type]  # a twin of what is used


def test_a_connection_that_was_closed_costs_no_beat() -> None:
    """One failure is tried again at once; a server that stays away is asked again each
    second.
    """
    desk, clock = Desk(), MemoryClock()
    made = writer(desk, clock)
    desk.failing = 1
    assert (made.tick(), desk.beats) == (5.0, 1)
    desk.failing = 2
    assert (made.tick(), desk.beats) == (1.0, 1)
    assert (made.tick(), desk.beats) == (5.0, 2)


def series() -> dict[str, float]:
    """The canary's figures as a scrape finds them."""
    names = (
        "vectrue_canary_sent_timestamp_seconds",
        "vectrue_looks_pending",
        "vectrue_slot_standstill_seconds",
    )
    found = [
        sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name in names
    ]
    return {sample.name.removeprefix("vectrue_"): sample.value for sample in found}


def test_what_is_not_known_has_no_series() -> None:
    """Each beat renews the figures; with Postgres away those of the database go, and
    none is 0 by default.
    """
    desk, sent = Desk(), (NOW - timedelta(seconds=2)).timestamp()
    made = writer(desk, MemoryClock())
    made.tick()
    assert series() == {
        "canary_sent_timestamp_seconds": sent,
        "looks_pending": 0.0,
        "slot_standstill_seconds": 0.0,
    }
    desk.failing = 2
    made.tick()
    assert series() == {"canary_sent_timestamp_seconds": sent}


def test_a_bug_in_the_thread_ends_the_process() -> None:
    """A thread that ended in silence would make everything red for ever."""
    desk, left = Desk(), threading.Event()
    desk.bug = ValueError("a bug")
    said: list[str] = []

    def leave(reason: str, _: BaseException) -> None:
        said.append(reason)
        left.set()

    writer(desk, MemoryClock()).start(leave)
    until(left.is_set, what="the thread to end the process")
    assert "a bug" in said[0]


def test_beats_are_noted_and_what_is_none_is_handed_on() -> None:
    """The pipeline gets the bad records of the topic; a stranger's beat is left alone."""
    desk, handled = Desk(), []  # type: ignore[var-annotated]

    def handle(records: Sequence[Record]) -> None:
        assert not desk.noted
        handled.extend(records)

    arrivals = CanaryArrivals(handle, desk, "p", MemoryClock())  # type: ignore[arg-type]  # a twin of what is used
    bad = record(b"{broken")
    arrivals.handle([record(event(7)), record(event(8)), bad, record(event(3, prefix="q"))])
    assert handled == [bad]
    assert desk.noted == [7, 8]
    arrivals.handle([record(event(9)), record(event(9))])  # as after a rebalance
    assert desk.noted == [7, 8, 9]


def test_bad_records_between_beats_are_no_flood() -> None:
    """Months may lie between two of them: a beat in between ends a row of bad ones, as
    any good record does.
    """
    dead_letter_limit, desk = DeadLetterLimit(DeadLetterSettings(most_in_a_row=3)), Desk()

    def handle(records: Sequence[Record]) -> None:
        dead_letter_limit.judge([(one.topic, "no beat") for one in records], 0.0)

    arrivals = CanaryArrivals(handle, desk, "p", MemoryClock(), dead_letter_limit)  # type: ignore[arg-type]  # likewise
    for number in range(1, 50):
        arrivals.handle([record(b"{broken"), record(event(number))])
    with pytest.raises(DeadLetterLimitReached):
        arrivals.handle([record(b"{broken")] * 4)
    assert desk.noted == list(range(1, 50))


def test_an_arrival_that_cannot_be_noted_holds_nothing_up() -> None:
    """It is logged and forgotten; a dead letter that fails notes no arrival."""
    desk = Desk()
    desk.failing = 2
    CanaryArrivals(lambda _: None, desk, "p", MemoryClock()).handle([record(event(7))])  # type: ignore[arg-type]  # likewise
    assert desk.noted == []

    def fail(_: Sequence[Record]) -> None:
        raise TransientError("away")

    with pytest.raises(TransientError):
        CanaryArrivals(fail, desk, "p", MemoryClock()).handle([record(event(8)), record(b"")])  # type: ignore[arg-type]  # likewise
    assert desk.noted == []
