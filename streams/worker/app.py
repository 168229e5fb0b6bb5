"""The Faust application, in the one pattern that lost nothing under fault injection.

Raw bytes; `noack_take`; one actor per agent; the work in an executor thread, never in
the event loop; retries inside the body, bounded; no exception ever leaves the loop
body: the process exits instead and the offsets stay where they are; acknowledge after
the write, in the order of the offsets. Of a long batch each part is an executor job of
its own, and what it has handled is acknowledged before the next.

Hazard: every other way that Faust's documentation shows (`take`, concurrency > 1,
on_error, sinks, a raise out of the body) commits offsets of events that were not
handled. docs/architecture/faust.md says what was seen.
"""

import asyncio
import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import faust
import structlog

from connectors.kafka import security
from schemas.errors import EXIT_RESTART, ConfigurationError, DeadLetterLimitReached, Stopping
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from streams.common import logs
from streams.worker.lanes import Lane
from streams.worker.live_lag import Pause
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.shapes import LOOK_SECONDS
from streams.worker.watches.watchdog import Heartbeat

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

Steps = Callable[[Sequence[Record]], Iterator[Sequence[Record]]]
"""Handles a batch part by part; yields the records that may be acknowledged after each,
all of them by its end.
"""

_GRACE_SECONDS = 5.0
"""How long work may go on after SIGTERM before its waits are cut short; a supervisor
kills after 30 s.
"""

_DEFERRED_BATCH = 64
_DEFERRED_PAUSE_SECONDS = 0.25
"""A deferred row that is not due goes back to the end of its topic after this pause, so
that it holds nobody up.
"""

_IDLE_CHECK_SECONDS = 10.0


