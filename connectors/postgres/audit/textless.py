"""Rows that have content and no text: their text is NULL because one of the columns it
reads is (`title || body`).

They are blank by the rule of states, and no search finds them, so whoever counts blank
rows says how many of them these are. Looked for only where there are blank rows, in one
more pass that evaluates texts of rows without a vector.

Content is what can be seen in a column of a string type. A row none of whose columns is
empty has no text because the expression says so; that is no fault, and neither is a
text that is ''.
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

# pg_type.typcategory: text, varchar, char, name, citext, and domains over them
_STRINGS = "S"


def fill(
    session: Session, columns: Sequence[Coverage], targets: Sequence[Target]
) -> tuple[list[Coverage], list[Textless]]:
    """Columns that were counted, with their rows without a text, and what there is to
    say of each table.

    Args:
        session: of a role that reads the texts.
        columns: as they were counted.
        targets: what each of them is, in the same order.
    """
    filled: list[Coverage] = []
    told: dict[str, Textless] = {}
    for line, target in zip(columns, targets, strict=True):
        found = look(session, target, blank=line.blank, rows=line.rows)
        filled.append(replace(line, without_text=found.rows))
        if found.sentence is not None and (found.rows or 0) >= (
            told[line.table].rows or 0 if line.table in told else 0
        ):
            told[line.table] = found
    return filled, list(told.values())


def look(session: Session, target: Target, *, blank: int, rows: int) -> Textless:
    """Count a column's rows that have content and no text; what cannot be counted is
    unknown, and says why.

    Args:
        session: of a role that reads the text.
        target: the column.
        blank: how many of its rows are blank; none of them, nothing is looked at.
        rows: how many it has.
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
    strings = [name for name, column in info.columns.items() if column["category"] == _STRINGS]
    if named is None:
        return none
    # Nothing is known of the other columns' part where it reads whole rows.
    read = sorted(
        named or set(strings) - _ours(target), key=lambda name: (target.text.find(name), name)
    )
    content = [name for name in read if name in strings]
    if not content or len(read) < 2:
        return none
    places = {name: sql.Identifier(target.table.schema, target.table.name, name) for name in read}
    seen = {
        name: sql.SQL("coalesce(left({}::text, {}) ~ {}, false)").format(
            places[name], sql.Literal(BLANK_WITHIN), sql.Literal(NOT_BLANK)
        )
        for name in content
    }
    holes = [
        sql.SQL("NOT {}").format(seen[name])
        if name in seen
        else sql.SQL("{} IS NULL").format(places[name])
        for name in read
    ]
    nulls = [sql.SQL("count(*) FILTER (WHERE {} IS NULL)").format(places[name]) for name in read]
    parts = {
        "nulls": sql.SQL(", ").join(nulls),
        "holes": sql.SQL(" OR ").join(holes),
        "content": sql.SQL(" OR ").join(seen.values()),
    }
    lines = guard.around(
        target, lambda t: session.rows(queries.for_target("without_text", t, bound=False, **parts))
    )
    rows, by_column = lines[0]
    empty = [name for name, count in zip(read, by_column, strict=True) if count]
    return replace(
        none,
        rows=int(rows),
        empty=tuple((name, name in content) for name in empty),
        read=tuple(read),
    )


def _ours(target: Target) -> set[str]:
    """The columns that no text may read: vectors and their provenance."""
    names = (target.column, growing(target.column), retired(target.column))
    return {one for name in names for one in (name, *replace(target, column=name).provenance)}
