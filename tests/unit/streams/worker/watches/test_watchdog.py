"""When a worker that is alive but dead ends itself, and when it is left alone."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from connectors.twins.memory import MemoryClock
from schemas.settings.sections import WatchdogSettings
from streams.worker.watches.watchdog import STOP_SECONDS, Farewell, Pulse, judge

LIMITS = WatchdogSettings(idle_seconds=60, batch_seconds=900, loop_seconds=60)


@dataclass
class Answers:
    """What the broker would say."""

    member: bool = True
    waiting: int = 0
    asked: int = 0
    behind: tuple[str, ...] = ("sync", "deferred")

    def is_member(self) -> bool:
        self.asked += 1
        return self.member

    def lag(self, stream: str) -> int:
        self.asked += 1
        return self.waiting if stream in self.behind else 0


@pytest.fixture
def pulse() -> Pulse:
    """A worker that started at 0 and has two partitions."""
    made = Pulse(0.0, ["sync", "deferred"])
    made.tick(0.0, 2)
    return made


def alive(pulse: Pulse, now: float) -> None:
    pulse.tick(now, pulse.assigned)


def test_a_working_process_is_left_alone_and_nobody_is_asked(pulse: Pulse) -> None:
    """While batches are handled the broker is not bothered."""
    answers = Answers(member=False, waiting=1000)
    for now in range(0, 600, 30):
        pulse.begin(now)
        pulse.finish(now + 1, "sync")
        pulse.finish(now + 1, "deferred")
        alive(pulse, now + 1)
        assert judge(pulse, now + 2, LIMITS, answers) is None
    assert answers.asked == 0


def test_a_loop_that_stands_still_ends_it(pulse: Pulse) -> None:
    """No tick for longer than the limit, whatever else is well."""
    assert judge(pulse, 60, LIMITS, Answers()) is None
    assert "event loop" in (judge(pulse, 61, LIMITS, Answers()) or "")


def test_a_part_of_a_batch_over_its_budget_ends_it(pulse: Pulse) -> None:
    """A part may be long, but not for ever; meanwhile nothing else is held against the worker."""
    pulse.begin(0)
    alive(pulse, 899)
    assert judge(pulse, 899, LIMITS, Answers(waiting=1000)) is None
    alive(pulse, 901)
    assert "budget" in (judge(pulse, 901, LIMITS, Answers()) or "")


def test_no_progress_with_lag_ends_it(pulse: Pulse) -> None:
    """Events wait in its partitions and nothing is handled: a zombie."""
    alive(pulse, 61)
    assert judge(pulse, 61, LIMITS, Answers(waiting=0)) is None
    assert "12 events wait" in (judge(pulse, 61, LIMITS, Answers(waiting=12)) or "")


def test_a_busy_stream_does_not_speak_for_a_dead_one(pulse: Pulse) -> None:
    """Changes that are handled all the time hide no deferred rows that nobody looks at."""
    for now in range(0, 120, 10):
        pulse.finish(now, "sync")
        alive(pulse, now)
    assert judge(pulse, 111, LIMITS, Answers(waiting=3, behind=("sync",))) is None
    assert "deferred" in (judge(pulse, 111, LIMITS, Answers(waiting=3, behind=("deferred",))) or "")


def test_what_waits_for_the_parts_of_a_long_batch_is_not_dead(pulse: Pulse) -> None:
    """Between two parts another stream may have waited for one of the other's; longer than that it is dead."""
    with pulse.batch("sync") as between:
        pulse.begin(0)
        pulse.finish(300, "sync")
        between(300)
        alive(pulse, 300)
        assert judge(pulse, 300, LIMITS, Answers(waiting=3)) is None
        for now in (600, 900):
            pulse.finish(now, "sync")
            alive(pulse, now)
        assert judge(pulse, 900, LIMITS, Answers(waiting=3)) is None
        pulse.finish(961, "sync")
        alive(pulse, 961)
        assert "deferred" in (judge(pulse, 961, LIMITS, Answers(waiting=3)) or "")


def test_beats_wait_for_the_changes_that_came_before_them() -> None:
    """They come through one agent: a long batch of changes speaks for the canary, an ordinary one does not."""
    pulse = Pulse(0.0, ["sync", "canary"])
    pulse.tick(0.0, 2)
    behind = Answers(waiting=3, behind=("canary",))
    with pulse.batch("sync") as between:
        for now in range(90, 1800, 90):
            pulse.finish(now, "sync")
            between(now)
            alive(pulse, now)
            assert judge(pulse, now, LIMITS, behind) is None
    for now in range(1800, 1860, 10):
        with pulse.batch("sync"):
            pulse.finish(now, "sync")
    alive(pulse, 1860)
    assert "canary" in (judge(pulse, 1860, LIMITS, behind) or "")


HUNG = """
import ctypes, sys
from connectors.clock import SystemClock
from schemas.settings.sections import WatchdogSettings
from streams.worker.watches.watchdog import Pulse, Watchdog

class Broken:
    def is_member(self): raise RuntimeError("a bug")

clock = SystemClock()
limits = WatchdogSettings(loop_seconds={loop}, idle_seconds=0.1)
pulse = Pulse(clock.monotonic(), ["sync"])
Watchdog(pulse, clock, limits, Broken(), {leave}).start()
ctypes.{library}(None).sleep(60)
"""


@pytest.mark.parametrize(
    ("loop", "leave", "library", "code"),
    [
        (0.2, "print", "PyDLL", 1),  # never lets go of the interpreter: only the C thread can end it
        (100, "lambda reason: __import__('os')._exit(70)", "CDLL", 70),  # the question to the broker fails by a bug
    ],
)
def test_the_watchdog_ends_the_process_whatever_happens(loop: float, leave: str, library: str, code: int) -> None:
    """Code that keeps the interpreter to itself, and a bug in the watchdog's own question, both end the process."""
    script = HUNG.format(loop=loop, leave=leave, library=library)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, "most recent call first" in done.stderr) == (code, True), done.stderr


def test_no_assignment_ends_it_unless_the_group_knows_it() -> None:
    """A spare worker, or one in a rebalance, waits by right; one that the group lost does not."""
    pulse = Pulse(0.0, ["sync", "deferred"])
    alive(pulse, 61)
    assert judge(pulse, 61, LIMITS, Answers(member=True)) is None
    assert "no partition" in (judge(pulse, 61, LIMITS, Answers(member=False)) or "")
    assert judge(pulse, 59, LIMITS, Answers(member=False)) is None


def test_a_new_assignment_gets_its_time(pulse: Pulse) -> None:
    """After a rebalance the clock of progress starts anew."""
    alive(pulse, 300)
    pulse.tick(300, 6)
    assert judge(pulse, 350, LIMITS, Answers(waiting=1000)) is None


def test_a_process_that_was_asked_to_stop_and_does_not_is_ended() -> None:
    """Nothing happens before the wish to stop; then it leaves after the bound, earlier than a supervisor kills."""
    clock = MemoryClock()
    began = clock.monotonic()
    left: list[str] = []
    Farewell(lambda: clock.monotonic() - began >= 100, clock, left.append).watch()
    assert [reason.startswith("asked to stop") for reason in left] == [True]
    assert 100 + STOP_SECONDS <= clock.monotonic() - began < 130
