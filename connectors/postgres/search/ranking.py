"""Read for a comparison: texts, and nearest rows, exactly or by a vector index.

Hazard: pgvector returns no more rows from an HNSW index than hnsw.ef_search, which is
left at the server's value.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import Vector as PgVector
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from connectors.postgres import guard, queries
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.session import Session
from schemas.rows.document import Vector
from schemas.rows.table import Key
from schemas.rows.target import Target

EXACT, INDEX = "exact", "index"
_PLANS = {
    EXACT: "SET enable_indexscan = off; SET enable_bitmapscan = off",
    # Without a sort, only a vector index gives rows in the order of their distance.
    INDEX: "SET enable_seqscan = off; SET enable_sort = off",
}


@dataclass(frozen=True, slots=True)
class Searchable:
    """What a search can find in a column.

    Attributes:
        texts: rows that have a text.
        vectors: rows that have a vector of the column's model.
        bytes: what these vectors take.
    """

    texts: int
    vectors: int
    bytes: int


def session(dsn: str, way: str = EXACT, *, prefix: str | None = None) -> Session:
    """A read-only connection that searches in one way.

    Args:
        dsn: of the database.
        way: `EXACT` or `INDEX`.
        prefix: as for `Session`.
    """

    def setup(opened: Connection) -> None:
        with opened.cursor() as cursor:
            # On a small table the planner reads every row although there is an index:
            # the settings leave it no other way.
            cursor.execute(f"SET default_transaction_read_only = on; {_PLANS[way]}")
            cursor.execute(queries.text("add_operators"))

    return Session(dsn, role="compare", prefix=prefix, setup=setup)


def texts(reading: Session, target: Target, limit: int | None = None) -> dict[Key, str]:
    """Texts by key, in the order of the keys, without blank ones.

    Args:
        reading: made by `session`.
        target: the column.
        limit: most texts; None for all of them.
    """
    lines = guard.around(
        target, lambda t: reading.rows(queries.for_target("texts", t), {"limit": limit})
    )
    return {tuple(key): text for key, text in lines}


def missing(reading: Session, target: Target, keys: Sequence[Key]) -> list[Key]:
    """Those of the keys that have no row with a text.

    Raises:
        PoisonEvent: one is not a value of the key columns' types.
    """
    lines = reading.rows(queries.for_target("with_text", target.guard()), key_arrays(keys))
    found: set[int] = set()
    for (place,) in lines:
        found.add(place)
    lacking: list[Key] = []
    for place, key in enumerate(keys, 1):
        if place not in found:
            lacking.append(key)
    return lacking


def searchable(reading: Session, target: Target) -> Searchable:
    """Count what a search can find; reads every row once."""
    model = {"model": target.model}
    lines = guard.around(target, lambda t: reading.rows(queries.for_target("searchable", t), model))
    texts_, vectors, size = lines[0]
    return Searchable(int(texts_), int(vectors), int(size))


def nearest(reading: Session, target: Target, query: Vector, limit: int) -> list[tuple[Key, str]]:
    """Keys and texts of the nearest rows of the target's model, best first.

    Args:
        reading: made by `session`, which decides how rows are found.
        target: the column.
        query: float32[dimensions], unit length.
        limit: most rows returned.
    """
    parameters = _parameters(target, query, limit)
    lines = guard.around(
        target, lambda t: reading.rows(queries.for_target("rank_rows", t), parameters)
    )
    return [(tuple(key), text or "") for key, text in lines]


def uses(
    reading: Session, target: Target, query: Vector, limit: int, names: Collection[str]
) -> bool:
    """Whether `nearest` on this connection uses an index of one of these names."""
    explain = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(queries.for_target("rank_rows", target))
    plan = reading.rows(explain, _parameters(target, query, limit))[0][0]
    if isinstance(plan, str):
        plan = json.loads(plan)
    return not _indexes(plan).isdisjoint(names)


def ef_search(reading: Session) -> int | None:
    """The server's `hnsw.ef_search`; None if pgvector is too old, or not loaded yet."""
    value = reading.rows("SELECT current_setting('hnsw.ef_search', true)")[0][0]
    return int(value) if value else None


def _parameters(target: Target, query: Vector, limit: int) -> dict[str, Any]:
    return {"query": PgVector(query).to_text(), "model": target.model, "limit": limit}


def _indexes(plan: Any) -> set[str]:
    """Names of the indexes anywhere in a plan."""
    found: set[str] = set()
    if isinstance(plan, dict):
        if "Index Name" in plan:
            found.add(str(plan["Index Name"]))
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            found |= _indexes(part)
    return found
