"""How far each column of a migration is, and the command that comes next for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.postgres.migrations.twins import Index, IndexTwins
from schemas.reports.migration import ColumnMigration, table_flags
from schemas.rows.table import TableName
from streams.migration.next_step import Elsewhere, Next, following, following_all, starting


@dataclass(frozen=True, slots=True)
class ColumnStatus:
    """One column: its migration, the rows without a new vector, the indexes built.

    Attributes:
        migration: its state.
        rows: of the table; None when the new column is not counted.
        lacking: rows without a true new vector, those being embedded included; None
            when the new column is not counted.
        indexes: those of the old column, and their twins; None when not looked at.
        staying: rows of `lacking` that are not being embedded; None when not counted.
        problem: what was done to the table, and what to do about it; None when it is as
            the migration left it.
        run: what to do about a replay run over the table that does not give way; None
            without one.
        named: whether the settings name the new model.
        behind: tables of the settings that still have to follow to the new model.
        readers: what keeps reading the old vectors after the swap, as views do.
    """

    migration: ColumnMigration
    rows: int | None
    lacking: int | None
    indexes: IndexTwins | None = None
    staying: int | None = None
    problem: Next | None = None
    run: Next | None = None
    named: bool = True
    behind: tuple[TableName, ...] = ()
    readers: tuple[str, ...] = ()

    @property
    def next(self) -> Next:
        """The command that comes next for this column."""
        if self.problem is not None:
            return self.problem
        if self.run is not None:
            return self.run
        lacking = self.indexes.lacking if self.indexes else ()
        unbuilt = 0
        for index in lacking:
            # An index that serves a constraint is not carried over.
            if index.constraint is None:
                unbuilt += 1
        return following(
            self.migration,
            staying=self.staying,
            unbuilt=unbuilt,
            named=self.named,
            behind=self.behind,
            is_read=bool(self.readers),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        made, found = self.migration, self.indexes
        return {
            "table": str(made.table),
            "column": made.column,
            "beside": made.beside,
            "state": str(made.state),
            "offline": made.offline,
            "frozen": made.frozen,
            "from_model": made.from_model,
            "from_dimensions": made.from_dimensions,
            "to_model": made.to_model,
            "to_dimensions": made.to_dimensions,
            "rows": self.rows,
            "lacking": self.lacking,
            "staying": self.staying,
            "indexes": len(found.wanted) if found else None,
            "indexes_built": found.built if found else None,
            "indexes_lacking": _labels(found.lacking) if found else [],
            "indexes_invalid": _labels(found.invalid) if found else [],
            "problem": self.problem.why if self.problem else None,
            "readers": list(self.readers),
            "next": self.next.typed(table_flags([made.table])),
        }


def _labels(indexes: Iterable[Index]) -> list[str]:
    return [index.label for index in indexes]


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """All columns that are under way, and what comes next.

    Attributes:
        columns: those in the scope.
        elsewhere: migrations in the database that are not of the settings' tables.
        is_part: whether the scope is a part of what is under way in the settings.
        left: tables that are not under way, each with the migration that it has to
            follow.
    """

    columns: Sequence[ColumnStatus]
    elsewhere: Sequence[Elsewhere] = ()
    is_part: bool = False
    left: Sequence[tuple[TableName, ColumnMigration]] = ()

    @property
    def steps(self) -> list[str]:
        """The commands that come next, with their tables where one is not for all."""
        if not self.columns and self.left:
            tables = [table for table, _ in self.left]
            return [starting(self.left[0][1]).typed(table_flags(tables))]
        found: list[tuple[TableName, Next]] = []
        for line in self.columns:
            step = line.next
            found.append((line.migration.table, step))
        return following_all(found, is_part=self.is_part)

    @property
    def next(self) -> str | None:
        """The first of them; None without a migration."""
        return next(iter(self.steps), None)

    @property
    def notices(self) -> list[str]:
        """The problems, and what keeps reading the old vectors."""
        problems: list[str] = []
        readers: list[str] = []
        for line in self.columns:
            name = line.migration.name
            if line.problem:
                problems.append(f"{name}: {line.problem.why}")
            said = f"keeps reading the old vectors, of {name}"
            for reader in line.readers:
                readers.append(f"{reader} {said}")
        # The problems of all columns first: they keep a step from being taken.
        return problems + readers

    @property
    def verdict(self) -> str:
        """All sentences, one a line."""
        lines = self.notices
        steps = self.steps
        for step in steps:
            lines.append(f"next: {step}")
        if not steps:
            lines.append("no migration is under way")
        for one in self.elsewhere:
            lines.append(one.sentence)
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data, for scripts."""
        found: dict[str, Any] = {
            "columns": [line.to_json() for line in self.columns],
            "next": self.next,
        }
        if self.elsewhere:
            found["elsewhere"] = [one.to_json() for one in self.elsewhere]
        return found
