"""What `vectrue init` says at its end: what was done, how many rows lack a vector, and
what fills them.
"""

from dataclasses import dataclass

from schemas.reports.coverage import Coverage
from schemas.reports.migration import table_flags
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class InitReport:
    """What was done and how things stand."""

    changed: tuple[str, ...]
    notices: tuple[str, ...]
    tables: tuple[Coverage, ...]

    @property
    def lacking(self) -> list[str]:
        """A sentence for each column with rows that lack a current vector, and what
        fills them.
        """
        twice = {
            table.table
            for table in self.tables
            if sum(one.table == table.table for one in self.tables) > 1
        }
        found = [table for table in self.tables if table.lacking]
        lines = [
            f"{table.lacking:,} of {table.rows:,} rows of {table.table} lack a current vector"
            f"{f' in {table.column}' if table.table in twice else ''}"
            for table in found
        ]
        if not found:
            return []
        made = [table for table in found if table.stale_model and not table.current]
        flags = table_flags(TableName.parse(table.table) for table in made)
        named = f" --model {made[0].model.partition('@')[0]}" if made else ""
        believed = (
            f"; if this model made the vectors that are there, vectrue adopt{flags}{named} first"
        )
        return [*lines, f"next: vectrue worker, and vectrue replay run{believed if made else ''}"]
