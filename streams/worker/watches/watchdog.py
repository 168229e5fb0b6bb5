"""The watchdog: a thread that ends a hung worker, so that it is restarted (I9).

A worker hangs in one of four ways, each seen in Faust or aiokafka:
- The event loop does not move.
- A part of a batch is over its budget. A long batch has as many parts as it needs, each
  written before the next.
- No partition is assigned, although this worker is not a spare.
- Nothing is handled although its partitions hold events.
The broker is asked about the last two. And a fifth on the way out: asked to stop, and
still running (`ShutdownDeadline`). Partitions that no worker holds, and topics that
changed, are the business of `streams.worker.watches.topics`.

Hazard: it ends the process with os._exit: no offset is committed on the way out.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from typing_extensions import override

from connectors.ports import Clock
from schemas.errors import EXIT_RESTART, ConfigurationError, Stopping, VectrueError
from schemas.settings.sections import WatchdogSettings

log = structlog.get_logger()

_CHECK_SECONDS = 1.0
_ASK_SECONDS = 10.0
"""Between two questions to the broker."""
_LAST_WORDS_SECONDS = 10.0
"""How long writing the stacks and the reason may take before the process ends without
them.
"""

STOP_SECONDS = 20.0
"""How long a process may take to stop, whatever Faust still waits for. A supervisor
kills after 30 s.
"""

SHARED = {"sync": ("canary",)}
"""Streams that share the agent of another one, and wait for its batches."""


class Heartbeat:
    """Signs of life, written by the event loop and the lane, read by the watchdog.

    Times are of a monotonic clock.
    """

    def __init__(self, now: float, streams: Sequence[str]) -> None:
        """Count everything from now.

        Args:
            now: of the clock.
            streams: what is consumed.
        """
        self.loop_moved = now
        self.assigned = 0
        self.assignment_changed = now
        self.progressed = dict.fromkeys(streams, now)
        self.seen_waiting: dict[str, float] = {}
        """Streams of which events were seen to wait, each with the time since which
        nothing of it had been handled then.
        """
        self.part_started: float | None = None
        self.long_batches: set[str] = set()
        """Streams that are between two parts of a batch. The other streams wait for
        these parts, since one thread does all.
        """

    def tick(self, now: float, assigned: int) -> None:
        """Note that the event loop moves, and how many partitions are assigned."""
        self.loop_moved = now
        if assigned != self.assigned:
            self.assigned = assigned
            self.assignment_changed = now

    def begin(self, now: float) -> None:
        """Note that work on a part of a batch begins."""
        self.part_started = now

    def finish(self, now: float, stream: str | None) -> None:
        """Note that a part of a batch is handled.

        Args:
            now: of the clock.
            stream: of the batch; None for work that came from no stream.
        """
        self.part_started = None
        if stream is not None:
            self.progressed[stream] = now

    @contextmanager
    def batch(self, stream: str) -> Iterator[Callable[[float], None]]:
        """Note a batch of this stream for as long as the context lasts.

        Yields:
            to be called, with the time, after each part that is not the last.
        """

        def between(now: float) -> None:
            self.long_batches.add(stream)
            for behind in SHARED.get(stream, ()):
                self.progressed[behind] = now

        try:
            yield between
        finally:
            self.long_batches.discard(stream)


class Outside(Protocol):
    """What the broker says about this worker.

    Each method blocks for seconds, and may raise VectrueError when the broker does not
    answer.
    """

    def is_member(self) -> bool:
        """Whether the group lists this worker.

        Then it may wait for partitions (a spare, a rebalance).
        """
        ...

    def lag(self, stream: str) -> int:
        """Return how many events of a stream wait in this worker's partitions."""
        ...


def judge(
    heartbeat: Heartbeat, now: float, limits: WatchdogSettings, outside: Outside
) -> str | None:
    """Decide whether the process should end.

    Args:
        heartbeat: its signs of life.
        now: of the same clock.
        limits: how long each may be missing, in seconds.
        outside: asked only when something is missing.

    Returns:
        the reason; None while the worker is well.

    Raises:
        VectrueError: the broker does not answer.
    """
    still = now - heartbeat.loop_moved
    if still > limits.loop_seconds:
        return f"the event loop has not moved for {still:.0f} s"
    if heartbeat.part_started is not None:
        age = now - heartbeat.part_started
        if age > limits.batch_seconds:
            return f"a part of a batch has taken {age:.0f} s, over its budget"
        return None
    if heartbeat.assigned == 0:
        return _judge_assignment(heartbeat, now, limits, outside)
    return _judge_progress(heartbeat, now, limits, outside)


def _judge_assignment(
    heartbeat: Heartbeat, now: float, limits: WatchdogSettings, outside: Outside
) -> str | None:
    missing = now - heartbeat.assignment_changed
    # A spare worker, and one in a rebalance, rightly has none; the group lists both.
    if missing > limits.idle_seconds and not outside.is_member():
        return (
            f"no partition has been assigned for {missing:.0f} s, and the group does not "
            "know this worker"
        )
    return None


