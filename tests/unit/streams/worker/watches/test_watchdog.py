"""When a worker that is alive but dead ends itself, and when it is left alone."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from connectors.twins.memory import MemoryClock
from schemas.settings.sections import WatchdogSettings
from streams.worker.watches import watchdog
from streams.worker.watches.watchdog import STOP_SECONDS, Heartbeat, ShutdownDeadline

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
def heartbeat() -> Heartbeat:
    """A worker that started at 0 and has two partitions."""
    made = Heartbeat(0.0, ["sync", "deferred"])
    made.tick(0.0, 2)
    return made


def judge(
    heartbeat: Heartbeat, now: float, limits: WatchdogSettings, outside: Answers
) -> str | None:
    """What is said when the broker's answers stay the same for one question more."""
    watchdog.judge(heartbeat, now, limits, outside)
    return watchdog.judge(heartbeat, now, limits, outside)


def alive(heartbeat: Heartbeat, now: float) -> None:
    heartbeat.tick(now, heartbeat.assigned)


def test_a_working_process_is_left_alone_and_nobody_is_asked(heartbeat: Heartbeat) -> None:
    """While batches are handled the broker is not bothered."""
    answers = Answers(member=False, waiting=1000)
    for now in range(0, 600, 30):
        heartbeat.begin(now)
        heartbeat.finish(now + 1, "sync")
        heartbeat.finish(now + 1, "deferred")
        alive(heartbeat, now + 1)
        assert judge(heartbeat, now + 2, LIMITS, answers) is None
    assert answers.asked == 0


def test_a_loop_that_stands_still_ends_it(heartbeat: Heartbeat) -> None:
    """No tick for longer than the limit, whatever else is well."""
    assert judge(heartbeat, 60, LIMITS, Answers()) is None
    assert "event loop" in (judge(heartbeat, 61, LIMITS, Answers()) or "")


def test_a_part_of_a_batch_over_its_budget_ends_it(heartbeat: Heartbeat) -> None:
    """A part may be long, but not for ever; meanwhile nothing else is held against the
    worker.
    """
    heartbeat.begin(0)
    alive(heartbeat, 899)
    assert judge(heartbeat, 899, LIMITS, Answers(waiting=1000)) is None
    alive(heartbeat, 901)
    assert "budget" in (judge(heartbeat, 901, LIMITS, Answers()) or "")


def test_no_progress_with_lag_ends_it(heartbeat: Heartbeat) -> None:
    """Events wait in its partitions and nothing is handled: a zombie."""
    alive(heartbeat, 61)
    assert judge(heartbeat, 61, LIMITS, Answers(waiting=0)) is None
    assert "12 events wait" in (judge(heartbeat, 61, LIMITS, Answers(waiting=12)) or "")


def test_the_first_event_after_a_long_rest_gets_its_time(heartbeat: Heartbeat) -> None:
    """It may have come a moment before the broker was asked: whether it is handled is
    seen at the next question. So it is after each rest.
    """
    for rest in (0, 1000, 2000):
        now = rest + 61
        alive(heartbeat, now)
        assert watchdog.judge(heartbeat, now, LIMITS, Answers(waiting=1)) is None
        heartbeat.finish(now + 1, "sync")
        heartbeat.finish(now + 1, "deferred")
        alive(heartbeat, now + 10)
        assert watchdog.judge(heartbeat, now + 10, LIMITS, Answers(waiting=1)) is None


def test_a_busy_stream_does_not_speak_for_a_dead_one(heartbeat: Heartbeat) -> None:
    """Changes that are handled all the time hide no deferred rows that nobody looks at."""
    for now in range(0, 120, 10):
        heartbeat.finish(now, "sync")
        alive(heartbeat, now)
    assert judge(heartbeat, 111, LIMITS, Answers(waiting=3, behind=("sync",))) is None
    assert "deferred" in (
        judge(heartbeat, 111, LIMITS, Answers(waiting=3, behind=("deferred",))) or ""
    )


