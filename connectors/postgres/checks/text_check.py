"""What a text expression reads and calls: a text has to be a function of its row.

Asked of the server, by a view of the text that is made and rolled back: its parser
knows what every name stands for.

Hazard: what an application calls immutable, or a stable function reads from another
table, cannot be seen from here. So a row that is stale at two looks of the keeper
counts as stale, whatever text it had at either.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from connectors.postgres import expressions, queries
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.rows.target import Target


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What one text is made from.

    Attributes:
        columns: those it reads, by relation; an empty tuple: whole rows.
        others: relations other than the table, by name.
        stable: functions of the application that may find another result for the same
            row.
    """

    columns: dict[int, tuple[str, ...]]
    others: tuple[str, ...]
    stable: tuple[str, ...]


def look(session: Session, target: Target, oid: int) -> TextFacts:
    """Look at a text.

    Args:
        session: connection that may make a temporary view, which is rolled back.
        target: the column, with its text.
        oid: of the table.

    Raises:
        ConfigurationError: it changes while its row stays the same, so that no vector
            would ever be current.
    """
    with expressions.viewed(session, target) as cursor:
        cursor.execute(queries.for_target("text_columns", target, bound=False))
        lines = cursor.fetchall()
        text = sql.Literal(target.text)
        cursor.execute(queries.for_target("text_calls", target, bound=False, text_literal=text))
        calls = cursor.fetchall()
    unsteady, stable = _told_apart(calls)
    _refuse(target, unsteady)
    columns = _columns(lines, target)
    _refuse_own_vector(target, columns.get(oid))
    others: set[str] = set()
    for relation, schema, name, *_ in lines:
        if relation != oid:
            others.add(f"{schema}.{name}")
    return TextFacts(columns, tuple(sorted(others)), tuple(stable))


def _told_apart(calls: Sequence[tuple[Any, ...]]) -> tuple[list[str], list[str]]:
    """Calls whose result changes while the row stays, and those of the application."""
    unsteady: list[str] = []
    stable: list[str] = []
    for name, is_unsteady in calls:
        call = str(name)
        if is_unsteady:
            unsteady.append(call)
        # Functions of the server, which are shown without a schema, depend on settings
        # beside their arguments, and ours are the same in every session.
        if "." in call.partition("(")[0]:
            stable.append(call)
    return unsteady, stable


def columns(session: Session, target: Target) -> dict[int, tuple[str, ...]]:
    """The columns that an expression reads, by relation; an empty tuple: whole rows.

    Raises as `expressions.viewed`.
    """
    with expressions.viewed(session, target) as cursor:
        cursor.execute(queries.for_target("text_columns", target, bound=False))
        return _columns(cursor.fetchall(), target)


def _columns(lines: Sequence[tuple[Any, ...]], target: Target) -> dict[int, tuple[str, ...]]:
    own = (target.table.schema, target.table.name)
    named: dict[int, list[str]] = {}
    whole: set[int] = set()
    for relation, schema, name, column, is_whole, *_ in lines:
        # Without a column: whole rows, or, for the table itself, none of them.
        if column is None and not is_whole and (schema, name) == own:
            continue
        named.setdefault(int(relation), [])
        if column is None:
            whole.add(int(relation))
        else:
            named[int(relation)].append(str(column))
    found: dict[int, tuple[str, ...]] = {}
    for relation, columns in named.items():
        found[relation] = () if relation in whole else tuple(columns)
    return found


def _refuse_own_vector(target: Target, read: tuple[str, ...] | None) -> None:
    """Refuse a text that reads what a write of its vector sets."""
    if read is None:
        return
    own = (target.column, *target.provenance)
    if read:
        found = [name for name in own if name in read]
    else:
        # The whole row, of which the text may take these away again, each by its name.
        named = _named(target.text)
        found = [name for name in own if name not in named]
    if found:
        raise ConfigurationError(
            f"the text of {target.table} reads {', '.join(found)}, which each write of its "
            "vector sets: no vector of it would ever be current",
            fix=(
                "correct [[tables]] text: leave these columns out, by to_jsonb(...) - 'name' "
                "where it reads whole rows"
            ),
        )


def _named(text: str) -> set[str]:
    """Words within the string literals of a text."""
    # Columns that a whole row is made without are named there.
    words: set[str] = set()
    for literal in re.findall(r"'[^']*'", text):
        words.update(re.findall(r"\w+", literal))
    return words


def _refuse(target: Target, calls: Sequence[str]) -> None:
    if calls:
        raise ConfigurationError(
            f"the text of {target.table} depends on {', '.join(calls)}: it changes while its "
            "row stays the same, and no vector of it would ever be current",
            fix=(
                "correct [[tables]] text: it may depend on the row's own columns alone; if a "
                "function of yours does, declare it IMMUTABLE"
            ),
        )
