"""What the database wants in a vector column of a configured table: its model, and the
text of these settings.

Hazard: a settings file may name another text than the database wants. Whoever spoke of
that column would speak of other rows than the workers see; so it is refused here, for
every reader.
"""

from typing import Any

from connectors.postgres import catalog, queries
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.rows.target import Target
from schemas.settings.sections import TableSettings


def resolve(session: Session, table: TableSettings) -> tuple[Target, bool]:
    """The target of a table's settings, and whether it is frozen.

    Raises:
        ConfigurationError: table or column are missing, `vectrue init` was not run, or
            it was for another text.
        TransientError: Postgres does not answer.
    """
    info = catalog.inspect(session, table.table)
    catalog.require_table(info, table.table)
    if table.column not in info.columns:
        # raises with the sentence for a missing column
        catalog.target_of(info, table, model="", dimensions=0)
    found = lines(session, table, table.column)
    if not found:
        raise ConfigurationError(
            f"vectrue does not know {table.name}.{table.column} yet", fix="run `vectrue init`"
        )
    model, dimensions, frozen, text_digest = found[0]
    target = catalog.target_of(info, table, model=str(model), dimensions=int(dimensions))
    if text_digest != target.text_digest.hex():
        raise TargetMismatch(
            (
                f"{target.name} wants vectors of another text than [[tables]] text of {table.name} "
                "says"
            ),
            fix="correct the text, or run `vectrue init` to want this one from now on",
        )
    for column in target.provenance:
        if column not in info.columns:
            raise ConfigurationError(
                f"table {table.name} has no column {column}", fix="run `vectrue init`"
            )
    catalog.check_text(session, target)
    return target, bool(frozen)


def lines(session: Session, table: TableSettings, column: str) -> list[tuple[Any, ...]]:
    """Model, dimensions, whether frozen, and the text's digest in hex; empty where the
    database wants nothing there.
    """
    if not session.rows("SELECT to_regclass('vectrue.targets') IS NOT NULL")[0][0]:
        return []
    return session.rows(
        queries.text("wanted_target"), {"table": str(table.table), "column": column}
    )