class Runner:
    """Drives one lane from Faust's streams."""

    def __init__(
        self, app: faust.App, lane: Lane, heartbeat: Heartbeat, positions: HandledPositions
    ) -> None:
        """One executor thread: the lane's parts are used by one thread only. Another
        one notes offsets meanwhile.
        """
        self._app = app
        self._positions = positions
        self._noting = ThreadPoolExecutor(max_workers=1, thread_name_prefix="offsets")
        self._lane = lane
        self._heartbeat = heartbeat
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane")
        self._last_work = lane.clock.monotonic()
        self._stopping_since: float | None = None

    async def live(self, stream: Any, size: int, linger_seconds: float) -> None:
        """Agent body of the change topics and that of the canary."""
        if self._lane.sync is None or self._lane.arrivals is None:
            raise TypeError("this lane is not the live one")
        async for events in stream.noack_take(size, within=linger_seconds):
            # Apart, since the watchdog must not take beats that come for changes that
            # do.
            beats = [event for event in events if event.message.topic == self._lane.arrivals.topic]
            changes = [
                event for event in events if event.message.topic != self._lane.arrivals.topic
            ]
            if changes:
                await self._guarded(self._batch(stream, "sync", self._lane.sync.steps, changes))
            if beats:
                await self._guarded(self._batch(stream, "canary", self._lane.arrivals.steps, beats))

    async def deferred(self, stream: Any) -> None:
        """Agent body of the deferred topic: waits for due rows outside the executor."""
        if self._lane.sync is None:
            raise TypeError("this lane is not the live one")
        sync = self._lane.sync
        async for events in stream.noack_take(_DEFERRED_BATCH, within=0.05):
            await self._guarded(
                self._batch(stream, "deferred", sync.deferred_steps, events, sync.due_in)
            )

    async def replay(self, stream: Any) -> None:
        """Agent body of the replay topic: one chunk at a time, one executor job per
        micro-batch or part of one.
        """
        async for events in stream.noack_take(1, within=1.0):
            for event in events:
                await self._guarded(self._work_off(event))
                await stream.ack(event)

    async def unload_when_idle(self, seconds: float) -> None:
        """Give the model's memory back after `seconds` without work."""
        if self._lane.clock.monotonic() - self._last_work > seconds:
            await self._guarded(self._run(None, self._lane.embedders.unload))
            self._last_work = self._lane.clock.monotonic()

    async def look_at_targets(self) -> None:
        """Compare what is configured with what is there; start again when other columns
        or models are wanted.
        """
        await self._guarded(self._look())

    async def _leave_for(self, error: ConfigurationError) -> None:
        """End the process over a mismatch: to start anew where that helps, else for
        good.

        A step of a migration gives columns other names, so a lane may meet it as a
        column that does not exist, before it meets another model and before the next
        look at the targets.
        """
        try:
            changed = await self._run(None, self._lane.watcher.has_moved)
        except ConfigurationError as now:
            self._leave_with(now)
        except BaseException as now:  # noqa: BLE001 - not swallowed: the process ends, as the module says
            leave(EXIT_RESTART, str(now) or type(now).__name__, now)
        if changed:
            leave(EXIT_RESTART, f"starting anew with what the database wants now ({error})")
        self._leave_with(error)

    def _leave_with(self, error: ConfigurationError) -> NoReturn:
        """Restarting helps where the settings file is another one since this worker
        read it, or `init` is at work.
        """
        if self._lane.watcher.is_edited():
            leave(EXIT_RESTART, f"starting anew with the settings file as it is now ({error})")
        if self._lane.watcher.is_set_up_now():
            leave(
                EXIT_RESTART,
                f"`vectrue init` is at work: starting anew with what it sets up ({error})",
            )
        leave(error.exit_code, str(error))

    async def _look(self) -> None:
        if await self._run(None, self._lane.watcher.has_moved):
            file = (
                ", and with the settings file as it is now"
                if self._lane.watcher.is_edited()
                else ""
            )
            leave(
                EXIT_RESTART,
                f"vectrue.targets has changed: starting anew with what it wants now{file}",
            )
        await self._run(None, self._lane.look)

    async def _batch(
        self,
        stream: Any,
        name: str,
        steps: Steps,
        events: Sequence[Any],
        due_in: Callable[[Sequence[Record]], float] | None = None,
    ) -> None:
        """Everything about a batch, so that no part of it can raise out of the loop
        body.

        Between two parts another batch of this lane may have its turn, and a look at
        the tables.
        """
        records = [_record(event) for event in events]
        self._positions.saw(((record.topic, record.partition), record.offset) for record in records)
        if due_in is not None:
            await asyncio.sleep(min(due_in(records), _DEFERRED_PAUSE_SECONDS))
        # around a rebalance an event may be there twice
        waiting: dict[str, list[Any]] = {}
        for record, event in zip(records, events, strict=True):
            waiting.setdefault(record.position, []).append(event)
        parts = steps(records)
        with self._heartbeat.batch(name) as between:
            while (handled := await self._run(name, next, parts, None)) is not None:
                done = [event for record in handled for event in waiting.pop(record.position, ())]
                if waiting:
                    between(self._lane.clock.monotonic())
                for event in done:
                    await stream.ack(event)
        if waiting:
            raise RuntimeError(f"the lane forgot {len(waiting)} of {len(events)} events")

    async def _work_off(self, event: Any) -> None:
        if self._lane.chunks is None:
            raise TypeError("this lane is not the replay one")
        record = _record(event)
        self._positions.saw([((record.topic, record.partition), record.offset)])
        steps = self._lane.chunks.steps(record)
        while (step := await self._run("replay", next, steps, None)) is not None:
            if isinstance(step, Pause):
                await self._rest(step.seconds)
            else:
                self._last_work = self._lane.clock.monotonic()

    async def _rest(self, seconds: float) -> None:
        """Wait outside the executor: each look in between is a job of its own, so the
        watchdog sees that it lives.
        """
        until = self._lane.clock.monotonic() + seconds
        while (left := until - self._lane.clock.monotonic()) > 0:
            if self._app.should_stop:
                raise Stopping("asked to stop while the replay waits")
            await asyncio.sleep(min(left, 0.5))

    async def _run(
        self, stream: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run in the lane's thread; once the worker is stopping and the grace is over,
        cut its waits short.
        """
        work = functools.partial(self._timed, stream, functools.partial(function, *args, **kwargs))
        self._heed_stop()
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        while True:
            done, _ = await asyncio.wait({future}, timeout=0.5)
            if done:
                return future.result()
            self._heed_stop()

    def _heed_stop(self) -> None:
        if self._app.should_stop:
            now = self._lane.clock.monotonic()
            self._stopping_since = self._stopping_since or now
            if now - self._stopping_since > _GRACE_SECONDS:
                self._lane.clock.stop()

    def _timed(self, stream: str | None, work: Callable[[], T]) -> T:
        self._heartbeat.begin(self._lane.clock.monotonic())
        try:
            return work()
        finally:
            self._heartbeat.finish(self._lane.clock.monotonic(), stream)

    async def tick(self) -> None:
        """Show that the event loop moves, until the worker stops."""
        self._note_before_commits()
        while not self._app.should_stop:
            assignment = {(tp.topic, tp.partition) for tp in self._app.consumer.assignment()}
            self._positions.keep(assignment)
            self._heartbeat.tick(self._lane.clock.monotonic(), len(assignment))
            await asyncio.sleep(1.0)

    def _note_before_commits(self) -> None:
        """Have each offset noted in Postgres before Faust commits it; all of Faust's
        commits pass through here.
        """
        consumer: Any = self._app.consumer
        commit = consumer._commit  # noqa: SLF001 - Faust has no hook before a commit; its version is pinned

        async def noting(offsets: Mapping[Any, int]) -> bool:
            noted = {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
            await asyncio.get_running_loop().run_in_executor(
                self._noting, self._positions.note, noted
            )
            return bool(await commit(offsets))

        consumer._commit = noting  # noqa: SLF001 - as above

    async def _guarded(self, work: Any) -> None:
        """Await a batch's work; any failure ends the process here, with the offsets
        where they were.
        """
        try:
            await work
        except asyncio.CancelledError:
            if self._app.should_stop:
                raise
            leave(EXIT_RESTART, "the stream was cancelled while a batch was in hand")
        except Stopping:
            leave(0, "stopped with a batch in hand; it will be handled again")
        except ConfigurationError as error:
            await self._leave_for(error)
        except DeadLetterLimitReached as error:
            leave(error.exit_code, str(error))
        except BaseException as error:  # noqa: BLE001 - not swallowed: the process ends, as the module says
            leave(EXIT_RESTART, str(error) or type(error).__name__, error)


def leave(code: int, reason: str, error: BaseException | None = None) -> NoReturn:
    """End the process now, without Faust's shutdown, which would commit what was not
    handled.
    """
    report = log.info if code == 0 else log.critical
    report("worker leaves", exit_code=code, reason=reason, exc_info=error)
    logs.flush()
    os._exit(code)


def build(
    settings: Settings,
    lane: Lane,
    role: str,
    heartbeat: Heartbeat,
    client_id: str,
    positions: HandledPositions,
) -> faust.App:
    """The Faust application of one role.

    Args:
        settings: topics, group, batch size and linger.
        lane: the work.
        role: `live` or `replay`.
        heartbeat: where the signs of life go.
        client_id: how the broker knows this process.
        positions: where the offsets of handled events go.
    """
    live = role == "live"
    group = settings.live_group if live else settings.replay_group
    app = faust.App(group, broker_client_id=client_id, **_options(settings))
    runner = Runner(app, lane, heartbeat, positions)
    app.task(runner.tick)
    app.timer(interval=LOOK_SECONDS)(runner.look_at_targets)
    if live:
        topics = [table.table.topic(settings.kafka.topic_prefix) for table in settings.tables]
        changes = _topic(app, [*topics, settings.canary_topic])
        size, linger = settings.live.batch_size, settings.live.linger_ms / 1000

        async def sync(stream: Any) -> None:
            await runner.live(stream, size, linger)

        app.agent(changes, name="sync", concurrency=1)(sync)
        app.agent(_topic(app, [settings.deferred_topic]), name="deferred", concurrency=1)(
            runner.deferred
        )
    else:
        app.agent(_topic(app, [settings.replay_topic]), name="replay", concurrency=1)(runner.replay)

        async def idle() -> None:
            await runner.unload_when_idle(settings.replay.idle_unload_seconds)

        app.timer(interval=_IDLE_CHECK_SECONDS)(idle)
    return app


def _topic(app: faust.App, names: Sequence[str]) -> Any:
    return app.topic(
        *sorted(set(names)),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


def _options(settings: Settings) -> dict[str, Any]:
    """The settings table of the stress tests, each with what the default would do."""
    return {
        "broker": [
            f"kafka://{server.strip()}" for server in settings.kafka.bootstrap_servers.split(",")
        ],
        "broker_credentials": _credentials(settings),
        "store": "memory://",
        # Faust makes this folder at start, by default in the working directory; nothing
        # is ever kept in it. By the user's id, since in a container it may have no
        # name.
        "datadir": str(Path(tempfile.gettempdir()) / f"vectrue-{os.getuid()}"),
        "web_enabled": False,  # binds 0.0.0.0 without authentication
        "processing_guarantee": "at_least_once",
        "stream_wait_empty": True,
        "broker_commit_interval": 1.0,
        "broker_commit_every": 1000,
        "broker_session_timeout": settings.kafka.session_timeout_seconds,
        # sent by a thread of its own
        "broker_heartbeat_interval": settings.kafka.session_timeout_seconds / 5,
        "broker_rebalance_timeout": 120,
        # purely client-side: leaves the group and never comes back
        "broker_max_poll_interval": 604_800,
        "broker_max_poll_records": 200,
        # pressure starts at 80 %; the rest must hold one poll
        "stream_buffer_maxsize": 1024,
        "consumer_auto_offset_reset": "earliest",
        # default 5 minutes, in which nobody reads a partition that was added
        "consumer_metadata_max_age_ms": 10_000,
        # topics are made by `init`, with the right partitions
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "producer_acks": -1,
        "producer_request_timeout": 30.0,  # default 20 minutes
        "worker_redirect_stdouts": False,
    }


def _credentials(settings: Settings) -> Any:
    """`kafka.security` as Faust takes it; None without any."""
    wanted = security.transport(settings.kafka.security)
    if wanted.mechanism is not None:
        login = {
            "username": wanted.username,
            "password": wanted.password,
            "mechanism": wanted.mechanism,
        }
        return faust.SASLCredentials(ssl_context=wanted.context, **login)
    return None if wanted.context is None else faust.SSLCredentials(wanted.context)


def _record(event: Any) -> Record:
    message = event.message
    headers = tuple((str(name), value) for name, value in (message.headers or ()))
    timestamp = round(message.timestamp * 1000) if message.timestamp else None
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        headers,
        timestamp,
    )
