"""The bodies of the Faust agents, in the one pattern that lost nothing under fault
injection.

Raw bytes; `noack_take`; one actor per agent; the work in an executor thread; retries
inside the body, bounded; acknowledge after the write, in the order of the offsets. Each
part of a long batch is an executor job of its own, and what it has handled is
acknowledged before the next.

Hazard: every other way that Faust's documentation shows (`take`, concurrency > 1,
on_error, sinks, a raise out of the body) commits offsets of events that were not
handled. docs/architecture/faust.md says what was seen.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from schemas.errors import Stopping
from schemas.messages.record import Record
from streams.worker.lanes import LiveLane, ReplayLane
from streams.worker.runner import Application, Runner
from streams.worker.watches.live_lag import Pause
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.watchdog import Heartbeat

Steps = Callable[[Sequence[Record]], Iterator[Sequence[Record]]]
"""Handles a batch part by part; yields the records that may be acknowledged after each,
all of them by its end.
"""

_DEFERRED_BATCH = 64
_DEFERRED_PAUSE_SECONDS = 0.25
"""Longest pause before a deferred row that is not due goes back to the end of its
topic; it must not hold up the rows behind it.
"""

_REST_SECONDS = 0.5


class LiveAgents(Runner[LiveLane]):
    """The agents of the live role: change topics with the canary's, and deferred rows."""

    async def live(self, stream: Any, size: int, linger_seconds: float) -> None:
        """Handle the change topics and the canary's.

        Args:
            stream: Faust's.
            size: most events in a batch.
            linger_seconds: how long a batch waits to be filled.
        """
        async for events in stream.noack_take(size, within=linger_seconds):
            changes, beats = self._apart(events)
            if changes:
                await self.guarded(self._batch(stream, "sync", self.lane.sync.steps, changes))
            if beats:
                await self.guarded(self._batch(stream, "canary", self.lane.arrivals.steps, beats))

    async def deferred(self, stream: Any) -> None:
        """Handle the deferred topic; waits for due rows outside the executor."""
        async for events in stream.noack_take(_DEFERRED_BATCH, within=0.05):
            await self.guarded(self._deferred_batch(stream, events))

    def _apart(self, events: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Separate the changes from the canary's beats.

        The watchdog must not take beats that arrive for changes that do.
        """
        changes: list[Any] = []
        beats: list[Any] = []
        for event in events:
            is_beat = event.message.topic == self.lane.arrivals.topic
            (beats if is_beat else changes).append(event)
        return changes, beats

    async def _batch(self, stream: Any, name: str, steps: Steps, events: Sequence[Any]) -> None:
        records = self._taken(events)
        await self._work_off(stream, name, steps(records), events, records)

    async def _deferred_batch(self, stream: Any, events: Sequence[Any]) -> None:
        records = self._taken(events)
        due_in = self.lane.sync.due_in(records)
        await asyncio.sleep(min(due_in, _DEFERRED_PAUSE_SECONDS))
        parts = self.lane.sync.deferred_steps(records)
        await self._work_off(stream, "deferred", parts, events, records)

    def _taken(self, events: Sequence[Any]) -> list[Record]:
        records = [record_of(event) for event in events]
        self.positions.saw(records)
        return records

    async def _work_off(
        self,
        stream: Any,
        name: str,
        parts: Iterator[Sequence[Record]],
        events: Sequence[Any],
        records: Sequence[Record],
    ) -> None:
        """Handle the parts of a batch, each acknowledged before the next one begins.

        Between two parts another batch of this lane may have its turn, and a look at
        the tables.
        """
        # Around a rebalance the same event may be in a batch twice.
        waiting: dict[str, list[Any]] = {}
        for record, event in zip(records, events, strict=True):
            waiting.setdefault(record.position, []).append(event)
        with self.heartbeat.batch(name) as between:
            while True:
                handled = await self.run(name, next, parts, None)
                if handled is None:
                    break
                done: list[Any] = []
                for record in handled:
                    done += waiting.pop(record.position, ())
                if waiting:
                    between(self.clock.monotonic())
                for event in done:
                    await stream.ack(event)
        # Never acknowledged, an event would hold up its partition for ever.
        if waiting:
            raise RuntimeError(f"the lane forgot {len(waiting)} of {len(events)} events")


class ReplayAgents(Runner[ReplayLane]):
    """The agent of the replay role."""

    def __init__(
        self, app: Application, lane: ReplayLane, heartbeat: Heartbeat, positions: HandledPositions
    ) -> None:
        super().__init__(app, lane, heartbeat, positions)
        self._last_work = self.clock.monotonic()

    async def replay(self, stream: Any) -> None:
        """Handle the replay topic, one chunk at a time.

        Each micro-batch, or part of one, is an executor job of its own.
        """
        async for events in stream.noack_take(1, within=1.0):
            for event in events:
                await self.guarded(self._work_off(event))
                await stream.ack(event)

    async def unload_when_idle(self, seconds: float) -> None:
        """Free the model's memory after this long without work."""
        if self.clock.monotonic() - self._last_work > seconds:
            await self.guarded(self.run(None, self.lane.embedders.unload))
            self._last_work = self.clock.monotonic()

    async def _work_off(self, event: Any) -> None:
        record = record_of(event)
        self.positions.saw([record])
        steps = self.lane.chunks.steps(record)
        while True:
            step = await self.run("replay", next, steps, None)
            if step is None:
                break
            if isinstance(step, Pause):
                await self._rest(step.seconds)
            else:
                self._last_work = self.clock.monotonic()

    async def _rest(self, seconds: float) -> None:
        """Wait outside the executor.

        The next step is a job of its own, so that the watchdog sees that the lane is
        alive.
        """
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            if self.app.should_stop:
                raise Stopping("asked to stop while the replay waits")
            await asyncio.sleep(min(left, _REST_SECONDS))


def record_of(event: Any) -> Record:
    """Return the record in one of Faust's events."""
    message = event.message
    headers = tuple((str(name), value) for name, value in (message.headers or ()))
    timestamp = round(message.timestamp * 1000) if message.timestamp else None
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=headers,
        timestamp_ms=timestamp,
    )
