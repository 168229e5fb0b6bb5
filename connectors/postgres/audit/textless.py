"""Rows that have content but no text.

Their text is NULL because one of the columns it reads is NULL (`title || body`).

By the rule of states they are blank, and no search finds them, so every count of blank
rows says how many of them are such rows. They are looked for only where there are blank
rows, in another pass that evaluates the texts of rows without a vector.

Content means that something can be seen in a column of a string type. If no column of a
row is empty, its text is NULL because the expression says so, which is not a mistake.
Nor is a text that is ''.
"""

from collections.abc import Sequence
from dataclasses import replace

from psycopg2 import sql

from connectors.postgres import catalog, guard, queries
from connectors.postgres.checks import text_check
from connectors.postgres.session import Session
from schemas.errors import Stopping, VectrueError
from schemas.reports.coverage import Coverage, Textless
from schemas.reports.migration import growing, retired
from schemas.rows.document import BLANK_WITHIN, NOT_BLANK
from schemas.rows.target import Target

_STRINGS = "S"
"""pg_type.typcategory of text, varchar, char, name, citext, and domains over them."""


def fill(
    session: Session, columns: Sequence[Coverage], targets: Sequence[Target]
) -> tuple[list[Coverage], list[Textless]]:
    """Count the rows without a text, in columns that were counted.

    Args:
        session: of a role that reads the texts.
        columns: as they were counted.
        targets: the target of each, in the same order.

    Returns:
        the columns with their rows without a text, and what there is to say about each
        table.
    """
    filled: list[Coverage] = []
    told: dict[str, Textless] = {}
    for line, target in zip(columns, targets, strict=True):
        found = look(session, target, blank=line.blank, rows=line.rows)
        filled.append(replace(line, without_text=found.rows))
        if found.sentence is None:
            continue
        # Of a table's columns, the one with the most such rows, and of equals the last.
        before = told.get(line.table)
        if before is None or (found.rows or 0) >= (before.rows or 0):
            told[line.table] = found
    return filled, list(told.values())


def look(session: Session, target: Target, *, blank: int, rows: int) -> Textless:
    """Count a column's rows that have content but no text.

    Args:
        session: of a role that reads the text.
        target: the column.
        blank: how many of its rows are blank; if none is, nothing is read.
        rows: how many it has.

    Returns:
        the count; None with the reason if it cannot be made.
    """
    none = Textless(str(target.table), rows, 0)
    if not blank:
        return none
    try:
        return _count(session, target, none)
    except Stopping:
        raise
    except VectrueError as error:
        return replace(none, rows=None, error=error.message)


def _count(session: Session, target: Target, none: Textless) -> Textless:
    info = catalog.inspect(session, target.table)
    named = text_check.columns(session, target).get(info.oid)
    strings: list[str] = []
    for name, column in info.columns.items():
        if column["category"] == _STRINGS:
            strings.append(name)
    if named is None:
        return none
    # A text that reads whole rows names no column, so all that are not ours may matter.
    columns = named or set(strings) - _ours(target)
    read = sorted(columns, key=lambda name: (target.text.find(name), name))
    content = [name for name in read if name in strings]
    # One column that is NULL is a row without content, and not a mistake.
    if not content or len(read) < 2:
        return none
    parts = _conditions(target, read, content)
    lines = guard.around(
        target, lambda t: session.rows(queries.for_target("without_text", t, bound=False, **parts))
    )
    rows, by_column = lines[0]
    empty = []
    for name, count in zip(read, by_column, strict=True):
        if count:
            empty.append((name, name in content))
    return replace(none, rows=int(rows), empty=tuple(empty), read=tuple(read))


def _conditions(
    target: Target, read: Sequence[str], content: Sequence[str]
) -> dict[str, sql.Composable]:
    """The parts of the query `without_text`: which columns are empty, and which not."""
    nulls, holes, seen = [], [], []
    for name in read:
        place = sql.Identifier(target.table.schema, target.table.name, name)
        nulls.append(sql.SQL("count(*) FILTER (WHERE {} IS NULL)").format(place))
        if name in content:
            shows = sql.SQL("coalesce(left({}::text, {}) ~ {}, false)")
            shown = shows.format(place, sql.Literal(BLANK_WITHIN), sql.Literal(NOT_BLANK))
            seen.append(shown)
            holes.append(sql.SQL("NOT {}").format(shown))
        else:
            holes.append(sql.SQL("{} IS NULL").format(place))
    return {
        "nulls": sql.SQL(", ").join(nulls),
        "holes": sql.SQL(" OR ").join(holes),
        "content": sql.SQL(" OR ").join(seen),
    }


def _ours(target: Target) -> set[str]:
    """The columns that no text may read: vectors and their provenance."""
    found: set[str] = set()
    for name in (target.column, growing(target.column), retired(target.column)):
        found.add(name)
        found.update(replace(target, column=name).provenance)
    return found
