"""The watchdog: a thread that ends the process when it is alive but dead, so that a
supervisor starts a new one (I9).

Four ways of being dead, each seen in Faust or aiokafka: the event loop does not move; a
part of a batch is over its budget (a long batch has as many parts as it needs, each
written before the next); no assignment although this worker is no spare; nothing is
handled although its partitions hold events, for each stream by itself, since a busy one
must not speak for a dead one. The last two are asked of the broker, from outside. And a
fifth, on the way out: asked to stop, and still there (`ShutdownDeadline`). Partitions
that nobody holds, and topics that changed, are `topic_watch`'s.

Hazards:
- It runs in a thread of its own, never from a timer of Faust, which stands still
  together with the loop. It ends the process with os._exit: no offset is committed on
  the way out.
- Code that never gives the interpreter back stops this thread too; then the C thread of
  faulthandler ends the process, with 1, after twice `watchdog.loop_seconds`.
- Nobody may read what it writes to stderr; it leaves all the same.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog

from connectors.ports import Clock
from schemas.errors import EXIT_RESTART, ConfigurationError, Stopping, VectrueError
from schemas.settings.sections import WatchdogSettings

log = structlog.get_logger()

_CHECK_SECONDS = 1.0
_LAST_WORDS_SECONDS = 10.0
"""How long the stacks and the reason may take to be written before the process ends
without them.
"""

STOP_SECONDS = 20.0
"""From the wish to stop to the end of the process, whatever Faust still waits for. A
supervisor kills after 30 s.
"""


SHARED = {"sync": ("canary",)}
"""Streams that come through the agent of another one, and wait for its batches."""


class Heartbeat:
    """Signs of life, written by the event loop and the lane, read by the watchdog.
    Times are of a monotonic clock.
    """

    def __init__(self, now: float, streams: Sequence[str]) -> None:
        """Everything counts from the start. `streams` names what is consumed."""
        self.loop_moved = now
        self.assigned = 0
        self.assignment_changed = now
        self.progressed = dict.fromkeys(streams, now)
        self.part_started: float | None = None
        self.long_batches: set[str] = set()
        """Streams that are between two parts of a batch: the others wait for these
        parts, since one thread does all.
        """

    def tick(self, now: float, assigned: int) -> None:
        """The event loop moves; this many partitions are assigned."""
        self.loop_moved = now
        if assigned != self.assigned:
            self.assigned = assigned
            self.assignment_changed = now

    def begin(self, now: float) -> None:
        """Work on a part of a batch begins."""
        self.part_started = now

    def finish(self, now: float, stream: str | None) -> None:
        """The part of a batch of this stream is handled; None for work that came from
        none.
        """
        self.part_started = None
        if stream is not None:
            self.progressed[stream] = now

    @contextmanager
    def batch(self, stream: str) -> Iterator[Callable[[float], None]]:
        """Within, a batch of this stream is in hand; call what is given after each part
        that is not the last.
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
    """What the broker says about this worker. Blocks for seconds; may raise
    VectrueError when it does not answer.
    """

    def is_member(self) -> bool:
        """Whether the group knows this worker: then it waits for partitions by right (a
        spare, a rebalance).
        """
        ...

    def lag(self, stream: str) -> int:
        """Events in the partitions of this worker that it has not handled, of one of
        its streams.
        """
        ...


