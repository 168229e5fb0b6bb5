"""What a replay worker asks before each micro-batch: may it go on now, with how many
rows, and if not, why.

The reason goes to the ledger (for `replay status` on any host), the metrics and the
log.

Hazard: the answer is asked for again after each pause; only a slot of the rate, once
taken, is kept for the next rows of that chunk, however many parts they take. A worker
that dies with one costs the run that slot's time, nothing else.
"""

from uuid import UUID

import structlog

from connectors.ports import Clock, Ledger
from schemas.health import metrics
from schemas.messages.chunk import Chunk
from schemas.reports.replay import ChunkState
from schemas.settings.sections import ReplaySettings
from streams.common.retry import RetryPolicy
from streams.worker.live_lag import LiveFirst, Pause, View

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
_NOTE_SECONDS = 3.0
"""How often the reason is written while a wait lasts. `status` takes one older than 15
s for old news.
"""
_LONGEST_SLOT_SECONDS = 30.0


class ReplayThrottle:
    """One worker's waiting. One thread."""

    def __init__(
        self, ledger: Ledger, clock: Clock, retry: RetryPolicy, settings: ReplaySettings
    ) -> None:
        """Join the parts; nothing is known of the live lane until `live` is set."""
        self.live: View = lambda: None
        self._ledger = ledger
        self._clock = clock
        self._retry = retry
        self._micro_batch = settings.micro_batch
        self._limit = settings.max_live_lag_seconds
        self._live_first = LiveFirst()
        self._slot: tuple[UUID, int, int] | None = None
        """Chunk, and the key up to which its rows have their room under the rate."""
        self._waits: tuple[Chunk, str, float] | None = None
        self._noted_at = 0.0

    def rows(self, chunk: Chunk, standing: ChunkState) -> int:
        """Rows of the next micro-batch: under a rate at most those of a second, so that
        it is kept smoothly.
        """
        most = self._micro_batch if standing.rate is None else max(1, int(standing.rate))
        if (left := self._left_of_slot(chunk, standing)) > 0:
            most = min(most, left)
        return min(self._micro_batch, most, len(chunk.keys) - standing.done)

    def _left_of_slot(self, chunk: Chunk, standing: ChunkState) -> int:
        """Rows that have their room under the rate already."""
        if (
            standing.rate is None
            or self._slot is None
            or self._slot[:2] != (chunk.run, chunk.number)
        ):
            return 0
        return max(0, self._slot[2] - standing.done)

    def pause(self, chunk: Chunk, standing: ChunkState) -> Pause | None:
        """Why to wait now, and for how long; None to go on.

        Args:
            chunk: the one in hand.
            standing: where it stands, and its run's limits.
        """
        reason = self._live_first.reason(self.live(), standing.max_live_lag or self._limit)
        if reason is not None:
            self._note(chunk, "live_lag", reason)
            return Pause(_LOOK_SECONDS, "live_lag", reason)
        if standing.rate is not None and not self._left_of_slot(chunk, standing):
            rows = self.rows(chunk, standing)
            self._slot = (chunk.run, chunk.number, standing.done + rows)
            seconds = min(
                self._retry.call(self._ledger.take_slot, chunk, rows), _LONGEST_SLOT_SECONDS
            )
            if seconds > 0:
                self.goes_on()
                metrics.REPLAY_WAIT_SECONDS.labels("rate").inc(seconds)
                return Pause(seconds, "rate", f"rate {standing.rate:g}/s")
        self.goes_on()
        return None

    def give_back(self, chunk: Chunk) -> bool:
        """Give the chunk back to its paused run; False when the run is not paused any
        more.
        """
        self.goes_on()
        if not self._retry.call(self._ledger.give_back, chunk):
            return False
        log.info("chunk given back to a paused run", chunk=chunk.name)
        return True

    def goes_on(self) -> None:
        """Take back what was said about waiting."""
        if self._waits is None:
            return
        chunk, kind, since = self._waits
        self._waits = None
        waited = self._clock.monotonic() - since
        metrics.REPLAY_WAITING.labels(kind).set(0)
        metrics.REPLAY_WAIT_SECONDS.labels(kind).inc(waited)
        log.info("replay goes on", chunk=chunk.name, waited_seconds=round(waited, 1))
        self._retry.call(self._ledger.note_wait, chunk, None)

    def _note(self, chunk: Chunk, kind: str, reason: str) -> None:
        now = self._clock.monotonic()
        if self._waits is None:
            metrics.REPLAY_WAITING.labels(kind).set(1)
            log.info("replay waits", chunk=chunk.name, reason=reason)
        elif self._waits[0].run == chunk.run and now - self._noted_at < _NOTE_SECONDS:
            return
        self._waits = (chunk, kind, self._waits[2] if self._waits else now)
        self._noted_at = now
        self._retry.call(self._ledger.note_wait, chunk, reason)
