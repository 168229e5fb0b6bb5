"""Reading for a comparison: texts, and the nearest rows of one column, exactly or by
its vector index. Changes nothing.

Hazards:
- On a small table the planner reads every row although there is an index, so each way
  has a connection of its own, on which the planner is told which way to take; `uses`
  says whether it did.
- pgvector returns no more rows from an HNSW index than hnsw.ef_search, which stays as
  the server has it.
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
    # Without sorting, a vector index is the only way to rows in the order of their
    # distance.
    INDEX: "SET enable_seqscan = off; SET enable_sort = off",
}


@dataclass(frozen=True, slots=True)
class Searchable:
    """What a column offers: rows that have a text, vectors of its model, and their
    bytes.
    """

    texts: int
    vectors: int
    bytes: int


def session(dsn: str, way: str = EXACT, *, prefix: str | None = None) -> Session:
    """A connection that can write nothing, and searches in one way.

    Args:
        dsn: of the database.
        way: `EXACT` or `INDEX`.
        prefix: as for `Session`.
    """

    def setup(opened: Connection) -> None:
        with opened.cursor() as cursor:
            cursor.execute(f"SET default_transaction_read_only = on; {_PLANS[way]}")
            cursor.execute(queries.text("add_operators"))

    return Session(dsn, role="compare", prefix=prefix, setup=setup)


def texts(reading: Session, target: Target, limit: int | None = None) -> dict[Key, str]:
    """Texts by key, in the order of the keys, without blank ones; the first `limit` of
    them.
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
    found = {
        place
        for (place,) in reading.rows(
            queries.for_target("with_text", target.guard()), key_arrays(keys)
        )
    }
    return [key for place, key in enumerate(keys, 1) if place not in found]


def searchable(reading: Session, target: Target) -> Searchable:
    """Count what the column offers; reads every row once."""
    model = {"model": target.model}
    lines = guard.around(target, lambda t: reading.rows(queries.for_target("searchable", t), model))
    return Searchable(*map(int, lines[0]))


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
    """Whether `nearest` on this connection goes through an index of one of these names."""
    explain = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(queries.for_target("rank_rows", target))
    plan = reading.rows(explain, _parameters(target, query, limit))[0][0]
    return bool(set(names) & set(_indexes(json.loads(plan) if isinstance(plan, str) else plan)))


def ef_search(reading: Session) -> int | None:
    """`hnsw.ef_search` of the server; None where pgvector is not loaded yet, or too old
    to have it.
    """
    value = reading.rows("SELECT current_setting('hnsw.ef_search', true)")[0][0]
    return int(value) if value else None


def _parameters(target: Target, query: Vector, limit: int) -> dict[str, Any]:
    return {"query": PgVector(query).to_text(), "model": target.model, "limit": limit}


def _indexes(plan: Any) -> list[str]:
    """Names of the indexes anywhere in a plan."""
    if isinstance(plan, list):
        return [name for part in plan for name in _indexes(part)]
    if not isinstance(plan, dict):
        return []
    here = [str(plan["Index Name"])] if "Index Name" in plan else []
    return here + [name for part in plan.values() for name in _indexes(part)]