def judge(
    heartbeat: Heartbeat, now: float, limits: WatchdogSettings, outside: Outside
) -> str | None:
    """Say why the process should end; None while it is well.

    Args:
        heartbeat: its signs of life.
        now: the same clock.
        limits: how long each may be missing, in seconds.
        outside: asked only when something is missing.
    """
    if now - heartbeat.loop_moved > limits.loop_seconds:
        return f"the event loop has not moved for {now - heartbeat.loop_moved:.0f} s"
    if heartbeat.part_started is not None:
        age = now - heartbeat.part_started
        return (
            f"a part of a batch has taken {age:.0f} s, over its budget"
            if age > limits.batch_seconds
            else None
        )
    if heartbeat.assigned == 0:
        missing = now - heartbeat.assignment_changed
        if missing > limits.idle_seconds and not outside.is_member():
            return (
                f"no partition has been assigned for {missing:.0f} s, and the group does not "
                "know this worker"
            )
        return None
    retry = limits.idle_seconds + (limits.batch_seconds if heartbeat.long_batches else 0.0)
    for stream, progressed in heartbeat.progressed.items():
        idle = now - max(progressed, heartbeat.assignment_changed)
        if idle > retry and (waiting := outside.lag(stream)):
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
        """Join the parts. `leave` ends the process with an exit code and a reason."""
        self._heartbeat = heartbeat
        self._clock = clock
        self._limits = limits
        self._outside = outside
        self._leave = leave
        self._asked: dict[str, float] = {}
        self._started = clock.monotonic()

    def start(self) -> None:
        """Begin to watch. The thread ends with the process, or when the clock is
        stopped.
        """
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while True:
            faulthandler.dump_traceback_later(2 * self._limits.loop_seconds, exit=True)
            try:
                self._clock.wait(_CHECK_SECONDS)
                reason = judge(self._heartbeat, self._clock.monotonic(), self._limits, self)
            except Stopping:
                faulthandler.cancel_dump_traceback_later()
                return
            # a right was taken away: asking again would not bring it back
            except ConfigurationError as error:
                self._leave(error.exit_code, str(error))
                return
            except VectrueError as error:
                log.warning("the watchdog cannot ask the broker", reason=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - not swallowed: nobody would watch any more, so the process ends
                reason = f"the watchdog failed ({error!r})"
            if reason is not None:
                self._end(reason)
                return

    def _end(self, reason: str) -> None:
        last = threading.Timer(_LAST_WORDS_SECONDS, os._exit, (EXIT_RESTART,))
        last.daemon = True
        last.start()
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        self._leave(EXIT_RESTART, reason)

    def is_member(self) -> bool:
        """Ask the broker, but not every second: in between, nothing is held against the
        worker.
        """
        return self._outside.is_member() if self._may_ask("members") else True

    def lag(self, stream: str) -> int:
        """Likewise."""
        return self._outside.lag(stream) if self._may_ask(stream) else 0

    def _may_ask(self, what: str) -> bool:
        now = self._clock.monotonic()
        if now - self._asked.get(what, self._started) < min(self._limits.idle_seconds, 10.0):
            return False
        self._asked[what] = now
        return True


class ShutdownDeadline:
    """Ends a process that was asked to stop and does not.

    Faust stops without a bound: it waits for a commit, for its consumer's thread and
    for the group's coordinator, and with a broker that is away each of them may wait
    for ever (seen: SIGTERM half a second after the broker was killed; the worker's
    thread had ended with an error, and the worker waited for it until it was killed
    itself). By then the batch in hand is done or was cut short, and what is not
    committed is handled again.
    """

    def __init__(
        self, is_stopping: Callable[[], bool], clock: Clock, leave: Callable[[str], None]
    ) -> None:
        """Join the parts.

        Args:
            is_stopping: whether the process was asked to stop.
            clock: one that nobody stops: it has to wait while all others are cut short.
            leave: ends the process.
        """
        self._is_stopping = is_stopping
        self._clock = clock
        self._leave = leave

    def start(self) -> None:
        """Begin to watch. The thread ends with the process."""
        threading.Thread(target=self.watch, name="farewell", daemon=True).start()

    def watch(self) -> None:
        """Wait for the wish to stop, then for as long as a stop may take, then leave."""
        while not self._is_stopping():
            self._clock.wait(_CHECK_SECONDS)
        self._clock.wait(STOP_SECONDS)
        self._leave(f"asked to stop, and Faust had not ended after {STOP_SECONDS:g} s")
