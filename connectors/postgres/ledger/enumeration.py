"""Which rows a run is about: their keys, a survey of them, and keys from a file.

Hazard: `--where` goes into a query as is, in brackets of its own. `check_where` keeps it
from becoming more than one condition (expressions.py), so it must have passed before
any other function here gets the request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from connectors.postgres import expressions, guard, queries
from connectors.postgres.checks import text_rights
from connectors.postgres.errors import translate
from connectors.postgres.rows.keys import keys_of
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
"""A table with more than this is sampled for an estimate, which then takes about a
second, even from a cold disk.
"""


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """Size of a table with its partitions.

    Attributes:
        heap_bytes: without TOAST and indexes.
        rows: as last analysed; None if never.
        indexes: how many the table has.
        vector_index: whether one of them is over vectors.
    """

    heap_bytes: int
    rows: float | None
    indexes: int
    vector_index: bool


def next_keys(
    session: Session, target: Target, request: Request, after: Key | None, limit: int
) -> list[Key]:
    """The next keys in the order of the primary key.

    Args:
        session: of a role that reads the text.
        target: the column.
        request: which rows.
        after: the last key of the page before; None for the first page.
        limit: most keys.

    Returns:
        the keys; fewer than `limit` are the last.
    """
    parts: dict[str, Any] = {
        "after_cursor": _beyond(target) if after else sql.SQL("true"),
        "wanted_states": _in_states(target, request),
        "filters": _filters(target, request),
    }
    parameters: dict[str, object] = {"model": target.model, "limit": limit, "since": request.since}
    for i, value in enumerate(after or ()):
        parameters[f"c{i}"] = value
    lines = _around(
        target,
        request,
        lambda t: _read(session, queries.for_target("enumerate_keys", t, **parts), parameters),
    )
    return keys_of(lines)


def _beyond(target: Target) -> sql.Composed:
    """Whether a row comes after the key in the parameters c0, c1, ..."""
    bounds = []
    for i, column in enumerate(target.key):
        # Cast to the type of its column: as text 10 would come before 9.
        bound = sql.SQL("%(c{})s::{}")
        bounds.append(bound.format(sql.SQL(str(i)), sql.SQL(column.type)))
    return queries.for_target("after_cursor", target, bounds=sql.SQL(", ").join(bounds))


def _in_states(target: Target, request: Request) -> sql.Composable:
    """Whether a row is in one of the states that the request is about."""
    if request.only == "all":
        return sql.SQL("true")
    states = sql.SQL(", ").join([sql.Literal(state) for state in _STATES[request.only]])
    return sql.SQL("{} IN ({})").format(queries.for_target("row_state", target), states)


def survey(
    session: Session,
    target: Target,
    request: Request,
    *,
    exact: bool,
    sample_bytes: int = _SAMPLE_BYTES,
) -> Survey:
    """Count a column's rows by state, in one pass.

    Args:
        session: of a role that reads the text.
        target: the column.
        request: which rows.
        exact: read every row, however large the table is.
        sample_bytes: a table with more than this is sampled, and the counts are scaled.
    """
    facts = relation_facts(session, target)
    share = 1.0 if exact else min(1.0, sample_bytes / max(1, facts.heap_bytes))
    parts: dict[str, Any] = {"sample": _sample(share), "filters": _filters(target, request)}
    parameters: dict[str, object] = {"model": target.model, "since": request.since}
    lines = _around(
        target,
        request,
        lambda t: _read(session, queries.for_target("survey", t, **parts), parameters),
    )
    scale, found = 1 / share, lines[0][0]
    # TABLESAMPLE takes whole pages, so the share of rows differs from the one asked.
    if share < 1.0 and facts.rows and request.is_whole and found:
        scale = facts.rows / found
    return _survey(lines, scale, exact=share == 1.0)


def _sample(share: float) -> sql.Composable:
    if share < 1.0:
        return sql.SQL("TABLESAMPLE SYSTEM ({})").format(sql.Literal(100 * share))
    return sql.SQL("")


def _survey(lines: list[tuple[Any, ...]], scale: float = 1.0, *, exact: bool = True) -> Survey:
    ((*counts, mean, largest),) = lines
    scaled: dict[str, int] = {}
    for name, count in zip(SURVEY_COUNTS, counts, strict=True):
        scaled[name] = round(count * scale)
    return Survey(**scaled, mean_bytes=mean, largest_bytes=largest, exact=exact)


def relation_facts(session: Session, target: Target) -> RelationFacts:
    """Size of the table, its partitions included."""
    parameters = {"table": queries.table(target.table).as_string(session.connection())}
    heap, rows, indexes, vectors = session.rows(queries.text("relation_facts"), parameters)[0]
    if rows is not None and rows < 0:
        # Below 0 where a part was never analysed.
        rows = None
    return RelationFacts(
        heap_bytes=int(heap), rows=rows, indexes=int(indexes), vector_index=bool(vectors)
    )


def check_where(session: Session, target: Target, request: Request, named: str = "--where") -> None:
    """Have Postgres plan the enumeration with the condition, in a read-only transaction.

    Args:
        session: of the role that will evaluate it.
        target: the column.
        request: has the condition.
        named: what the condition is called where it was given.

    Raises:
        VectrueError: it is not a condition on this table, or more than one.
        ConfigurationError: the role may not read what it names; with the grant.
    """
    if request.where is None:
        return
    why = expressions.refusal(session, request.where)
    if why is not None:
        raise _no_condition(target, named, why)
    parameters = {"model": target.model, "limit": 1, "since": request.since}
    query = queries.for_target(
        "enumerate_keys",
        target,
        after_cursor=sql.SQL("true"),
        wanted_states=sql.SQL("true"),
        filters=_filters(target, request),
    )
    try:
        expressions.explain(session, query, parameters)
    except psycopg2.Error as error:
        raise _refused(session, target, request.where, named, error) from error


def _refused(
    session: Session, target: Target, where: str, named: str, error: psycopg2.Error
) -> VectrueError:
    """The error about a condition that Postgres refuses."""
    translated = translate(error)
    if isinstance(translated, HiddenRows) or expressions.is_transient(error, translated):
        # It says nothing about the condition.
        return translated
    if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
        return text_rights.refused(session, target, where, named, error)
    return _no_condition(target, named, " ".join(str(error).split()))


def _no_condition(target: Target, named: str, why: str) -> VectrueError:
    return VectrueError(
        f"{named} is not a condition on {target.table} ({why})",
        fix="write what would follow WHERE in a SELECT",
    )


def plain_keys(session: Session, target: Target, keys: Sequence[Key]) -> list[Key]:
    """Keys as the database writes them.

    Raises:
        PoisonEvent: one of them is not a value of the key columns' types.
    """
    query = queries.for_target("plain_keys", target, key_texts=_texts(target))
    return keys_of(session.rows(query, _arrays(target, keys)))


def named_rows(
    session: Session, target: Target, keys: Sequence[Key]
) -> list[tuple[Key, Key | None]]:
    """Keys as the database writes them, each with the key of the row that it names.

    Two spellings of one key (`007` and `7`, a time in two zones) name the same row.

    Returns:
        pairs; None in place of the second where no row has the key.

    Raises:
        PoisonEvent: as `plain_keys`.
    """
    query = queries.for_target("named_rows", target, key_texts=_texts(target))
    named: list[tuple[Key, Key | None]] = []
    for plain, found in session.rows(query, _arrays(target, keys)):
        named.append((tuple(plain), tuple(found) if found else None))
    return named


def survey_keys(session: Session, target: Target, keys: Sequence[Key]) -> Survey:
    """Count the rows with these keys by state."""
    parts: dict[str, Any] = {
        "sample": sql.SQL(""),
        "filters": queries.for_target("asked_keys", target),
    }
    parameters = {"model": target.model, **_arrays(target, keys)}
    lines = guard.around(
        target, lambda t: _read(session, queries.for_target("survey", t, **parts), parameters)
    )
    return _survey(lines)


def _texts(target: Target) -> sql.Composable:
    """The asked keys as text, as the database writes them."""
    prefix = queries.ours(target)
    texts = []
    for i in range(len(target.key)):
        column = sql.Identifier(f"{prefix}k{i}")
        texts.append(sql.SQL("{}::text").format(column))
    return sql.SQL(", ").join(texts)


def _arrays(target: Target, keys: Sequence[Key]) -> dict[str, object]:
    """As `key_arrays`, also for no keys at all."""
    arrays: dict[str, object] = {}
    for i in range(len(target.key)):
        arrays[f"k{i}"] = [key[i] for key in keys]
    return arrays


def first_bad_key(session: Session, target: Target, keys: Sequence[Key]) -> tuple[int, str]:
    """Find the first key that `plain_keys` refuses: halves are tried until it is alone.

    Returns:
        its position, and why it is refused.

    Raises:
        VectrueError: none is refused.
    """
    start = 0
    while len(keys) > 1:
        middle = len(keys) // 2
        try:
            plain_keys(session, target, keys[:middle])
        except PoisonEvent:
            keys = keys[:middle]
        else:
            # The bad key is in the other half.
            start, keys = start + middle, keys[middle:]
    try:
        plain_keys(session, target, keys)
    except PoisonEvent as reason:
        return start, reason.message
    raise VectrueError(f"keys of {target.table} were refused together and taken one by one")


def condition(where: str) -> sql.Composable:
    """The operator's condition as part of a query that is run with parameters.

    `check_where` must have passed.
    """
    # On lines of its own: it may end in a comment.
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
    # The text is guarded: what is refused here is the operator's condition.
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
        # A condition of the operator may call a function that writes.
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query, parameters)
        return cursor.fetchall()
