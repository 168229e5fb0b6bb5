"""What depends on a vector column: it blocks a drop or another type, or is dropped too.

Views, functions with a parsed body and triggers know a column by number: after a swap
they continue to read the old vectors. The statements can be run in the order given.

Hazard: indexes are left out (`twins`), and so is what the catalogue does not know: a
function whose body is text, a foreign table of another database.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.statement import trial

_WITH = {
    "view": "GRANTs",
    "materialized view": "indexes and GRANTs",
    "function": "GRANTs",
    "procedure": "GRANTs",
}
"""What a DROP takes along besides the definition."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """One thing that depends on a column, itself or through another.

    Attributes:
        kind: `view`, `materialized view`, `function`, `trigger`, `policy`, `rule`,
            `generated column`, `publication`, `check constraint`, `foreign key`,
            `constraint`, `statistics`, or as Postgres calls it.
        name: qualified, as SQL writes it; of what belongs to a table, `name of table`.
        drops: the statement that takes it out of the way, without a semicolon; empty
            where none is known.
        shows: a query that prints its definition and all else that a DROP takes along;
            empty where there is none.
        blocks: true: DROP COLUMN and ALTER COLUMN TYPE are refused while it is there;
            false: DROP COLUMN takes it along, without an error.
    """

    kind: str
    name: str
    drops: str
    shows: str
    blocks: bool

    @property
    def said(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {self.name}"

    @property
    def besides(self) -> str:
        """What a DROP takes along besides the definition; may be empty."""
        return _WITH.get(self.kind, "")

    @property
    def lost(self) -> str:
        """All that a DROP takes along: to be saved before it and created again after."""
        if not self.besides:
            return "definition"
        joint = ", " if " and " in self.besides else " and "
        return f"definition{joint}{self.besides}"


def of_column(session: Session, oid: int, column: str) -> list[Dependent]:
    """What depends on one column of the table with this oid, or of its partitions.

    Raises:
        TransientError: Postgres does not answer.
    """
    return of_columns(session, oid, [column])


def of_columns(session: Session, oid: int, columns: Sequence[str]) -> list[Dependent]:
    """The same of several columns, each thing once. Raises as `of_column`."""
    with trial(session) as cursor:
        _show_schemas(cursor)
        cursor.execute(queries.text("dependents"), {"oid": oid, "columns": list(columns)})
        lines = cursor.fetchall()
    # In the order found: what depends on a view comes before the view.
    found: dict[Dependent, None] = {}
    for kind, name, drops, shows, blocks in lines:
        found[Dependent(kind, name, drops, shows, blocks)] = None
    return list(found)


def of_row_type(session: Session, oid: int) -> list[Dependent]:
    """Columns elsewhere that hold whole rows of the table.

    While they exist, no column's type can be changed; columns can be dropped.

    Raises:
        TransientError: Postgres does not answer.
    """
    with trial(session) as cursor:
        _show_schemas(cursor)
        cursor.execute(queries.text("row_type_users"), {"oid": oid})
        lines = cursor.fetchall()
    kind = "column of its row type"
    return [Dependent(kind, name, drops, shows="", blocks=True) for name, drops in lines]


def _show_schemas(cursor: Cursor) -> None:
    """Have Postgres write names with their schema."""
    # Postgres leaves out a schema that is in the search path.
    cursor.execute("SET LOCAL search_path = ''")
