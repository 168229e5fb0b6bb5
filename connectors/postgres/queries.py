"""The SQL of this package: one .sql file beside the modules that use it, each query
under `-- name: <name>`; identifiers are put in by psycopg2.sql.

Hazards:
- `text` is the operator's SQL expression and is put in as it stands; everything else is
  quoted or bound.
- A table or column may be called whatever Postgres takes. So whatever of ours stands in
  one scope with them (aliases, columns, temporary tables) is called `our_...`, and gets
  longer until nothing of a target is called so.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from psycopg2 import sql

from connectors.postgres import conditions
from schemas.rows.document import BLANK_WITHIN, NOT_BLANK, SHOWN_WITHIN
from schemas.rows.table import TableName
from schemas.rows.target import Target

FOLDER = Path(__file__).parent
FRAGMENTS = ("tied", "doc", "row_state", "of_no_row")
"""What a query about a column may start from: whether a vector is as written, a row's
columns, its state's rule; and whether an error is about no row.
"""
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_OURS = re.compile(r"\bour_(?=[a-z0-9])")


@cache
def named() -> Mapping[str, str]:
    """Every query by its name: what follows `-- name: <name>` in the .sql files below
    this folder.

    Raises:
        ValueError: two queries have one name.
    """
    found: dict[str, str] = {}
    for file in sorted(FOLDER.rglob("*.sql")):
        _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, query in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two queries are called {name}, one of them in {file}")
            found[name] = query.strip("\n") + "\n"
    return found


def text(name: str) -> str:
    """The query of this name."""
    return named()[name]


def compose(name: str, **parts: sql.Composable) -> sql.Composed:
    """A query with its `{placeholders}` filled in."""
    return sql.SQL(text(name)).format(**parts)


def table(name: TableName) -> sql.Identifier:
    """A table's quoted name, for a query without parameters."""
    return sql.Identifier(name.schema, name.name)


def ours(target: Target) -> str:
    """What the names of ours begin with in a query about a column: nothing of the
    target has that in its name.
    """
    names = (
        target.table.schema,
        target.table.name,
        target.column,
        target.text,
        *(column.name for column in target.key),
    )
    taken = " ".join(names).casefold()
    prefix = "our_"
    while prefix in taken:
        prefix += "_"
    return prefix


def for_target(
    name: str, target: Target, *, bound: bool = True, **more: sql.Composable
) -> sql.Composed:
    """A query about one vector column, with everything filled in that follows from the
    target.

    Args:
        name: the file.
        target: gives `table`, `text`, the vector and provenance columns, the key in its
            several forms.
        bound: whether it is run with parameters. psycopg2 then takes a `%` for the
            start of one, so each `%` of a name or of the text is doubled; a query that
            is run or kept without parameters must not have that.
        more: placeholders of this query alone.
    """

    def safe(part: str) -> str:
        return part.replace("%", "%%") if bound else part

    name_of = sql.Identifier(safe(target.table.schema), safe(target.table.name))
    columns = [sql.Identifier(safe(column.name)) for column in target.key]
    prefix = ours(target)
    asked = [sql.Identifier(f"{prefix}k{i}") for i in range(len(columns))]
    arrays = [
        sql.SQL("%(k{})s::text[]::{}[]").format(sql.SQL(str(i)), sql.SQL(safe(column.type)))
        for i, column in enumerate(target.key)
    ]
    matches = [
        sql.SQL("{}.{} = {}.{}").format(name_of, column, sql.Identifier(f"{prefix}asked"), ask)
        for column, ask in zip(columns, asked, strict=True)
    ]
    parts: dict[str, sql.Composable] = {
        "table": name_of,
        "text": sql.SQL(safe(target.text)),
        "column": sql.Identifier(safe(target.column)),
        "hash_column": sql.Identifier(safe(target.hash_column)),
        "model_column": sql.Identifier(safe(target.model_column)),
        "digest_column": sql.Identifier(safe(target.digest_column)),
        "time_column": sql.Identifier(safe(target.time_column)),
        # Qualified, since a key column may be called as a column of a query or of
        # vectrue's tables is: `key`.
        "keys": sql.SQL(", ").join(sql.SQL("{}.{}").format(name_of, column) for column in columns),
        "keys_as_asked": sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, ask)
            for column, ask in zip(columns, asked, strict=True)
        ),
        "keys_as_text": sql.SQL(", ").join(
            sql.SQL("{}.{}::text").format(name_of, column) for column in columns
        ),
        "key_names": sql.SQL(", ").join(asked),
        "key_arrays": sql.SQL(", ").join(arrays),
        "key_match": sql.SQL(" AND ").join(matches),
        "not_blank": sql.Literal(NOT_BLANK),
        "blank_within": sql.Literal(BLANK_WITHIN),
        "shown_within": sql.Literal(SHOWN_WITHIN),
        "untouched": sql.SQL("substring({} FROM 9) = xidsend({}.xmin)").format(
            sql.Identifier(safe(target.digest_column)), name_of
        ),
        "text_digest": sql.Literal(target.text_digest),
        "not_of_a_row": sql.Literal(list(conditions.NOT_OF_A_ROW)),
        "table_literal": sql.Literal(safe(str(target.table))),
        "column_literal": sql.Literal(safe(target.column)),
    }
    parts |= (
        _guard(name_of, target, prefix)
        if target.guarded
        else {"tried": sql.SQL(""), "unreadable": sql.SQL("false")}
    )
    parts |= more
    for fragment in FRAGMENTS:
        parts[fragment] = _filled(fragment, prefix, parts)
    return _filled(name, prefix, parts)


def _guard(table: sql.Identifier, target: Target, prefix: str) -> dict[str, sql.Composable]:
    """The text as the function of `text_function in setup/schema.sql` finds it, for
    queries that have {tried} behind their {table}.
    """
    tried = sql.Identifier(f"{prefix}tried")
    condition, found = (
        sql.SQL("{}.{}").format(tried, sql.Identifier(f"{prefix}{part}"))
        for part in ("condition", "text")
    )
    call = sql.SQL("\nCROSS JOIN LATERAL {}({table}.tableoid, {table}.ctid) AS {} ({}, {})").format(
        sql.Identifier("vectrue", target.text_function),
        tried,
        sql.Identifier(f"{prefix}text"),
        sql.Identifier(f"{prefix}condition"),
        table=table,
    )
    return {"tried": call, "text": found, "unreadable": sql.SQL("{} IS NOT NULL").format(condition)}


def _filled(name: str, prefix: str, parts: Mapping[str, sql.Composable]) -> sql.Composed:
    return sql.SQL(_OURS.sub(prefix, text(name))).format(**parts)
