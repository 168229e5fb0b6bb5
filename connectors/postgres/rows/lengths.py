"""How long a column's vectors are, its indexes, and one sentence for a wrong length.

Hazard: an explanation asks the database again, after the failed transaction has ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from connectors.postgres import catalog, queries
from connectors.postgres.migrations import migration
from connectors.postgres.rows import wanted
from connectors.postgres.rows.wanted import Wanted
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.errors import VectrueError, WrongLength
from schemas.rows.dimensions import Lengths
from schemas.rows.target import Target


@dataclass(frozen=True, slots=True)
class Column:
    """A vector column.

    Attributes:
        lengths: the lengths that meet in it.
        indexes: each as `{"name": ..., "valid": ..., "framed": ..., "building": ...,
            "partial": ..., "cosine": ...}`.
    """

    lengths: Lengths
    indexes: tuple[dict[str, Any], ...]


def read(session: Session, target: Target, made: tuple[str, int] | None) -> Column:
    """Look at a column, and at no more than a thousand of its vectors.

    Args:
        session: any connection that may read the table.
        target: table, column and key.
        made: name and dimensions of the settings' model; None if they do not matter.

    Raises:
        ConfigurationError: the table does not exist.
    """
    declared, held, indexes = _facts(session, target)
    model, dimensions = _wanted(session, target)
    is_open = _is_open(session, target)
    name, makes = made or (None, None)
    onward, back = _ways(session)
    lengths = Lengths(
        table=str(target.table),
        column=target.column,
        declared=None if declared < 0 else int(declared),
        held=tuple(sorted(held)),
        wanted=dimensions,
        wanted_model=str(model).split("@", 1)[0] if model else None,
        made=makes,
        made_model=name,
        migrating=is_open,
        behind=not is_open and (model, name, makes) in onward,
        ahead=not is_open and (model, name, makes) in back,
    )
    return Column(lengths, tuple(indexes))


def _facts(session: Session, target: Target) -> tuple[Any, ...]:
    """Declared length, lengths that are held, indexes."""
    oid = catalog.inspect(session, target.table).oid
    lines = session.rows(queries.text("vector_schema"))
    function = sql.Identifier(lines[0][0] if lines else "public", "vector_dims")
    query = queries.for_target("column_facts", target, vector_dims=function)
    return session.rows(query, {"oid": oid, "column": target.column})[0]


def _wanted(session: Session, target: Target) -> tuple[str | None, int | None]:
    """The wanted model and its dimensions; None where nothing is wanted."""
    if not schema.exists(session, "vectrue.targets"):
        return None, None
    lines = session.rows(queries.text("wanted_target"), wanted.place(target))
    if not lines:
        return None, None
    found = Wanted._make(lines[0])
    return found.model, found.dimensions


def _is_open(session: Session, target: Target) -> bool:
    """Whether a migration of the column is under way."""
    place = (target.table, target.column)
    return any((made.table, made.column) == place for made in migration.read(session))


def _ways(session: Session) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """What migrations lead to, and back to, from the model of a column.

    Each is a model id, and name and dimensions of the model at the other end.
    """
    onward, back = set(), set()
    for made in migration.read(session, finished=True):
        onward.add((made.from_model, made.to_settings.get("name"), made.to_dimensions))
        back.add((made.to_model, made.from_settings.get("name"), made.from_dimensions))
    return onward, back


@contextmanager
def explained(session: Session, target: Target) -> Iterator[None]:
    """Explain a vector of the wrong length, raised within, as `doctor` does.

    Raises:
        WrongLength: with the lengths and the next command.
    """
    try:
        yield
    except WrongLength as error:
        try:
            lengths = read(session, target, None).lengths
        except VectrueError:
            # The first error says less, but the second must not hide it.
            raise error from None
        raise WrongLength(
            f"{target.name} is {lengths.sentence}", fix=lengths.fix or error.fix
        ) from error
