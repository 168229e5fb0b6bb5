"""The lane's thread, and the one place where a failure ends the process.

The work of a lane runs in one executor thread, never in the event loop. No exception
ever leaves an agent body: the process exits instead, and the offsets stay where they
are.

Hazard: an exception that reaches Faust is acknowledged by Faust, and its supervisor
goes on behind the event. So everything that an agent body awaits is passed through
`Runner.guarded`.
"""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NoReturn, ParamSpec, Protocol, TypeVar

import structlog

from schemas.errors import EXIT_RESTART, ConfigurationError, DeadLetterLimitReached, Stopping
from streams.common import logs
from streams.worker.lanes import Lane
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.watchdog import Heartbeat

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")
L = TypeVar("L", bound=Lane)

_GRACE_SECONDS = 5.0
"""How long work may continue after SIGTERM before its waits are cut short; a supervisor
kills after 30 s.
"""

_POLL_SECONDS = 0.5
"""Between two looks at whether the worker was asked to stop, while work runs."""

_TICK_SECONDS = 1.0


class Application(Protocol):
    """The part of `faust.App` that is used here."""

    @property
    def should_stop(self) -> bool:
        """Whether the worker was asked to stop."""
        ...

    @property
    def consumer(self) -> Any:
        """The consumer, once the application has started."""
        ...


class Runner(Generic[L]):
    """Runs the work of one lane in a thread; base of the agents of each role."""

    def __init__(
        self, app: Application, lane: L, heartbeat: Heartbeat, positions: HandledPositions
    ) -> None:
        self.app = app
        self.lane = lane
        self.clock = lane.clock
        self.heartbeat = heartbeat
        self.positions = positions
        # One thread: the lane's session, producer and model are not thread-safe.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane")
        # Another one, so that a commit does not wait for the part in hand.
        self._offsets = ThreadPoolExecutor(max_workers=1, thread_name_prefix="offsets")
        self._stopping_since: float | None = None

    async def look_at_targets(self) -> None:
        """Compare the configuration with the database.

        Ends the process, to be restarted, when other columns or models are wanted.
        """
        await self.guarded(self._look())

    async def tick(self) -> None:
        """Show the watchdog that the event loop moves, until the worker stops."""
        self._note_before_commits()
        while not self.app.should_stop:
            assignment = {(tp.topic, tp.partition) for tp in self.app.consumer.assignment()}
            self.positions.keep(assignment)
            self.heartbeat.tick(self.clock.monotonic(), len(assignment))
            await asyncio.sleep(_TICK_SECONDS)

    async def guarded(self, work: Awaitable[None]) -> None:
        """Await work of an agent body; any failure ends the process here.

        What was not acknowledged by then is handled again after the restart.
        """
        try:
            await work
        except asyncio.CancelledError:
            if self.app.should_stop:
                raise
            leave(EXIT_RESTART, "the stream was cancelled while a batch was in hand")
        except Stopping:
            leave(0, "stopped with a batch in hand; it will be handled again")
        except ConfigurationError as error:
            await self._leave_for(error)
        except DeadLetterLimitReached as error:
            leave(error.exit_code, str(error))
        except BaseException as error:  # noqa: BLE001 - not swallowed: the process ends
            leave(EXIT_RESTART, str(error) or type(error).__name__, error)

    async def run(
        self,
        stream: str | None,
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function in the lane's thread.

        Once the worker is stopping and the grace is over, the waits in it are cut
        short.

        Args:
            stream: whose progress this is; None for work that came from no stream.
            function: what to call.
            *args: its arguments.
            **kwargs: its keyword arguments.
        """
        call = functools.partial(function, *args, **kwargs)
        self._heed_stop()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, self._timed, stream, call)
        while True:
            done, _ = await asyncio.wait({future}, timeout=_POLL_SECONDS)
            if done:
                return future.result()
            self._heed_stop()

    def _heed_stop(self) -> None:
        if self.app.should_stop:
            now = self.clock.monotonic()
            self._stopping_since = self._stopping_since or now
            if now - self._stopping_since > _GRACE_SECONDS:
                self.clock.stop()

    def _timed(self, stream: str | None, work: Callable[[], T]) -> T:
        self.heartbeat.begin(self.clock.monotonic())
        try:
            return work()
        finally:
            self.heartbeat.finish(self.clock.monotonic(), stream)

    async def _look(self) -> None:
        watcher = self.lane.watcher
        if await self.run(None, watcher.has_moved):
            file = ", and with the edited settings file" if watcher.is_edited() else ""
            leave(
                EXIT_RESTART,
                f"vectrue.targets has changed: restarting with what it wants now{file}",
            )
        await self.run(None, self.lane.look)

    async def _leave_for(self, error: ConfigurationError) -> None:
        """End the process over a mismatch: to be restarted where that helps, else for
        good.
        """
        # A migration renames columns. A lane may meet that as a column that does not
        # exist before it meets another model, and before the next look at the targets.
        try:
            changed = await self.run(None, self.lane.watcher.has_moved)
        except ConfigurationError as now:
            self._leave_with(now)
        except BaseException as now:  # noqa: BLE001 - not swallowed: the process ends
            leave(EXIT_RESTART, str(now) or type(now).__name__, now)
        if changed:
            leave(EXIT_RESTART, f"restarting with what the database wants now ({error})")
        self._leave_with(error)

    def _leave_with(self, error: ConfigurationError) -> NoReturn:
        """End the process over a mismatch that is not a migration's.

        A restart helps where the settings file was edited since this worker read it, or
        where `init` is at work.
        """
        if self.lane.watcher.is_edited():
            leave(EXIT_RESTART, f"restarting with the edited settings file ({error})")
        if self.lane.watcher.is_set_up_now():
            leave(
                EXIT_RESTART,
                f"`vectrue init` is running: restarting with what it sets up ({error})",
            )
        leave(error.exit_code, str(error))

    def _note_before_commits(self) -> None:
        """Note each offset in Postgres before Faust commits it."""
        consumer = self.app.consumer
        # Faust has no hook before a commit. All its commits pass through this method,
        # and its version is pinned.
        commit = consumer._commit  # noqa: SLF001

        async def noting(offsets: Mapping[Any, int]) -> bool:
            noted = {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._offsets, self.positions.note, noted)
            return bool(await commit(offsets))

        consumer._commit = noting  # noqa: SLF001


def leave(code: int, reason: str, error: BaseException | None = None) -> NoReturn:
    """End the process now.

    Faust's shutdown is left out: it would commit what was not handled.

    Args:
        code: exit code.
        reason: for the log.
        error: logged with its traceback.
    """
    report = log.info if code == 0 else log.critical
    report("worker exits", exit_code=code, reason=reason, exc_info=error)
    logs.flush()
    os._exit(code)
