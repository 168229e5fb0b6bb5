"""What `vectrue init` prints at its end: the changes, and the rows that lack a vector."""

from dataclasses import dataclass

from schemas.reports.coverage import Coverage
from schemas.reports.migration import table_flags
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class InitReport:
    """What was done, and the coverage afterwards.

    Attributes:
        changed: a line for each change.
        notices: what the operator should know.
        tables: the coverage of each column; empty when rows could not be counted.
    """

    changed: tuple[str, ...]
    notices: tuple[str, ...]
    tables: tuple[Coverage, ...]

    @property
    def lacking(self) -> list[str]:
        """A sentence for each column that lacks vectors, and what fills them."""
        names = [column.table for column in self.tables]
        found: list[Coverage] = []
        lines: list[str] = []
        for column in self.tables:
            if not column.lacking:
                continue
            found.append(column)
            where = f" in {column.column}" if names.count(column.table) > 1 else ""
            rows = f"{column.lacking:,} of {column.rows:,} rows of {column.table}"
            lines.append(f"{rows} lack a current vector{where}")
        if not found:
            return []
        return [*lines, f"next: vectrue worker, and vectrue replay run{self._adoption(found)}"]

    def _adoption(self, found: list[Coverage]) -> str:
        """Say how to keep vectors that the application made itself."""
        made: list[Coverage] = []
        tables: list[TableName] = []
        for column in found:
            if column.stale_model and not column.current:
                made.append(column)
                tables.append(TableName.parse(column.table))
        if not made:
            return ""
        flags = table_flags(tables)
        # A model's id is `name@revision`; --model takes the name.
        model = made[0].model.partition("@")[0]
        return (
            f"; if this model made the existing vectors, vectrue adopt{flags} --model {model} first"
        )
