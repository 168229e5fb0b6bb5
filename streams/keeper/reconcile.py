"""Reconcile: rows that are not true, and stay so, are sent through replay.

A lost slot, a deleted topic, a vector that was set to NULL: all look the same from
here, and are repaired the same way. A row that is stale now may be on its way, so there
are two looks. What is stale at both, and was not written meanwhile, has stayed so.

Hazards:
- Time is measured between the two looks, never by a column of the row, which the
  application may not maintain.
- A look keeps at most LIMIT rows of a column in memory. If more are stale at both
  looks, the whole table is sent, and which rows they are does not matter.
- What is sent is a run over all rows of the table that are stale by then. Rows that
  have become true meanwhile cost one read each.
- Events get lost when capture restarts, so the next look is brought forward then. A
  restart that no keeper saw waits for the next look.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol
from uuid import UUID

import structlog

from connectors.ports import Clock
from connectors.postgres.health.keeper import Fingerprint, UnderWay
from schemas.health import metrics
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from schemas.settings.sections import KeeperSettings

log = structlog.get_logger()

LIMIT = 10_000
"""Rows of a column that are remembered from one look to the next: a few megabytes."""
_SOON_SECONDS = 60.0
"""A worker that has just started waits at most this long before it looks."""
_JITTER = 0.1
"""Share by which the pause between two looks varies."""


class ReconcileDatabase(Protocol):
    """What the database says.

    In production `connectors.postgres.health.keeper.KeeperStore`. May raise
    TransientError.
    """

    def since_reconcile(self) -> float | None:
        """Return the seconds since any worker's last reconcile; None: look at once."""
        ...

    def note_reconcile(self, found: int) -> None:
        """Note that a reconcile has ended, and how many rows had stayed stale."""
        ...

    def sweep(self, target: Target) -> int:
        """Remove quarantine entries whose row is gone or changed; return how many."""
        ...

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Return rows that are not true now, at most `limit`."""
        ...

    def under_way(self, table: TableName) -> UnderWay | None:
        """Return the unfinished run over a table; None when there is none."""
        ...


_UNKNOWN = -1
"""Not the number of any process."""

Reader = Callable[[], int | None]
"""Returns the server process that capture reads the slot through; None when the slot is
not read. May raise TransientError.
"""

Send = Callable[[Sequence[Target]], UUID | None]
"""Sends the stale rows of these columns of one table through replay; returns the run,
None when no row is stale any more.
"""


@dataclass(frozen=True)
class ReconcileSnapshot:
    """What was seen of all tables at one time."""

    at: float
    """Monotonic seconds."""
    targets: Sequence[Target]
    """In the order of their tables."""
    stale: Mapping[str, Mapping[Key, Fingerprint]]
    """By the name of the target."""
    runs: Mapping[TableName, UnderWay | None] = field(default_factory=dict)

    def stayed(self, since: "ReconcileSnapshot", target: Target) -> tuple[int, bool]:
        """Compare a column with an earlier look.

        Args:
            since: the earlier look.
            target: the column.

        Returns:
            how many rows were stale then, too; and whether both times there were too
            many to know them.
        """
        now = self.stale[target.name]
        before = since.stale.get(target.name, {})
        same = 0
        for key, found in now.items():
            same += key in before and _written(before[key]) == _written(found)
        return same, len(now) >= LIMIT and len(before) >= LIMIT


def _written(fingerprint: Fingerprint) -> tuple[bytes | None, str | None]:
    """Return what was last written: hash and model."""
    # Not the row's text: one that changes between the looks must not hide the row.
    _, _, stored_hash, stored_model = fingerprint
    return stored_hash, stored_model


class Reconcile:
    """Looks twice, sends once. The keeper calls `tick`."""

    def __init__(
        self,
        settings: KeeperSettings,
        database: ReconcileDatabase,
        targets: Callable[[], Sequence[Target]],
        send: Send,
        reader: Reader,
        clock: Clock,
        *,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Join the parts.

        Args:
            settings: how often, and how long a row may be stale.
            database: the rows and the runs.
            targets: the columns as the database wants them now.
            send: starts a run over a table.
            reader: which process serves capture; another one after a restart.
            clock: tells the time.
            spread: returns a random number between two.
        """
        self._settings = settings
        self._database = database
        self._targets = targets
        self._send = send
        self._reader = reader
        self._clock = clock
        self._spread = spread
        # At random, so that ten workers that start together do not look at once.
        soon = min(_SOON_SECONDS, settings.reconcile_seconds)
        self._not_before = clock.monotonic() + spread(0.0, soon)
        self._pause = self._drawn()
        self._first: ReconcileSnapshot | None = None
        self._read_by: int | None = _UNKNOWN
        self._brought_forward = False

    def tick(self) -> None:
        """Look if it is time to.

        Raises:
            VectrueError: the look could not be finished; the next call goes on where it
                stopped.
        """
        now = self._clock.monotonic()
        if not self._settings.reconcile_seconds:
            return
        # At every tick: a restart before the next look must not be missed.
        self._watch_capture()
        if now < self._not_before:
            return
        if self._first is None:
            since = self._database.since_reconcile()
            pause = self._pause
            if self._brought_forward:
                pause = min(pause, self._settings.stale_seconds)
            if since is None or since >= pause:
                self._begin(now)
        elif now >= self._first.at + self._settings.stale_seconds:
            self._finish(self._first, now)

    def forget(self) -> None:
        """Forget the first look: another worker is the keeper now."""
        self._first = None

    def _watch_capture(self) -> None:
        reader = self._reader()
        # The first process that is seen is not a restart, nor is a slot without any.
        if reader not in (self._read_by, None) and self._read_by != _UNKNOWN:
            log.info("capture restarted: all rows will be looked at")
            self._brought_forward = True
        self._read_by = reader

    def _begin(self, now: float) -> None:
        seen = self._look(now)
        self._brought_forward = False
        if any(seen.stale.values()) or any(seen.runs.values()):
            self._first = seen
        else:
            log.info("reconciled: every row is true", tables=len(seen.runs))
            self._end(seen, 0)

    def _finish(self, first: ReconcileSnapshot, now: float) -> None:
        second = self._look(now)
        found = 0
        for _, columns in groupby(second.targets, key=lambda target: target.table):
            targets = list(columns)
            stayed = 0
            too_many = False
            for target in targets:
                same, over = second.stayed(first, target)
                stayed += same
                too_many |= over
            found += stayed
            if stayed or too_many:
                rows = f"{stayed} or more" if too_many else str(stayed)
                self._heal(first, second, targets, rows)
        if not found:
            log.info("reconciled: no row has stayed stale", tables=len(second.runs))
        self._end(second, found)

    def _heal(
        self,
        first: ReconcileSnapshot,
        second: ReconcileSnapshot,
        targets: Sequence[Target],
        rows: str,
    ) -> None:
        table = targets[0].table
        before = first.runs.get(table)
        under_way = second.runs[table]
        if under_way is not None:
            moves = under_way != before
            if moves or not under_way.resumable:
                self._leave_to(under_way, table, rows, moves=moves)
                return
        run = self._send(targets)
        if run is not None:
            log.warning(
                "rows stayed stale and are sent through replay",
                table=str(table),
                rows=rows,
                run=str(run),
                again=under_way is not None,
            )

    @staticmethod
    def _leave_to(run: UnderWay, table: TableName, rows: str, *, moves: bool) -> None:
        """Leave a table to another run, and warn where that one does not move."""
        told = {"table": str(table), "rows": rows, "run": str(run.run)}
        if moves:
            log.info("rows stayed stale, and a replay run is on its way", **told)
        else:
            # Its command may be gone. Then the rest is never sent, and no other run may
            # repair the table.
            log.warning(
                "rows stayed stale, and a replay run that does not move holds their table: "
                "run `vectrue replay resume`, or cancel it",
                **told,
            )

    def _look(self, now: float) -> ReconcileSnapshot:
        # By table, as `groupby` needs them.
        targets = sorted(self._targets(), key=lambda target: target.table)
        stale: dict[str, Mapping[Key, Fingerprint]] = {}
        for target in targets:
            stale[target.name] = self._database.stale(target, LIMIT)
        runs: dict[TableName, UnderWay | None] = {}
        for target in targets:
            runs[target.table] = self._database.under_way(target.table)
        return ReconcileSnapshot(now, targets, stale, runs)

    def _end(self, look: ReconcileSnapshot, found: int) -> None:
        swept = 0
        for target in look.targets:
            swept += self._database.sweep(target)
        if swept:
            log.info("quarantine entries removed: row gone or text changed", entries=swept)
        self._database.note_reconcile(found)
        self._first = None
        self._pause = self._drawn()
        for table in look.runs:
            metrics.LAST_RECONCILE.labels(str(table)).set(self._clock.now().timestamp())

    def _drawn(self) -> float:
        return self._settings.reconcile_seconds * self._spread(1 - _JITTER, 1 + _JITTER)
