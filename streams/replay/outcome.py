"""What a replay run came to: the rows that it handled, and their state afterwards.

Hazard: a condition (`--since`, `--where`) may name other rows after the run than
before, since the run writes what it reads: after `--since 1h` none is left. So the
ledger counts what was handled, and the whole tables are counted too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from schemas.reports.coverage import Coverage, once
from schemas.reports.replay import ScopeProgress
from streams.replay.keys import Named


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The ledger's counts by column, and the state of the rows after a run.

    Counts of rows have each row once, however many columns of its table the run
    covers.

    Attributes:
        run: which; None when there was nothing to do.
        state: of the run.
        resumed: whether it continued an interrupted run.
        progress: the ledger's counts, by column.
        coverage: of the rows that the run covers; empty when they were named by key:
            then the ledger has the counts.
        named: what the keys came to; None without keys.
        standing: coverage of the whole tables, where a condition named some rows.
    """

    run: UUID | None
    state: str
    resumed: bool
    progress: Sequence[ScopeProgress]
    coverage: Sequence[Coverage]
    named: Named | None = None
    standing: Sequence[Coverage] = ()

    @property
    def names_nothing(self) -> bool:
        """Whether there were keys, and none of a row: perhaps of another table."""
        return self.named is not None and self.named.keys > 0 and self.named.rows == 0

    @property
    def handled(self) -> int:
        """Rows that the run handled, whatever became of them."""
        return _sum(self.progress, lambda scope: scope.done)

    @property
    def tables(self) -> Sequence[str]:
        """The tables that `rows` counts, each once."""
        tables: dict[str, None] = {}
        for one in self._counted or self.progress:
            tables[one.table] = None
        return list(tables)

    @property
    def rows(self) -> int:
        """Rows of the tables, or those that were named by key."""
        if self._counted:
            return _sum(self._counted, lambda column: column.rows)
        return _sum(self.progress, lambda scope: scope.done - scope.gone)

    @property
    def good(self) -> int:
        """Rows that are current or blank now, in each column."""
        bad = _sum(self._counted, _bad) if self._counted else _sum(self.progress, _failed)
        return self.rows - bad

    @property
    def quarantined(self) -> int:
        """Rows whose text the model, or whose write the table, refuses."""
        if self._counted:
            return _sum(self._counted, lambda column: column.quarantined)
        return _sum(self.progress, lambda scope: scope.quarantined)

    @property
    def unreadable(self) -> int:
        """Rows whose text Postgres cannot make; those named by key are in quarantine."""
        return _sum(self._counted, lambda column: column.unreadable)

    @property
    def gone(self) -> int:
        """Rows named by key that were deleted before their turn."""
        return 0 if self._counted else _sum(self.progress, lambda scope: scope.gone)

    @property
    def is_true(self) -> bool:
        """Whether every row of the run is current or blank now, and there was one."""
        left = _sum(self.coverage, _bad) if self.coverage else _sum(self.progress, _failed)
        return self.state == "done" and not left and not self.names_nothing

    @property
    def _counted(self) -> Sequence[Coverage]:
        return self.standing or self.coverage

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data, for scripts."""
        return {
            "run": str(self.run) if self.run else None,
            "state": self.state,
            "resumed": self.resumed,
            "ok": self.is_true,
            "handled": self.handled,
            "columns": [scope.to_json() for scope in self.progress],
            "coverage": [column.to_json() for column in self.coverage],
            "keys": self.named.to_json() if self.named else None,
        }


_Counted = TypeVar("_Counted", Coverage, ScopeProgress)


def _sum(columns: Iterable[_Counted], count: Callable[[_Counted], int]) -> int:
    """Return the rows of all tables, each once however many columns it has."""
    rows: list[tuple[str, int]] = []
    for column in columns:
        rows.append((column.table, count(column)))
    return once(rows)


def _bad(column: Coverage) -> int:
    """Rows that are neither current nor blank."""
    return column.rows - column.current - column.blank


def _failed(scope: ScopeProgress) -> int:
    """Rows that the ledger has as neither written nor right as they were."""
    return scope.quarantined + scope.failed + scope.obsolete