def test_what_waits_for_the_parts_of_a_long_batch_is_not_dead(heartbeat: Heartbeat) -> None:
    """Between two parts another stream may have waited for one of the other's; longer
    than that it is dead.
    """
    with heartbeat.batch("sync") as between:
        heartbeat.begin(0)
        heartbeat.finish(300, "sync")
        between(300)
        alive(heartbeat, 300)
        assert judge(heartbeat, 300, LIMITS, Answers(waiting=3)) is None
        for now in (600, 900):
            heartbeat.finish(now, "sync")
            alive(heartbeat, now)
        assert judge(heartbeat, 900, LIMITS, Answers(waiting=3)) is None
        heartbeat.finish(961, "sync")
        alive(heartbeat, 961)
        assert "deferred" in (judge(heartbeat, 961, LIMITS, Answers(waiting=3)) or "")


def test_beats_wait_for_the_changes_that_came_before_them() -> None:
    """They come through one agent: a long batch of changes speaks for the canary, an
    ordinary one does not.
    """
    heartbeat = Heartbeat(0.0, ["sync", "canary"])
    heartbeat.tick(0.0, 2)
    behind = Answers(waiting=3, behind=("canary",))
    with heartbeat.batch("sync") as between:
        for now in range(90, 1800, 90):
            heartbeat.finish(now, "sync")
            between(now)
            alive(heartbeat, now)
            assert judge(heartbeat, now, LIMITS, behind) is None
    for now in range(1800, 1860, 10):
        with heartbeat.batch("sync"):
            heartbeat.finish(now, "sync")
    alive(heartbeat, 1860)
    assert "canary" in (judge(heartbeat, 1860, LIMITS, behind) or "")


HUNG = """
import ctypes, sys
from connectors.clock import SystemClock
from schemas.settings.sections import WatchdogSettings
from streams.worker.watches.watchdog import Heartbeat, Watchdog

class Broken:
    def is_member(self): raise RuntimeError("a bug")

clock = SystemClock()
limits = WatchdogSettings(loop_seconds={loop}, idle_seconds=0.1)
heartbeat = Heartbeat(clock.monotonic(), ["sync"])
Watchdog(heartbeat, clock, limits, Broken(), {leave}).start()
ctypes.{library}(None).sleep(60)
"""


@pytest.mark.parametrize(
    ("loop", "leave", "library", "code"),
    [
        # never lets go of the interpreter: only the C thread can end it
        (0.2, "print", "PyDLL", 1),
        # the question to the broker fails by a bug
        (100, "lambda reason: __import__('os')._exit(70)", "CDLL", 70),
    ],
)
def test_the_watchdog_ends_the_process_whatever_happens(
    loop: float, leave: str, library: str, code: int
) -> None:
    """Code that keeps the interpreter to itself, and a bug in the watchdog's own
    question, both end the process.
    """
    script = HUNG.format(loop=loop, leave=leave, library=library)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, "most recent call first" in done.stderr) == (code, True), done.stderr


def test_no_assignment_ends_it_unless_the_group_knows_it() -> None:
    """A spare worker, or one in a rebalance, waits by right; one that the group lost
    does not.
    """
    heartbeat = Heartbeat(0.0, ["sync", "deferred"])
    alive(heartbeat, 61)
    assert judge(heartbeat, 61, LIMITS, Answers(member=True)) is None
    assert "no partition" in (judge(heartbeat, 61, LIMITS, Answers(member=False)) or "")
    assert judge(heartbeat, 59, LIMITS, Answers(member=False)) is None


def test_a_new_assignment_gets_its_time(heartbeat: Heartbeat) -> None:
    """After a rebalance the clock of progress starts anew."""
    alive(heartbeat, 300)
    heartbeat.tick(300, 6)
    assert judge(heartbeat, 350, LIMITS, Answers(waiting=1000)) is None


def test_a_process_that_was_asked_to_stop_and_does_not_is_ended() -> None:
    """Nothing happens before the wish to stop; then it leaves after the bound, earlier
    than a supervisor kills.
    """
    clock = MemoryClock()
    began = clock.monotonic()
    left: list[str] = []
    ShutdownDeadline(lambda: clock.monotonic() - began >= 100, clock, left.append).watch()
    assert [reason.startswith("asked to stop") for reason in left] == [True]
    assert 100 + STOP_SECONDS <= clock.monotonic() - began < 130
