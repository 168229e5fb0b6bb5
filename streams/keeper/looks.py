"""Looks: tables of which changes may have been missed are looked at now, all their
rows, and what is stale is sent.

One look, in contrast to `reconcile`: a row that is on its way costs one look-up more, a
row that was missed is not left for an hour.

Hazards:
- A look ends only when what it found is on its way, in a run of the ledger or in the
  deferred topic. One that fails, or finds its table held by somebody's run, stays and
  is tried again.
- A run that is under way may have passed the rows that are stale now. So the table is
  looked at again after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
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
    """The looks that are asked for; `connectors.postgres.ledger.looks.LookStore` in
    earnest. May raise TransientError.
    """

    def pending(self) -> Sequence[Look]:
        """What is still to be looked at."""
        ...

    def done(self, table: TableName, asked_at: datetime) -> None:
        """A table was looked at, and what was stale is on its way."""
        ...

    def is_there(self, table: TableName) -> bool:
        """Whether the database has a table of that name."""
        ...


class LookDatabase(Protocol):
    """What the database says; `connectors.postgres.health.keeper.KeeperStore` in
    earnest. May raise TransientError.
    """

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Rows that are not true now."""
        ...

    def under_way(self, table: TableName) -> UnderWay | None:
        """An unfinished run over a table."""
        ...


class Heal(Protocol):
    """Sends stale rows of one table on their way. May raise VectrueError."""

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
    """A run that held a table at the last look, and since when it has not moved
    (monotonic seconds).
    """

    run: UnderWay
    since: float


class Looks:
    """Does the looks that are asked for; driven from outside by `tick`."""

    def __init__(
        self,
        desk: LookDatabase,
        asked: PendingLooks,
        targets: Callable[[], Sequence[Target]],
        heal: Heal,
        clock: Clock,
        retry: float,
    ) -> None:
        """Join the parts.

        Args:
            desk: what the database says.
            asked: the looks.
            targets: the columns as the database wants them now.
            heal: sends stale rows on their way.
            clock: tells the time.
            retry: seconds for which a keeper's own run may stand still before it is
                sent again.
        """
        self._desk = desk
        self._asked = asked
        self._targets = targets
        self._heal = heal
        self._clock = clock
        self._retry = retry
        self._not_before: dict[TableName, float] = {}
        self._held: dict[TableName, _Held] = {}
        self._told: dict[TableName, UUID] = {}
        self._unknown: set[TableName] = set()

    def tick(self) -> None:
        """Look at every table that is asked for.

        Raises:
            VectrueError: what is asked for, or which columns there are, could not be
                read.
            Stopping: the process was asked to stop.
        """
        asked = self._asked.pending()
        if not asked:
            return
        ordered = sorted(self._targets(), key=lambda target: target.table)
        columns = {
            table: list(found) for table, found in groupby(ordered, key=lambda target: target.table)
        }
        for look in asked:
            if self._clock.monotonic() < self._not_before.get(look.table, float("-inf")):
                continue
            try:
                self._take(look, columns.get(look.table, []))
            except Stopping:
                raise
            except VectrueError as error:
                self._not_before[look.table] = self._clock.monotonic() + _AFTER_ERROR_SECONDS
                log.warning(
                    "the rows of a table could not be looked at; it is tried again",
                    table=str(look.table),
                    asked=look.reason,
                    reason=str(error),
                )

    def forget(self) -> None:
        """Somebody else is the keeper now."""
        self._held.clear()
        self._not_before.clear()

    def _take(self, look: Look, targets: Sequence[Target]) -> None:
        if not targets:
            self._without_columns(look)
            return
        stale = {target: self._desk.stale(target, LIMIT) for target in targets}
        count = sum(map(len, stale.values()))
        told = {"table": str(look.table), "asked": look.reason}
        if not count:
            log.info("all rows were looked at: every row is true", **told)
            self._end(look)
            return
        rows = (
            f"{count} or more"
            if any(len(found) >= LIMIT for found in stale.values())
            else str(count)
        )
        run = self._desk.under_way(look.table)
        sent = self._heal(stale, run, still=self._stands_still(look.table, run))
        if sent is not None:
            log.warning(
                "all rows were looked at: stale ones are sent", rows=rows, sent=sent, **told
            )
            self._end(look)
        elif run is not None and run.run != self._told.get(look.table):
            self._told[look.table] = run.run
            log.warning(
                (
                    "a replay run holds a table that is to be looked at; its rows are looked at "
                    "again after it"
                ),
                rows=rows,
                run=str(run.run),
                **told,
            )

    def _stands_still(self, table: TableName, run: UnderWay | None) -> bool:
        """Whether the run that holds a table has not moved for as long as is waited;
        then the wait begins again.
        """
        now, held = self._clock.monotonic(), self._held.get(table)
        if run is None or held is None or held.run != run:
            self._held.pop(table, None)
            if run is not None:
                self._held[table] = _Held(run, now)
            return False
        if now - held.since < self._retry:
            return False
        self._held[table] = _Held(run, now)
        return True

    def _without_columns(self, look: Look) -> None:
        if not self._asked.is_there(look.table):
            log.info(
                "a table that was to be looked at is gone", table=str(look.table), asked=look.reason
            )
            self._end(look)
        elif look.table not in self._unknown:
            self._unknown.add(look.table)
            log.warning(
                "a table is to be looked at that these settings do not name",
                table=str(look.table),
                asked=look.reason,
            )

    def _end(self, look: Look) -> None:
        self._asked.done(look.table, look.asked_at)
        self._held.pop(look.table, None)
        self._not_before.pop(look.table, None)
