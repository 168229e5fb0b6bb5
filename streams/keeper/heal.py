"""How the keeper sends stale rows on their way: as a replay run, or to the live lane
where no replay worker is.

Hazard: a run that nobody works off holds its table against every other run. So while no
replay worker is a member of its group, a few rows are sent as deferrals to the live
lane, which reads and judges them like any deferred row.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from connectors.ports import Outbox
from connectors.postgres.health.keeper import UnderWay
from schemas.messages.chunk import Deferral, DeferredRow
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.keeper.looks import Stale

log = structlog.get_logger()

FEW = 1_000
"""Rows of a column that the live lane takes: seconds of its work. More are a replay's
business.
"""

OpenOutbox = Callable[[Sequence[Target]], Outbox]


class Runs(Protocol):
    """Starts runs; of `streams.keeper.keeper`. May raise VectrueError."""

    def __call__(self, targets: Sequence[Target]) -> UUID | None:
        """Send the stale rows of these columns of one table through replay; None when
        there are none any more.
        """
        ...


class Healer:
    """Chooses the way."""

    def __init__(
        self,
        send: Runs,
        outbox: OpenOutbox,
        replay_works: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        """Join the parts.

        Args:
            send: starts a run over a table, or goes on with the keeper's own.
            outbox: opens a producer for rows of these columns.
            replay_works: whether a replay worker is there. May raise TransientError.
            now: the time that a deferral begins at.
        """
        self._send = send
        self._outbox = outbox
        self._replay_works = replay_works
        self._now = now

    def __call__(self, stale: Stale, run: UnderWay | None, *, still: bool) -> str | None:
        """As `streams.keeper.looks.Heal` says."""
        works = self._replay_works()
        if not works and all(len(rows) <= FEW for rows in stale.values()):
            self._defer(stale)
            return "to the live lane, as no replay worker runs"
        targets = list(stale)
        if run is None:
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
        if run.resumable and still:
            self._again(targets[0].table, self._send(targets))
        return None

    @staticmethod
    def _again(table: TableName, run: UUID | None) -> None:
        log.warning(
            "a run of the keeper did not move and is sent again", table=str(table), run=str(run)
        )

    def _defer(self, stale: Stale) -> None:
        now = self._now()
        deferral = Deferral(since=now, not_before=now, attempt=1)
        deferred: list[DeferredRow] = []
        for target, keys in stale.items():
            deferred += [DeferredRow.of(target, key, deferral) for key in keys]
        self._outbox(list(stale)).send_deferred(deferred)
