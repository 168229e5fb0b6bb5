"""Nearest rows by cosine distance, among those that the wanted model embedded."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pgvector import Vector as PgVector

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.document import Vector
from schemas.errors import TransientError
from schemas.target import Target


@dataclass(frozen=True, slots=True)
class Hit:
    """A row found: its key, its text now, the cosine similarity to the query (-1 to 1), when it was embedded.

    `is_current` is false where the text has changed since, and its new vector is still on the way.
    """

    table: str
    key: tuple[str, ...]
    text: str
    similarity: float
    embedded_at: datetime | None
    is_current: bool

    def to_json(self) -> dict[str, Any]:
        """The hit by field name."""
        return asdict(self)


class ModelMoved(TransientError):
    """The column has changed its model since the query was embedded: embed it again."""


def nearest(session: Session, target: Target, query: Vector, limit: int) -> list[Hit]:
    """The rows nearest to a query vector, in one transaction with a look at what the column holds.

    Args:
        session: any connection that may read the table.
        target: the column; only rows of its model are searched.
        query: float32[dimensions], unit length.
        limit: most rows returned.

    Returns:
        hits, most similar first.

    Raises:
        ModelMoved: a migration has given the column's name to vectors of another model.
    """
    parameters = {"query": PgVector(query).to_text(), "model": target.model, "limit": limit}
    with session.transaction() as cursor:
        cursor.execute(queries.for_target("hold_table", target, bound=False))
        cursor.execute(queries.text("wanted_target"), {"table": str(target.table), "column": target.column})
        found = cursor.fetchone()
        if found is None or found[:2] != (target.model, target.dimensions):
            raise ModelMoved(f"{target.name} no longer holds vectors of {target.model}", fix="try again")
        cursor.execute(queries.for_target("search_rows", target), parameters)
        lines = cursor.fetchall()
    return [Hit(str(target.table), tuple(key), text or "", float(sim), at, now) for key, text, sim, at, now in lines]
