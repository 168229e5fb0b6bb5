"""Which rows a run is about: the keys of its rows, page by page, a survey of them, and
keys that were written down.

Everything here reads in a read-only transaction, since a part of the query may be the
operator's (`--where`): it can write nothing, whatever functions it calls.

Hazard: `--where` goes into a query as it stands, in brackets of its own. `check_where`
keeps it from becoming more than one condition (expressions.py); it must have passed
before any other function here sees the request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from connectors.postgres import expressions, guard, queries
from connectors.postgres.checks import text_rights
from connectors.postgres.errors import translate
from connectors.postgres.session import Session
from schemas.errors import HiddenRows, PoisonEvent, RowRefused, VectrueError
from schemas.reports.replay import SURVEY_COUNTS, Only, Request, Survey
from schemas.rows.table import Key
from schemas.rows.target import Target

_STATES: dict[Only, tuple[str, ...]] = {
    "missing": ("missing",),
    "stale": ("missing", "stale_text", "stale_model"),
}
_SAMPLE_BYTES = 32 * 2**20
"""A table with more than this is sampled for an estimate: about a second, even from a
cold disk.
"""


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """Size of a table: `rows` as last analysed, None if never."""

    heap_bytes: int
    rows: float | None
    indexes: int
    vector_index: bool


def next_keys(
    session: Session, target: Target, request: Request, after: Key | None, limit: int
) -> list[Key]:
    """The next keys in the order of the primary key; fewer than `limit` are the last."""
    bounds = sql.SQL(", ").join(
        sql.SQL("%(c{})s::{}").format(sql.SQL(str(i)), sql.SQL(column.type))
        for i, column in enumerate(target.key)
    )
    cursor = queries.for_target("after_cursor", target, bounds=bounds) if after else sql.SQL("true")
    wanted: sql.Composable = sql.SQL("true")
    if request.only != "all":
        states = sql.SQL(", ").join(map(sql.Literal, _STATES[request.only]))
        wanted = sql.SQL("{} IN ({})").format(queries.for_target("row_state", target), states)
    more: dict[str, Any] = {
        "after_cursor": cursor,
        "wanted_states": wanted,
        "filters": _filters(target, request),
    }
    parameters: dict[str, object] = {"model": target.model, "limit": limit, "since": request.since}
    parameters |= {f"c{i}": value for i, value in enumerate(after or ())}
    lines = _around(
        target,
        request,
        lambda t: _read(session, queries.for_target("enumerate_keys", t, **more), parameters),
    )
    return [tuple(key) for (key,) in lines]


def survey(
    session: Session,
    target: Target,
    request: Request,
    *,
    exact: bool,
    sample_bytes: int = _SAMPLE_BYTES,
) -> Survey:
    """Count a column's rows by state, in one pass; a table of more than `sample_bytes`
    is sampled unless `exact`.
    """
    facts = relation_facts(session, target)
    share = 1.0 if exact else min(1.0, sample_bytes / max(1, facts.heap_bytes))
    sample: sql.Composable = sql.SQL("")
    if share < 1.0:
        sample = sql.SQL("TABLESAMPLE SYSTEM ({})").format(sql.Literal(100 * share))
    more: dict[str, Any] = {"sample": sample, "filters": _filters(target, request)}
    parameters: dict[str, object] = {"model": target.model, "since": request.since}
    lines = _around(
        target,
        request,
        lambda t: _read(session, queries.for_target("survey", t, **more), parameters),
    )
    ((*counts, mean, largest),) = lines
    scale = 1 / share
    if share < 1.0 and facts.rows and request.is_whole and counts[0]:
        # the whole is known better than the share that a sample really took
        scale = facts.rows / counts[0]
    scaled = dict(zip(SURVEY_COUNTS, (round(count * scale) for count in counts), strict=True))
    return Survey(**scaled, mean_bytes=mean, largest_bytes=largest, exact=share == 1.0)


def relation_facts(session: Session, target: Target) -> RelationFacts:
    """Size of the table, its partitions included."""
    parameters = {"table": queries.table(target.table).as_string(session.connection())}
    heap, rows, indexes, vectors = session.rows(queries.text("relation_facts"), parameters)[0]
    return RelationFacts(
        int(heap), rows if rows is not None and rows >= 0 else None, int(indexes), bool(vectors)
    )


def check_where(session: Session, target: Target, request: Request, named: str = "--where") -> None:
    """Have Postgres parse and plan the whole enumeration with the operator's condition,
    in a read-only transaction.

    Args:
        session: of the role that will evaluate it.
        target: the column.
        request: has the condition.
        named: what the condition is called where it was given.

    Raises:
        VectrueError: it is no condition on this table, or more than one.
        ConfigurationError: the role may not read what it names; with the grant that is
            missing.
    """
    if request.where is None:
        return
    if (why := expressions.refusal(session, request.where)) is not None:
        raise _no_condition(target, named, why)
    parameters = {"model": target.model, "limit": 1, "since": request.since}
    true = sql.SQL("true")
    filters = _filters(target, request)
    query = queries.for_target(
        "enumerate_keys", target, after_cursor=true, wanted_states=true, filters=filters
    )
    try:
        expressions.explain(session, query, parameters)
    except psycopg2.Error as error:
        translated = translate(error)
        if isinstance(translated, HiddenRows) or expressions.is_transient(error, translated):
            raise translated from error  # says nothing about the condition
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            raise text_rights.refused(session, target, request.where, named, error) from error
        raise _no_condition(target, named, " ".join(str(error).split())) from error


def _no_condition(target: Target, named: str, why: str) -> VectrueError:
    return VectrueError(
        f"{named} is no condition on {target.table} ({why})",
        fix="write what would follow WHERE in a SELECT",
    )


def plain_keys(session: Session, target: Target, keys: Sequence[Key]) -> list[Key]:
    """Keys as the database writes them.

    Raises:
        PoisonEvent: one of them is no value of the key columns' types.
    """
    query = queries.for_target("plain_keys", target, key_texts=_texts(target))
    return [tuple(key) for (key,) in session.rows(query, _arrays(target, keys))]


def named_rows(
    session: Session, target: Target, keys: Sequence[Key]
) -> list[tuple[Key, Key | None]]:
    """Keys as the database writes them, each with that of the row it names; None for no
    row.

    Two spellings of one row (`007` and `7`, a time in two zones) come to the same row's
    key.

    Raises:
        PoisonEvent: as `plain_keys`.
    """
    query = queries.for_target("named_rows", target, key_texts=_texts(target))
    lines = session.rows(query, _arrays(target, keys))
    return [(tuple(plain), tuple(found) if found else None) for plain, found in lines]


def survey_keys(session: Session, target: Target, keys: Sequence[Key]) -> Survey:
    """Count the rows with these keys by state."""
    more: dict[str, Any] = {
        "sample": sql.SQL(""),
        "filters": queries.for_target("asked_keys", target),
    }
    parameters = {"model": target.model, **_arrays(target, keys)}
    ((*counts, mean, largest),) = guard.around(
        target, lambda t: _read(session, queries.for_target("survey", t, **more), parameters)
    )
    return Survey(
        **dict(zip(SURVEY_COUNTS, counts, strict=True)), mean_bytes=mean, largest_bytes=largest
    )


def _texts(target: Target) -> sql.Composable:
    prefix = queries.ours(target)
    return sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(f"{prefix}k{i}")) for i in range(len(target.key))
    )


def _arrays(target: Target, keys: Sequence[Key]) -> dict[str, object]:
    return {f"k{i}": [key[i] for key in keys] for i in range(len(target.key))}


def first_bad_key(session: Session, target: Target, keys: Sequence[Key]) -> tuple[int, str]:
    """Position of the first key that `plain_keys` refuses, and why; halves are tried
    until it stands alone.
    """
    start = 0
    while len(keys) > 1:
        middle = len(keys) // 2
        try:
            plain_keys(session, target, keys[:middle])
        except PoisonEvent:
            keys = keys[:middle]
        else:
            start, keys = start + middle, keys[middle:]
    try:
        plain_keys(session, target, keys)
    except PoisonEvent as reason:
        return start, reason.message
    raise VectrueError(f"keys of {target.table} were refused together and taken one by one")


def condition(where: str) -> sql.Composable:
    """The operator's condition as part of a query that is run with parameters;
    `check_where` comes first.
    """
    return sql.SQL("(\n" + where.replace("%", "%%") + "\n)")


def _filters(target: Target, request: Request) -> sql.Composable:
    parts: list[sql.Composable] = []
    if request.where is not None:
        parts.append(condition(request.where))
    if request.since is not None:
        parts.append(queries.for_target("written_before", target))
    return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")


def _around(
    target: Target, request: Request, read: Callable[[Target], list[tuple[Any, ...]]]
) -> list[tuple[Any, ...]]:
    try:
        return guard.around(target, read)
    except RowRefused as error:
        if request.where is None:
            raise
        raise VectrueError(
            f"--where cannot be evaluated for a row of {target.table} ({error.message})",
            fix="correct the condition",
        ) from None


def _read(
    session: Session, query: sql.Composable, parameters: dict[str, object]
) -> list[tuple[Any, ...]]:
    with session.transaction() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query, parameters)
        return cursor.fetchall()
