"""Reconcile: rows that are not true, and stay so, are sent through replay, whatever it
was that missed them.

A lost slot, a deleted topic, a vector that somebody set to NULL: all look alike from
here, and heal alike. A row that is stale now may be on its way, so there are two looks:
what is stale at both, and was not written meanwhile, has stayed so, whatever text it
had at either: a text that is another one at each look must not hide.

Hazards:
- Time is counted by the first and the second look, never by a column of the row, which
  nobody maintains.
- A look keeps at most LIMIT rows of a column in memory. More are stale at both looks:
  then it is a whole table's business, and which rows they are does not matter.
- What is sent is a run over all rows of the table that are stale by then. Rows that
  have become true meanwhile cost one look-up each.
- Capture that starts again is when events get lost, whatever the reason, so the next
  look is brought forward then. A start that no keeper saw waits for the next look.
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
"""A worker that has just started lets at most this long pass before it looks, so that
ten of them do not at once.
"""
_JITTER = 0.1


class ReconcileDatabase(Protocol):
    """What the database says; `connectors.postgres.health.keeper.KeeperStore` in
    earnest. May raise TransientError.
    """

    def since_reconcile(self) -> float | None:
        """Seconds since the last reconcile of any worker; None: look at once."""
        ...

    def note_reconcile(self, found: int) -> None:
        """A reconcile has ended."""
        ...

    def sweep(self, target: Target) -> int:
        """Take out of quarantine what no row answers to any more; how many lines."""
        ...

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Rows that are not true now."""
        ...

    def under_way(self, table: TableName) -> UnderWay | None:
        """An unfinished run over a table."""
        ...


_UNKNOWN = -1
"""No process has this number."""

Reader = Callable[[], int | None]
"""The server's process that capture reads the slot through; None when nobody reads. May
raise TransientError.
"""

Send = Callable[[Sequence[Target]], UUID | None]
"""Send the stale rows of these columns of one table through replay; None when there are
none any more.
"""


@dataclass(frozen=True)
class ReconcileSnapshot:
    """What was seen of all tables at one time."""

    at: float
    targets: Sequence[Target]
    stale: Mapping[str, Mapping[Key, Fingerprint]]
    runs: Mapping[TableName, UnderWay | None] = field(default_factory=dict)

    def stayed(self, since: "ReconcileSnapshot", target: Target) -> tuple[int, bool]:
        """Rows that were stale in an earlier look, too; and whether there were too many
        to know them, both times.
        """
        now, before = self.stale[target.name], since.stale.get(target.name, {})
        same = sum(
            key in before and _written(before[key]) == _written(found) for key, found in now.items()
        )
        return same, len(now) >= LIMIT and len(before) >= LIMIT


def _written(fingerprint: Fingerprint) -> tuple[bytes | None, str | None]:
    """What was last written: hash and model."""
    _, _, stored_hash, stored_model = fingerprint
    return stored_hash, stored_model


class Reconcile:
    """Looks twice, sends once; driven from outside by `tick`."""

    def __init__(
        self,
        settings: KeeperSettings,
        desk: ReconcileDatabase,
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
            desk: what the database says.
            targets: the columns as the database wants them now.
            send: starts a run over a table.
            reader: tells when capture starts again: another process serves it.
            clock: tells the time.
            spread: a number between two, by chance.
        """
        self._settings = settings
        self._desk = desk
        self._targets = targets
        self._send = send
        self._reader = reader
        self._clock = clock
        self._spread = spread
        soon = min(_SOON_SECONDS, settings.reconcile_seconds)
        self._not_before = clock.monotonic() + spread(0.0, soon)
        self._pause = self._drawn()
        self._first: ReconcileSnapshot | None = None
        self._read_by: int | None = _UNKNOWN
        self._brought_forward = False

    def tick(self) -> None:
        """Look, if it is time to.

        Raises:
            VectrueError: the look could not be finished; the next call begins where it
                stopped.
        """
        now = self._clock.monotonic()
        if not self._settings.reconcile_seconds:
            return
        self._watch_capture()
        if now < self._not_before:
            return
        if self._first is None:
            since = self._desk.since_reconcile()
            pause = (
                min(self._pause, self._settings.stale_seconds)
                if self._brought_forward
                else self._pause
            )
            if since is None or since >= pause:
                self._begin(now)
        elif now >= self._first.at + self._settings.stale_seconds:
            self._finish(self._first, now)

    def forget(self) -> None:
        """Somebody else is the keeper now: a look that was begun is theirs to begin
        again.
        """
        self._first = None

    def _watch_capture(self) -> None:
        reader = self._reader()
        if reader not in (self._read_by, None) and self._read_by != _UNKNOWN:
            log.info("capture started again: all rows are looked at")
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
            judged = [second.stayed(first, target) for target in targets]
            stayed = sum(same for same, _ in judged)
            many = any(over for _, over in judged)
            found += stayed
            if stayed or many:
                self._heal(first, second, targets, f"{stayed} or more" if many else str(stayed))
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
        before, under_way = first.runs.get(table), second.runs[table]
        if under_way is not None and not (under_way.resumable and under_way == before):
            self._stand_back(table, rows, under_way, moves=under_way != before)
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
    def _stand_back(table: TableName, rows: str, run: UnderWay, *, moves: bool) -> None:
        """Leave a table to somebody else's run, and say so aloud where that one heals
        nothing.
        """
        told = {"table": str(table), "rows": rows, "run": str(run.run)}
        if moves:
            log.info("rows stayed stale, and a replay run is on its way", **told)
        else:
            # Its command may be gone: then nobody sends the rest, and no run beside it
            # may heal the table.
            log.warning(
                "rows stayed stale, and a replay run that does not move holds their table: "
                "vectrue replay resume, or cancel it",
                **told,
            )

    def _look(self, now: float) -> ReconcileSnapshot:
        targets = sorted(self._targets(), key=lambda target: target.table)
        stale = {target.name: self._desk.stale(target, LIMIT) for target in targets}
        return ReconcileSnapshot(
            now,
            targets,
            stale,
            {target.table: self._desk.under_way(target.table) for target in targets},
        )

    def _end(self, look: ReconcileSnapshot, found: int) -> None:
        if swept := sum(self._desk.sweep(target) for target in look.targets):
            log.info("quarantine was swept of rows that are gone or have another text", lines=swept)
        self._desk.note_reconcile(found)
        self._first = None
        self._pause = self._drawn()
        for table in look.runs:
            metrics.LAST_RECONCILE.labels(str(table)).set(self._clock.now().timestamp())

    def _drawn(self) -> float:
        return self._settings.reconcile_seconds * self._spread(1 - _JITTER, 1 + _JITTER)
