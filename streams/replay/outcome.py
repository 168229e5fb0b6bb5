"""What a replay run came to: the rows that it handled, and how they and their tables
stand.

Hazard: a condition (`--since`, `--where`) may name other rows after the run than
before, since the run writes what it reads: of `--since 1h` none is left. So the ledger
tells what was handled, and the whole tables are counted besides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas.reports.coverage import Coverage, once
from schemas.reports.replay import ScopeProgress
from streams.replay.keys import Named


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to: the ledger's counts by column, and the state of its rows
    afterwards.

    Counts of rows here have each row once, however many columns of its table the run
    was about.

    Attributes:
        run: which; None: there was nothing to do.
        state: of the run.
        resumed: whether it went on with one that was interrupted.
        progress: the ledger's counts, by column.
        coverage: of the rows that the run was about; empty when they were named one by
            one, where the ledger tells.
        named: what their keys came to.
        standing: of all rows of the tables, where a condition named some of them.
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
        """Whether there were keys, and not one of a row: of another table, perhaps."""
        return self.named is not None and self.named.keys > 0 and self.named.rows == 0

    @property
    def handled(self) -> int:
        """Rows that the run came to, whatever became of them."""
        return once((p.table, p.done) for p in self.progress)

    @property
    def tables(self) -> Sequence[str]:
        """The tables that `rows` counts."""
        return list(
            dict.fromkeys([c.table for c in self._counted] or [p.table for p in self.progress])
        )

    @property
    def rows(self) -> int:
        """Rows of the tables, or those that were named one by one."""
        if self._counted:
            return once((c.table, c.rows) for c in self._counted)
        return once((p.table, p.done - p.gone) for p in self.progress)

    @property
    def good(self) -> int:
        """Those of them that are current or blank now, in each column."""
        return self.rows - (
            once(_bad(self._counted)) if self._counted else once(_failed(self.progress))
        )

    @property
    def quarantined(self) -> int:
        """Those whose text the model or whose write the table refuses."""
        counted = self._counted or self.progress
        return once((one.table, one.quarantined) for one in counted)

    @property
    def unreadable(self) -> int:
        """Those whose text Postgres cannot make; of rows named one by one they count as
        in quarantine.
        """
        return once((c.table, c.unreadable) for c in self._counted)

    @property
    def gone(self) -> int:
        """Rows named one by one that were deleted before their turn."""
        return 0 if self._counted else once((p.table, p.gone) for p in self.progress)

    @property
    def is_true(self) -> bool:
        """Whether every row of the run is current or blank now; not where all keys are
        of no row.
        """
        left = once(_bad(self.coverage)) if self.coverage else once(_failed(self.progress))
        return self.state == "done" and not left and not self.names_nothing

    @property
    def _counted(self) -> Sequence[Coverage]:
        return self.standing or self.coverage

    def to_json(self) -> dict[str, Any]:
        """The verdict for scripts."""
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


def _bad(columns: Iterable[Coverage]) -> Iterable[tuple[str, int]]:
    """Rows that are neither current nor blank."""
    return ((c.table, c.rows - c.current - c.blank) for c in columns)


def _failed(scopes: Iterable[ScopeProgress]) -> Iterable[tuple[str, int]]:
    """Rows that the ledger has as neither written nor right as they were."""
    return ((p.table, p.quarantined + p.failed + p.obsolete) for p in scopes)
