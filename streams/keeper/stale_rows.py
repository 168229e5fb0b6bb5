"""How the keeper sends stale rows: as a replay run, or to the live lane.

Hazard: a run that no worker handles holds its table against every other run. So while
no replay worker is a member of its group, a few rows are sent as deferrals to the live
lane, which reads and judges them like any deferred row.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog
from typing_extensions import override

from connectors.ports import Outbox
from connectors.postgres.health.keeper import UnderWay
from schemas.messages.chunk import Deferral, DeferredRow
from schemas.rows.target import Target
from streams.keeper.looks import SendStale, Stale

log = structlog.get_logger()

FEW = 1_000
"""Most rows of a column that the live lane takes: seconds of its work."""

OpenOutbox = Callable[[Sequence[Target]], Outbox]
"""Opens a producer for rows of these columns."""


class Runs(Protocol):
    """Starts runs; in `streams.keeper.keeper`. May raise VectrueError."""

    def __call__(self, targets: Sequence[Target]) -> UUID | None:
        """Send the stale rows of these columns of one table through replay.

        Returns:
            the run; None when no row is stale any more.
        """
        ...


class StaleRowSender(SendStale):
    """Sends stale rows through replay, or to the live lane."""

    def __init__(
        self,
        send: Runs,
        outbox: OpenOutbox,
        replay_works: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        """Join the parts.

        Args:
            send: starts a run over a table, or resumes the keeper's own.
            outbox: opens a producer.
            replay_works: whether there is a replay worker. May raise TransientError.
            now: when a deferral begins.
        """
        self._send = send
        self._outbox = outbox
        self._replay_works = replay_works
        self._now = now

    @override
    def __call__(self, stale: Stale, run: UnderWay | None, *, still: bool) -> str | None:
        works = self._replay_works()
        # A run would hold its table until a replay worker is started.
        if not works and all(len(rows) <= FEW for rows in stale.values()):
            self._defer(stale)
            return "to the live lane, as no replay worker runs"
        targets = list(stale)
        if run is not None:
            # Its command may be gone: then only sending it again moves it.
            if run.resumable and still:
                self._resume(targets)
            return None
        started = self._send(targets)
        if started is None:
            return "nowhere: they have become true"
        if not works:
            log.warning(
                "more rows are stale than the live lane takes: start a replay worker",
                table=str(targets[0].table),
                run=str(started),
                most=FEW,
            )
        return f"in run {started}"

    def _resume(self, targets: Sequence[Target]) -> None:
        run = self._send(targets)
        log.warning(
            "a run of the keeper did not move and is sent again",
            table=str(targets[0].table),
            run=str(run),
        )

    def _defer(self, stale: Stale) -> None:
        now = self._now()
        deferral = Deferral(since=now, not_before=now, attempt=1)
        deferred: list[DeferredRow] = []
        for target, keys in stale.items():
            deferred += [DeferredRow.of(target, key, deferral) for key in keys]
        self._outbox(list(stale)).send_deferred(deferred)