def _judge_progress(
    heartbeat: Heartbeat, now: float, limits: WatchdogSettings, outside: Outside
) -> str | None:
    limit = limits.idle_seconds
    # Another stream's batch may take the thread for one part more.
    if heartbeat.long_batches:
        limit += limits.batch_seconds
    # Each stream alone, since a busy one must not speak for a dead one.
    for stream, progressed in heartbeat.progressed.items():
        since = max(progressed, heartbeat.assignment_changed)
        idle = now - since
        waiting = outside.lag(stream) if idle > limit else 0
        # The first event after a long rest may have come a moment ago: it has to wait
        # for one question more.
        if waiting and heartbeat.seen_waiting.get(stream) != since:
            heartbeat.seen_waiting[stream] = since
        elif waiting:
            return (
                f"nothing of {stream} has been handled for {idle:.0f} s although {waiting} "
                "events wait"
            )
    return None


class Watchdog:
    """Judges every second, in a thread of its own."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        clock: Clock,
        limits: WatchdogSettings,
        outside: Outside,
        leave: Callable[[int, str], None],
    ) -> None:
        """Join the parts.

        Args:
            heartbeat: the worker's signs of life.
            clock: of the heartbeat.
            limits: how long each may be missing.
            outside: what the broker says.
            leave: ends the process with an exit code and a reason.
        """
        self._heartbeat = heartbeat
        self._clock = clock
        self._limits = limits
        self._outside = _Seldom(outside, clock, min(limits.idle_seconds, _ASK_SECONDS))
        self._leave = leave

    def start(self) -> None:
        """Start the thread. It ends with the process, or when the clock is stopped."""
        # Not a timer of Faust, which would stop together with the loop.
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while True:
            # Code that never releases the interpreter stops this thread too. The C
            # thread of faulthandler then ends the process, with 1.
            faulthandler.dump_traceback_later(2 * self._limits.loop_seconds, exit=True)
            try:
                self._clock.wait(_CHECK_SECONDS)
                now = self._clock.monotonic()
                reason = judge(self._heartbeat, now, self._limits, self._outside)
            except Stopping:
                faulthandler.cancel_dump_traceback_later()
                return
            except ConfigurationError as error:
                # A permission was taken away: asking again would not help.
                self._leave(error.exit_code, str(error))
                return
            except VectrueError as error:
                log.warning("the watchdog cannot ask the broker", reason=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - not swallowed: the process ends
                reason = f"the watchdog failed ({error!r})"
            if reason is not None:
                self._end(reason)
                return

    def _end(self, reason: str) -> None:
        # Writing blocks where no one reads stderr, and the process has to end anyway.
        timer = threading.Timer(_LAST_WORDS_SECONDS, os._exit, (EXIT_RESTART,))
        timer.daemon = True
        timer.start()
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        self._leave(EXIT_RESTART, reason)


class _Seldom(Outside):
    """Asks the broker, but not every second; in between, all is taken to be well."""

    def __init__(self, outside: Outside, clock: Clock, pause: float) -> None:
        self._outside = outside
        self._clock = clock
        self._pause = pause
        self._started = clock.monotonic()
        self._asked: dict[str, float] = {}

    @override
    def is_member(self) -> bool:
        return self._outside.is_member() if self._may_ask("members") else True

    @override
    def lag(self, stream: str) -> int:
        return self._outside.lag(stream) if self._may_ask(stream) else 0

    def _may_ask(self, what: str) -> bool:
        now = self._clock.monotonic()
        if now - self._asked.get(what, self._started) < self._pause:
            return False
        self._asked[what] = now
        return True


class ShutdownDeadline:
    """Ends a process that was asked to stop and does not.

    Faust stops without a time limit: it waits for a commit, for its consumer's thread
    and for the group's coordinator. While the broker is away, each of them may wait for
    ever (seen: SIGTERM half a second after the broker was killed; the consumer's thread
    had ended with an error, and the worker waited for it until it was killed itself).
    By then the batch in hand is done or was cut short, and what is not committed is
    handled again.
    """

    def __init__(
        self, is_stopping: Callable[[], bool], clock: Clock, leave: Callable[[str], None]
    ) -> None:
        """Join the parts.

        Args:
            is_stopping: whether the process was asked to stop.
            clock: one that is never stopped: it has to wait while all others are cut
                short.
            leave: ends the process.
        """
        self._is_stopping = is_stopping
        self._clock = clock
        self._leave = leave

    def start(self) -> None:
        """Start the thread. It ends with the process."""
        threading.Thread(target=self.watch, name="shutdown deadline", daemon=True).start()

    def watch(self) -> None:
        """Wait until the process is asked to stop, give it time, then end it."""
        while not self._is_stopping():
            self._clock.wait(_CHECK_SECONDS)
        self._clock.wait(STOP_SECONDS)
        self._leave(f"asked to stop, and Faust had not ended after {STOP_SECONDS:g} s")
