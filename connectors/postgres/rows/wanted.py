"""What the database wants in a vector column: which model, and vectors of which text.

Hazard: a settings file may name another text than the database wants. `resolve` refuses
it, for every reader.
"""

from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from connectors.postgres import catalog, queries
from connectors.postgres.catalog import TableInfo
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.rows.target import Target
from schemas.settings.sections import TableSettings


class Wanted(NamedTuple):
    """What the database wants in one column.

    Attributes:
        model: id of the model.
        dimensions: length of its vectors.
        frozen: whether the column's vectors are no longer kept true.
        text_digest: that of the text, in hex; None in a schema from before it was kept.
    """

    model: str
    dimensions: int
    frozen: bool
    text_digest: str | None

    def fits(self, target: Target) -> bool:
        """Whether these are the model and the text of a target."""
        is_model = (self.model, self.dimensions) == (target.model, target.dimensions)
        return is_model and self.text_digest == target.text_digest.hex()


def resolve(session: Session, table: TableSettings) -> tuple[Target, bool]:
    """The target of a table's settings, and whether it is frozen.

    Raises:
        ConfigurationError: table or column are missing, or `vectrue init` was not run.
        TargetMismatch: `vectrue init` was run for another text.
        TransientError: Postgres does not answer.
    """
    info = catalog.inspect(session, table.table)
    catalog.require_table(info, table.table)
    if table.column not in info.columns:
        # Raises the error about a missing column.
        catalog.target_of(info, table, model="", dimensions=0)
    found = lines(session, table, table.column)
    if not found:
        raise ConfigurationError(
            f"vectrue does not know {table.name}.{table.column} yet", fix="run `vectrue init`"
        )
    here = found[0]
    target = catalog.target_of(info, table, model=str(here.model), dimensions=int(here.dimensions))
    # A command that went on would report on other rows than the workers see.
    if here.text_digest != target.text_digest.hex():
        raise TargetMismatch(
            f"{target.name} wants vectors of another text than [[tables]] text of {table.name} "
            "says",
            fix="correct the text, or run `vectrue init` to want this one from now on",
        )
    _require_provenance(info, target, table.name)
    catalog.check_text(session, target)
    return target, bool(here.frozen)


def _require_provenance(info: TableInfo, target: Target, name: str) -> None:
    for column in target.provenance:
        if column not in info.columns:
            raise ConfigurationError(
                f"table {name} has no column {column}", fix="run `vectrue init`"
            )


def lines(session: Session, table: TableSettings, column: str) -> list[Wanted]:
    """What the database wants in a column of a table; empty where it wants nothing."""
    if not session.rows("SELECT to_regclass('vectrue.targets') IS NOT NULL")[0][0]:
        return []
    asked = {"table": str(table.table), "column": column}
    return [Wanted._make(line) for line in session.rows(queries.text("wanted_target"), asked)]


def within(cursor: Cursor, target: Target) -> Wanted | None:
    """What the database wants in a column now; None where it wants nothing.

    Args:
        cursor: of the transaction that the answer is for.
        target: table and column.
    """
    cursor.execute(queries.text("wanted_target"), place(target))
    line = cursor.fetchone()
    return None if line is None else Wanted._make(line)


def place(target: Target) -> dict[str, object]:
    """Parameters that name a column in a query of vectrue's own tables."""
    return {"table": str(target.table), "column": target.column}
