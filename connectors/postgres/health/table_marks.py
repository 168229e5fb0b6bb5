"""What a table's rows are stored in, to notice rows that came without an event.

Logical decoding sees no DDL: a partition that is attached, a table that is rewritten
(ALTER COLUMN TYPE … USING), swapped by a rename, restored, unlogged for a while or
taken out of the publication brings rows without an event.

Hazard: VACUUM FULL and CLUSTER write other files as well; they cost a look in vain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class Mark:
    """How a table is stored and published now, and how it was when it was noted.

    Attributes:
        table: which.
        now: empty for a table that is not there.
        noted: None where nothing is noted.
    """

    table: TableName
    now: str
    noted: str | None


class TableMarkStore:
    """Reads and notes the marks of one installation's tables, over one connection."""

    def __init__(self, session: Session, prefix: str, publication: str) -> None:
        self._session = session
        self._prefix = prefix
        self._publication = publication

    def read(self, tables: Sequence[TableName]) -> list[Mark]:
        """The marks of these tables.

        Raises:
            TransientError: Postgres does not answer.
        """
        names: list[str] = []
        schemas: list[str] = []
        for table in tables:
            schemas.append(table.schema)
            names.append(table.name)
        asked = {
            "prefix": self._prefix,
            "publication": self._publication,
            "tables": [str(table) for table in tables],
            "schemas": schemas,
            "names": names,
        }
        lines = self._session.rows(queries.text("table_marks"), asked)
        return [Mark(TableName.parse(table), now, noted) for table, now, noted in lines]

    def note(self, mark: Mark) -> None:
        """Note how a table is stored now. Raises as `read`."""
        values = {"prefix": self._prefix, "table": str(mark.table), "mark": mark.now}
        self._session.rows(queries.text("note_table_mark"), values)
