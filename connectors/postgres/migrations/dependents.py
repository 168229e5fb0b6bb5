"""What depends on a vector column: Postgres refuses to drop it or change its type
meanwhile, or drops both.

Views, functions with a parsed body, triggers and the like know a column by number:
after a swap they go on with the old vectors. What depends on a view in turn stands
before it, so that the statements can be typed in the order given.

Hazards:
- Indexes are left out (`twins`), and so is what is not written down in the catalogue: a
  function whose body is text, a foreign table of another database.
- Names are as the session would write them: asked with an empty search path, so that
  each has its schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.statement import trial

_WITH = {
    "view": "GRANTs",
    "materialized view": "indexes and GRANTs",
    "function": "GRANTs",
    "procedure": "GRANTs",
}
"""What goes with a DROP besides the definition."""


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
            false: DROP COLUMN takes it along without a word.
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
        """What goes with a DROP besides the definition; empty where nothing does."""
        return _WITH.get(self.kind, "")

    @property
    def lost(self) -> str:
        """All that goes with a DROP, to be kept before it and made anew after it."""
        joint = ", " if " and " in self.besides else " and "
        return f"definition{joint}{self.besides}" if self.besides else "definition"


def of_column(session: Session, oid: int, column: str) -> list[Dependent]:
    """What depends on one column of the table with this oid, or of its partitions.

    Raises:
        TransientError: Postgres does not answer.
    """
    return of_columns(session, oid, [column])


def of_columns(session: Session, oid: int, columns: Sequence[str]) -> list[Dependent]:
    """The same of several columns, each thing once. Raises as `of_column`."""
    with trial(session) as cursor:
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute(queries.text("dependents"), {"oid": oid, "columns": list(columns)})
        return list(dict.fromkeys(Dependent(*line) for line in cursor.fetchall()))


def of_row_type(session: Session, oid: int) -> list[Dependent]:
    """Columns elsewhere that hold whole rows of the table: no column's type can be
    changed, all can be dropped.

    Raises:
        TransientError: Postgres does not answer.
    """
    with trial(session) as cursor:
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute(queries.text("row_type_users"), {"oid": oid})
        return [
            Dependent("column of its row type", name, drops, "", True)
            for name, drops in cursor.fetchall()
        ]
