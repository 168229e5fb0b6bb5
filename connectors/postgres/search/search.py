"""Nearest rows by cosine distance, among those that the wanted model embedded.

Hazard: an approximate index looks at a bounded number of rows. If it finds too few,
every row is read, in the same transaction.
"""

import json
import math
from typing import Any

from pgvector import Vector as PgVector
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import guard, queries
from connectors.postgres.ledger import enumeration
from connectors.postgres.rows import lengths, wanted
from connectors.postgres.session import Session
from schemas.errors import TransientError
from schemas.reports.replay import Request
from schemas.reports.search import Hit, SearchRequest
from schemas.rows.document import Vector
from schemas.rows.target import Target

Condition = sql.Composable
"""A condition of ours on rows, as SQL; `equals` makes one."""


class ModelMoved(TransientError):
    """The column has changed its model since the query was embedded: embed it again."""


def check_where(
    session: Session, target: Target, request: SearchRequest, named: str = "--where"
) -> None:
    """Have Postgres parse the request's condition, as it does that of a replay.

    Args:
        session: of the role that will search.
        target: the column.
        request: has the condition.
        named: what the condition is called where it was given.

    Raises:
        VectrueError: it is not a condition on this table, or more than one.
        ConfigurationError: the role may not read what it names.
    """
    enumeration.check_where(session, target, Request(where=request.where), named)


def equals(column: str, value: str) -> Condition:
    """The condition that a column has a value."""
    # A literal without a type is read as a value of the column's type.
    name = sql.Identifier(column.replace("%", "%%"))
    return sql.SQL("{} = {}").format(name, sql.Literal(value.replace("%", "%%")))


def nearest(
    session: Session,
    target: Target,
    query: Vector,
    request: SearchRequest,
    *,
    only: Condition | None = None,
) -> list[Hit]:
    """The rows nearest to a query vector.

    One read-only transaction searches, and checks which model the column holds.

    Args:
        session: any connection that may read the table.
        target: the column; only rows of its model are searched.
        query: float32[dimensions], unit length.
        request: its limits and condition are used; `check_where` must have passed.
        only: another condition, of ours.

    Returns:
        hits, most similar first.

    Raises:
        ModelMoved: a migration has given the column's name to vectors of another model.
        WrongLength: the column holds vectors of another length.
    """
    condition = _condition(request, only)
    lines = guard.around(target, lambda t: _nearest(session, t, query, request, condition))
    least = -math.inf if request.min_similarity is None else request.min_similarity
    hits: list[Hit] = []
    for line in lines:
        hit = _hit(target, line)
        # This leaves out NaN, the similarity to a zero vector.
        if hit.similarity >= least:
            hits.append(hit)
    return hits


def _condition(request: SearchRequest, only: Condition | None) -> sql.Composable:
    conditions = [only] if only else []
    if request.where:
        conditions.append(enumeration.condition(request.where))
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def uses_index(session: Session, target: Target, limit: int) -> bool:
    """Whether the planner uses a vector index for the nearest rows of a column now.

    Args:
        session: any connection that may read the table.
        target: the column.
        limit: most rows of a search.
    """
    anything = PgVector([1.0] + [0.0] * (target.dimensions - 1)).to_text()
    parameters = {"query": anything, "model": target.model, "limit": limit}
    with session.transaction() as cursor:
        cursor.execute(queries.text("tune_search"), {"ef_search": None, "limit": limit})
        ((schema, *_),) = cursor.fetchall()
        query = _query(target, sql.SQL("true"), _distance(target, schema), exact=False)
        cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(query), parameters)
        # Only a scan in the order of a distance has this; a sort has "Sort Key".
        return '"Order By":' in json.dumps(cursor.fetchall())


def hold(cursor: Cursor, target: Target) -> None:
    """Keep migrations from renaming the column until the transaction ends.

    Raises:
        ModelMoved: it holds another model's vectors already.
    """
    # The lock comes first: a swap either waits for it, or is seen by the next statement.
    cursor.execute(queries.for_target("hold_table", target, bound=False))
    found = wanted.within(cursor, target)
    if found is None or found[:2] != (target.model, target.dimensions):
        raise ModelMoved(
            f"{target.name} no longer holds vectors of {target.model}", fix="try again"
        )


def _nearest(
    session: Session,
    target: Target,
    query: Vector,
    request: SearchRequest,
    condition: sql.Composable,
) -> list[tuple[Any, ...]]:
    parameters = {"query": PgVector(query).to_text(), "model": target.model, "limit": request.limit}
    tuning = {"ef_search": request.ef_search, "limit": request.limit}
    with lengths.explained(session, target), session.transaction() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        hold(cursor, target)
        cursor.execute(queries.text("tune_search"), tuning)
        ((schema, *_),) = cursor.fetchall()
        distance = _distance(target, schema)
        lines = _search(cursor, target, condition, distance, parameters, exact=request.exact)
        # With a condition, or among many vectors of another model, an index may find
        # too few.
        if len(lines) < request.limit and not request.exact and _has_index(session, target):
            lines = _search(cursor, target, condition, distance, parameters, exact=True)
        return lines


def _distance(target: Target, schema: str) -> sql.Composed:
    """Cosine distance to the query, wherever pgvector is installed."""
    # psycopg2 takes a % for the start of a parameter, also within a name.
    column = sql.Identifier(target.column.replace("%", "%%"))
    of_pgvector = sql.Identifier(schema.replace("%", "%%"))
    distance = sql.SQL("{column} OPERATOR({schema}.<=>) %(query)s::{schema}.vector")
    return distance.format(column=column, schema=of_pgvector)


def _search(
    cursor: Cursor,
    target: Target,
    condition: sql.Composable,
    distance: sql.Composable,
    parameters: dict[str, object],
    *,
    exact: bool,
) -> list[tuple[Any, ...]]:
    cursor.execute(_query(target, condition, distance, exact=exact), parameters)
    return cursor.fetchall()


def _query(
    target: Target, condition: sql.Composable, distance: sql.Composable, *, exact: bool
) -> sql.Composed:
    # An index serves the bare distance only; the sum is computed for every row.
    order = sql.SQL("({}) + 0").format(distance) if exact else distance
    return queries.for_target(
        "search_rows", target, condition=condition, distance=distance, order=order
    )


def _has_index(session: Session, target: Target) -> bool:
    return enumeration.relation_facts(session, target).vector_index


def _hit(target: Target, line: tuple[Any, ...]) -> Hit:
    key, text, similarity, embedded_at, age, is_current = line
    return Hit(
        table=str(target.table),
        key=tuple(key),
        text=text or "",
        similarity=float(similarity),
        embedded_at=embedded_at,
        age_seconds=None if age is None else float(age),
        is_current=bool(is_current),
    )
