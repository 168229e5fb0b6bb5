"""How far a migration is, and the command that comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.ports import Clock
from connectors.postgres import catalog, coverage, migration
from connectors.postgres.keeper import KeeperDesk
from connectors.postgres.session import Session
from schemas.coverage import Coverage
from schemas.errors import EmbedsyncError
from schemas.migration import ColumnMigration, State
from schemas.settings import Settings
from streams import stragglers, targets


@dataclass(frozen=True, slots=True)
class ColumnStatus:
    """One column: its migration, the rows that still lack the new vector, the indexes that are built on it.

    `rows` and `lacking` are None where the new column is not counted yet.
    """

    migration: ColumnMigration
    rows: int | None
    lacking: int | None
    built: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        m = self.migration
        return {
            "table": str(m.table), "column": m.column, "beside": m.beside, "state": str(m.state), "offline": m.offline,
            "frozen": m.frozen, "from_model": m.from_model, "from_dimensions": m.from_dimensions,
            "to_model": m.to_model, "to_dimensions": m.to_dimensions, "rows": self.rows, "lacking": self.lacking,
            "indexes": len(m.indexes), "indexes_built": self.built,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """All columns that are under way, and one sentence."""

    columns: Sequence[ColumnStatus]

    @property
    def next(self) -> str | None:
        """The command that comes next; None without a migration."""
        if not self.columns:
            return None
        first = self.columns[0].migration
        if any(line.lacking is None for line in self.columns):
            return f"embedsync migrate start (again, with model {first.to_model})"
        if first.state is State.SWAPPED:
            return "embedsync migrate finish (or rollback)"
        if any(line.lacking for line in self.columns):
            return "embedsync replay run"
        if any(line.built < len(line.migration.indexes) for line in self.columns):
            return "embedsync migrate index"
        return "embedsync migrate finish" if first.offline else "embedsync migrate swap"

    @property
    def verdict(self) -> str:
        """The sentence."""
        return f"next: {self.next}" if self.columns else "no migration is under way"

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"columns": [line.to_json() for line in self.columns], "next": self.next}


def read(settings: Settings, session: Session) -> Report:
    """Look at the configured columns; counts every row once."""
    mine = {(table.table, table.column) for table in settings.tables}
    found = [made for made in migration.read(session) if (made.table, made.column) in mine]
    counted = {(line.table, line.column): line for line in coverage.read(session, settings)} if found else {}
    return Report([_column(session, made, counted) for made in found])


def require_filled(settings: Settings, session: Session, clock: Clock) -> Sequence[ColumnStatus]:
    """Refuse to go on while rows lack their new vectors; rows that are on their way to one may.

    Returns:
        the columns.

    Raises:
        EmbedsyncError: with the number of rows and the command that fills them.
    """
    found = read(settings, session).columns
    for line in found:
        lacking = _stragglers(settings, session, clock, line)
        if lacking is None or lacking:
            what = "the rows" if lacking is None else f"{lacking:,} rows"
            raise EmbedsyncError(
                f"{what} of {line.migration.table} lack a vector of {line.migration.to_model}",
                fix="embedsync replay run",
            )
    return found


def require_indexes(found: Sequence[ColumnStatus]) -> None:
    """Refuse to go on while an index of the old column has no twin.

    Raises:
        EmbedsyncError: with the command that builds it.
    """
    for line in found:
        if missing := len(line.migration.indexes) - line.built:
            raise EmbedsyncError(
                f"{missing} of {len(line.migration.indexes)} indexes of {line.migration.name} are not built again",
                fix="embedsync migrate index",
            )


def _stragglers(settings: Settings, session: Session, clock: Clock, line: ColumnStatus) -> int | None:
    if line.lacking is None or not 0 < line.lacking <= stragglers.MOST:
        return line.lacking
    place = (line.migration.table, new_column(line.migration))
    target = next((t for t in targets.resolve(settings, session) if (t.table, t.column) == place), None)
    if target is None:
        return line.lacking
    desk = KeeperDesk(session, settings.kafka.topic_prefix)
    return stragglers.count(lambda: desk.stale(target, stragglers.MOST), clock)


def _column(session: Session, made: ColumnMigration, counted: dict[tuple[str, str], Coverage]) -> ColumnStatus:
    column = new_column(made)
    line = counted.get((str(made.table), column))
    names = {names.served if column == made.column else names.growing for names in made.indexes}
    oid = catalog.inspect(session, made.table).oid
    built = sum(index.valid and index.name in names for index in migration.indexes(session, oid, column))
    return ColumnStatus(made, line.rows if line else None, line.lacking if line else None, built)


def new_column(made: ColumnMigration) -> str:
    """The column that holds the new vectors now."""
    return made.column if made.offline or made.state is State.SWAPPED else made.beside or made.column
