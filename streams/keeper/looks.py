"""Looks: tables whose changes may have been missed.

All their rows are looked at now, and what is stale is sent.

In contrast to `reconcile` there is one look, not two: a row that is on its way costs
one more read, and a row that was missed does not wait for an hour.

Hazards:
- A look ends only when what it found is sent, in a run of the ledger or in the deferred
  topic. One that fails, or finds its table held by another run, stays and is tried
  again.
- A run that is under way may have passed the rows that are stale now. So the table is
  looked at again after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from connectors.ports import Clock
from connectors.postgres.health.keeper import Fingerprint, UnderWay
from schemas.errors import Stopping, VectrueError
from schemas.health.witness import Look
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target

log = structlog.get_logger()

LIMIT = 10_000
"""Stale rows of a column that are counted; more are sent as well."""
_AFTER_ERROR_SECONDS = 15.0
"""Pause of a table whose look failed; the others are looked at meanwhile."""

Stale = Mapping[Target, Mapping[Key, Fingerprint]]
"""The stale rows by column, at most LIMIT of each."""


class PendingLooks(Protocol):
    """The looks that were asked for.

    In production `connectors.postgres.ledger.looks.LookStore`. May raise TransientError.
    """

    def pending(self) -> Sequence[Look]:
        """Return the looks that are not done."""
        ...

    def done(self, table: TableName, asked_at: datetime) -> None:
        """Note that a table was looked at, and what was stale is sent."""
        ...

    def is_there(self, table: TableName) -> bool:
        """Whether the database has a table of that name."""
        ...


class LookDatabase(Protocol):
    """What the database says.

    In production `connectors.postgres.health.keeper.KeeperStore`. May raise
    TransientError.
    """

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Return rows that are not true now, at most `limit`."""
        ...

    def under_way(self, table: TableName) -> UnderWay | None:
        """Return the unfinished run over a table; None when there is none."""
        ...


class SendStale(Protocol):
    """Sends the stale rows of one table. May raise VectrueError."""

    def __call__(self, stale: Stale, run: UnderWay | None, *, still: bool) -> str | None:
        """Send them.

        Args:
            stale: the rows, by column.
            run: the run that holds the table, if one does.
            still: whether that run has not moved for long.

        Returns:
            where they were sent, in words; None when the run that holds the table has
            to end first.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A run that held a table at the last look."""

    run: UnderWay
    since: float
    """When it was first seen like this, in monotonic seconds."""


class Looks:
    """Does the looks that are asked for. The keeper calls `tick`."""

    def __init__(
        self,
        database: LookDatabase,
        asked: PendingLooks,
        targets: Callable[[], Sequence[Target]],
        send_stale: SendStale,
        clock: Clock,
        still_seconds: float,
    ) -> None:
        """Join the parts.

        Args:
            database: the rows and the runs.
            asked: the looks.
            targets: the columns as the database wants them now.
            send_stale: sends stale rows.
            clock: tells the time.
            still_seconds: how long a run of the keeper may not move before it is sent
                again.
        """
        self._database = database
        self._asked = asked
        self._targets = targets
        self._send_stale = send_stale
        self._clock = clock
        self._still_seconds = still_seconds
        self._not_before: dict[TableName, float] = {}
        self._held: dict[TableName, _Held] = {}
        self._logged_run: dict[TableName, UUID] = {}
        self._unknown: set[TableName] = set()

    def tick(self) -> None:
        """Look at every table that is asked for.

        Raises:
            VectrueError: the looks or the columns could not be read.
            Stopping: the process was asked to stop.
        """
        asked = self._asked.pending()
        if not asked:
            return
        columns: dict[TableName, list[Target]] = {}
        for target in self._targets():
            columns.setdefault(target.table, []).append(target)
        for look in asked:
            if self._clock.monotonic() < self._not_before.get(look.table, float("-inf")):
                continue
            try:
                self._take(look, columns.get(look.table, []))
            except Stopping:
                raise
            except VectrueError as error:
                # One table that cannot be read must not keep the others waiting.
                self._not_before[look.table] = self._clock.monotonic() + _AFTER_ERROR_SECONDS
                log.warning(
                    "rows of a table could not be looked at; retrying later",
                    table=str(look.table),
                    asked=look.reason,
                    reason=str(error),
                )

    def forget(self) -> None:
        """Forget what is waited for: another worker is the keeper now."""
        self._held.clear()
        self._not_before.clear()

    def _take(self, look: Look, targets: Sequence[Target]) -> None:
        if not targets:
            self._without_columns(look)
            return
        stale = {target: self._database.stale(target, LIMIT) for target in targets}
        told = {"table": str(look.table), "asked": look.reason}
        if not any(stale.values()):
            log.info("all rows were looked at: every row is true", **told)
            self._end(look)
            return
        rows = _count(stale)
        run = self._database.under_way(look.table)
        sent = self._send_stale(stale, run, still=self._is_still(look.table, run))
        if sent is not None:
            log.warning(
                "all rows were looked at: stale ones are sent", rows=rows, sent=sent, **told
            )
            self._end(look)
        elif run is not None and run.run != self._logged_run.get(look.table):
            self._logged_run[look.table] = run.run
            log.warning(
                "a replay run holds a table; its rows will be looked at again after it",
                rows=rows,
                run=str(run.run),
                **told,
            )

    def _is_still(self, table: TableName, run: UnderWay | None) -> bool:
        """Whether the run that holds a table has not moved for long."""
        now = self._clock.monotonic()
        held = self._held.get(table)
        if run is None or held is None or held.run != run:
            self._held.pop(table, None)
            if run is not None:
                self._held[table] = _Held(run, now)
            return False
        if now - held.since < self._still_seconds:
            return False
        # The time counts from now again: it is not sent again at every look.
        self._held[table] = _Held(run, now)
        return True

    def _without_columns(self, look: Look) -> None:
        if not self._asked.is_there(look.table):
            log.info(
                "a table that should be looked at is gone", table=str(look.table), asked=look.reason
            )
            self._end(look)
        # It stays asked for: a worker with other settings may know the table.
        elif look.table not in self._unknown:
            self._unknown.add(look.table)
            log.warning(
                "a table should be looked at that these settings do not name",
                table=str(look.table),
                asked=look.reason,
            )

    def _end(self, look: Look) -> None:
        # With the time: what was asked for since then is not done.
        self._asked.done(look.table, look.asked_at)
        self._held.pop(look.table, None)
        self._not_before.pop(look.table, None)


def _count(stale: Stale) -> str:
    """Return how many rows are stale, in words."""
    count = sum(len(rows) for rows in stale.values())
    is_cut = any(len(rows) >= LIMIT for rows in stale.values())
    return f"{count} or more" if is_cut else str(count)
