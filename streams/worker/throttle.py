"""Whether a replay worker may do its next micro-batch now, with how many rows, and if
not, why.

The reason goes to the ledger (for `replay status` on any host), the metrics and the
log. It is decided again after each pause.

Hazard: a slot of the rate, once taken, is kept for the next rows of that chunk, however
many parts they take. A worker that dies with one costs the run that slot's time,
nothing else.
"""

from dataclasses import dataclass
from uuid import UUID

import structlog

from connectors.ports import Clock, Ledger
from schemas.health import metrics
from schemas.messages.chunk import Chunk
from schemas.reports.replay import ChunkState
from schemas.settings.sections import ReplaySettings
from streams.common.retry import RetryPolicy
from streams.worker.watches.live_lag import LiveFirst, Pause, View

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
_NOTE_SECONDS = 3.0
"""How often the reason is written while a wait lasts; `replay status` ignores one that
is older than 15 s.
"""
_LONGEST_SLOT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Slot:
    """Room under the rate, for the rows of a chunk up to a key."""

    run: UUID
    number: int
    until: int


@dataclass(frozen=True, slots=True)
class _Wait:
    """A wait that was reported."""

    chunk: Chunk
    kind: str
    since: float


class ReplayThrottle:
    """Decides for one worker. One thread."""

    def __init__(
        self, ledger: Ledger, clock: Clock, retry: RetryPolicy, settings: ReplaySettings
    ) -> None:
        self.live: View = lambda: None
        """The view of the live lane; unknown until it is set."""
        self._ledger = ledger
        self._clock = clock
        self._retry = retry
        self._micro_batch = settings.micro_batch
        self._limit = settings.max_live_lag_seconds
        self._live_first = LiveFirst()
        self._slot: _Slot | None = None
        self._wait: _Wait | None = None
        self._noted_at = 0.0

    def rows(self, chunk: Chunk, standing: ChunkState) -> int:
        """Return how many rows the next micro-batch has at most.

        Args:
            chunk: the one in hand.
            standing: where it is, and its run's limits.
        """
        most = self._micro_batch
        # At most those of a second, so that the rate is kept smoothly.
        if standing.rate is not None:
            most = min(most, max(1, int(standing.rate)))
        left = self._left_of_slot(chunk, standing)
        if left > 0:
            most = min(most, left)
        return min(most, len(chunk.keys) - standing.done)

    def _left_of_slot(self, chunk: Chunk, standing: ChunkState) -> int:
        """Return how many rows have their room under the rate already."""
        slot = self._slot
        if standing.rate is None or slot is None:
            return 0
        if (slot.run, slot.number) != (chunk.run, chunk.number):
            return 0
        return max(0, slot.until - standing.done)

    def pause(self, chunk: Chunk, standing: ChunkState) -> Pause | None:
        """Return why to wait now, and for how long; None to go on.

        Args:
            chunk: the one in hand.
            standing: where it is, and its run's limits.
        """
        limit = standing.max_live_lag or self._limit
        reason = self._live_first.reason(self.live(), limit)
        if reason is not None:
            self._note(chunk, "live_lag", reason)
            return Pause(_LOOK_SECONDS, "live_lag", reason)
        seconds = 0.0
        if standing.rate is not None and not self._left_of_slot(chunk, standing):
            seconds = self._take_slot(chunk, standing)
        self.resume()
        if seconds > 0:
            metrics.REPLAY_WAIT_SECONDS.labels("rate").inc(seconds)
            return Pause(seconds, "rate", f"rate {standing.rate:g}/s")
        return None

    def _take_slot(self, chunk: Chunk, standing: ChunkState) -> float:
        """Take room under the rate for the next rows; return the seconds until it
        begins.
        """
        rows = self.rows(chunk, standing)
        self._slot = _Slot(chunk.run, chunk.number, standing.done + rows)
        seconds = self._retry.call(self._ledger.take_slot, chunk, rows)
        return min(seconds, _LONGEST_SLOT_SECONDS)

    def give_back(self, chunk: Chunk) -> bool:
        """Give a chunk back to its paused run.

        Returns:
            False when the run is no longer paused.
        """
        self.resume()
        if not self._retry.call(self._ledger.give_back, chunk):
            return False
        log.info("chunk given back to a paused run", chunk=chunk.name)
        return True

    def resume(self) -> None:
        """End a wait that was reported."""
        if self._wait is None:
            return
        wait, self._wait = self._wait, None
        waited = self._clock.monotonic() - wait.since
        metrics.REPLAY_WAITING.labels(wait.kind).set(0)
        metrics.REPLAY_WAIT_SECONDS.labels(wait.kind).inc(waited)
        log.info("replay resumed", chunk=wait.chunk.name, waited_seconds=round(waited, 1))
        self._retry.call(self._ledger.note_wait, wait.chunk, None)

    def _note(self, chunk: Chunk, kind: str, reason: str) -> None:
        now = since = self._clock.monotonic()
        if self._wait is None:
            metrics.REPLAY_WAITING.labels(kind).set(1)
            log.info("replay waits", chunk=chunk.name, reason=reason)
        elif self._wait.chunk.run == chunk.run and now - self._noted_at < _NOTE_SECONDS:
            return
        else:
            since = self._wait.since
        self._wait = _Wait(chunk, kind, since)
        self._noted_at = now
        self._retry.call(self._ledger.note_wait, chunk, reason)
