"""How long the vectors of a column are, its indexes, and every error about that in the
same sentence.

Hazard: an explanation asks the database once more, after the transaction that failed
has ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from connectors.postgres import catalog, queries
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.errors import VectrueError, WrongLength
from schemas.rows.dimensions import Lengths
from schemas.rows.target import Target


@dataclass(frozen=True, slots=True)
class Column:
    """A vector column: the lengths that meet in it, and its indexes.

    An index is `{"name": ..., "valid": ..., "framed": ..., "building": ..., "partial":
    ..., "cosine": ...}`.
    """

    lengths: Lengths
    indexes: tuple[dict[str, Any], ...]


def read(session: Session, target: Target, made: tuple[str, int] | None) -> Column:
    """Look at a column; a thousand of its vectors at most.

    Args:
        session: any connection that may read the table.
        target: table, column and key.
        made: name of the settings' model and what it makes; None where that does not
            matter.

    Raises:
        ConfigurationError: there is no such table.
    """
    oid = catalog.inspect(session, target.table).oid
    lines = session.rows(queries.text("vector_schema"))
    function = sql.Identifier(lines[0][0] if lines else "public", "vector_dims")
    query = queries.for_target("column_facts", target, vector_dims=function)
    declared, held, indexes = session.rows(query, {"oid": oid, "column": target.column})[0]
    asked = {"table": str(target.table), "column": target.column}
    founded = schema.exists(session, "vectrue.targets")
    wanted = session.rows(queries.text("wanted_target"), asked) if founded else []
    model, dimensions, *_ = wanted[0] if wanted else (None, None)
    open_here = any(
        (m.table, m.column) == (target.table, target.column) for m in migration.read(session)
    )
    name, makes = made or (None, None)
    ways = migration.read(session, finished=True)
    onward = {(m.from_model, m.to_settings.get("name"), m.to_dimensions) for m in ways}
    back = {(m.to_model, m.from_settings.get("name"), m.from_dimensions) for m in ways}
    lengths = Lengths(
        str(target.table),
        target.column,
        None if declared < 0 else int(declared),
        tuple(sorted(held)),
        dimensions,
        str(model).split("@", 1)[0] if model else None,
        makes,
        name,
        open_here,
        behind=not open_here and (model, name, makes) in onward,
        ahead=not open_here and (model, name, makes) in back,
    )
    return Column(lengths, tuple(indexes))


@contextmanager
def explained(session: Session, target: Target) -> Iterator[None]:
    """Turn a vector of the wrong length into the sentence that `doctor` prints.

    Raises:
        WrongLength: with the lengths and the next command.
    """
    try:
        yield
    except WrongLength as error:
        try:
            lengths = read(session, target, None).lengths
        except VectrueError:
            # less is known, but nothing is hidden by the failure to learn more
            raise error from None
        raise WrongLength(
            f"{target.name} is {lengths.sentence}", fix=lengths.fix or error.fix
        ) from error
