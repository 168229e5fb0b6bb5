"""The SQL of this package: one .sql file beside the modules that use it, each query
under `-- name: <name>`; identifiers are put in by psycopg2.sql.

Hazards:
- `text` is the operator's SQL expression and is put in as is; everything else is quoted
  or bound.
- A table or column may have any name that Postgres takes. So our names in the same
  scope (aliases, columns, temporary tables) begin with `our_`, and get a longer prefix
  until nothing of a target has it.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from psycopg2 import sql

from connectors.postgres import conditions
from schemas.rows.document import BLANK_WITHIN, NOT_BLANK, SHOWN_WITHIN
from schemas.rows.table import TableName
from schemas.rows.target import Target

FOLDER = Path(__file__).parent
FRAGMENTS = ("tied", "doc", "row_state", "of_no_row")
"""Queries that are parts of others: whether a vector is as written, a row's columns, the
rule of its state, and whether an error is about no row. Each may use those before it.
"""
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_OURS = re.compile(r"\bour_(?=[a-z0-9])")


_OF_KEY_COLUMNS = {
    "keys": (", ", "{table}.{column}"),
    "keys_as_asked": (", ", "{column} AS {asked}"),
    "keys_as_text": (", ", "{table}.{column}::text"),
    "key_names": (", ", "{asked}"),
    "key_arrays": (", ", "%(k{number})s::text[]::{type}[]"),
    "key_match": (" AND ", "{table}.{column} = {our_asked}.{asked}"),
}
"""Placeholders that repeat a template for each key column, and what joins them.

Columns are qualified, since one may be called as a column of a query or of vectrue's
tables is: `key`.
"""


@cache
def named() -> Mapping[str, str]:
    """Every query in the .sql files of this folder and below, by its name.

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
    """A table's quoted name, for a query that is run without parameters."""
    return sql.Identifier(name.schema, name.name)


def ours(target: Target) -> str:
    """The prefix of our names in a query about a column; nothing of the target has it."""
    names = [target.table.schema, target.table.name, target.column, target.text]
    names += [column.name for column in target.key]
    taken = " ".join(names).casefold()
    prefix = "our_"
    while prefix in taken:
        prefix += "_"
    return prefix


def for_target(
    name: str, target: Target, *, bound: bool = True, **more: sql.Composable
) -> sql.Composed:
    """A query about one vector column, with all that follows from the target filled in.

    Args:
        name: of the query.
        target: gives `table`, `text`, the vector and provenance columns, the key in its
            several forms.
        bound: whether it is run with parameters. psycopg2 then takes a `%` for the
            start of one, so each `%` of a name or of the text is doubled. A query that
            is run or stored without parameters must not have that.
        more: placeholders of this query alone.
    """

    def safe(part: str) -> str:
        return part.replace("%", "%%") if bound else part

    prefix = ours(target)
    table_name = sql.Identifier(safe(target.table.schema), safe(target.table.name))
    parts = _column_parts(target, table_name, safe)
    parts.update(_key_parts(target, table_name, prefix, safe))
    if target.guarded:
        parts.update(_guard(table_name, target, prefix))
    else:
        parts.update(tried=sql.SQL(""), unreadable=sql.SQL("false"))
    parts.update(more)
    for fragment in FRAGMENTS:
        parts[fragment] = _filled(fragment, prefix, parts)
    return _filled(name, prefix, parts)


def _column_parts(
    target: Target, table: sql.Identifier, safe: Callable[[str], str]
) -> dict[str, sql.Composable]:
    """Table, text, vector and provenance columns, and constants."""
    digest = sql.Identifier(safe(target.digest_column))
    return {
        "table": table,
        "text": sql.SQL(safe(target.text)),
        "column": sql.Identifier(safe(target.column)),
        "hash_column": sql.Identifier(safe(target.hash_column)),
        "model_column": sql.Identifier(safe(target.model_column)),
        "digest_column": digest,
        "time_column": sql.Identifier(safe(target.time_column)),
        "not_blank": sql.Literal(NOT_BLANK),
        "blank_within": sql.Literal(BLANK_WITHIN),
        "shown_within": sql.Literal(SHOWN_WITHIN),
        "untouched": sql.SQL("substring({} FROM 9) = xidsend({}.xmin)").format(digest, table),
        "text_digest": sql.Literal(target.text_digest),
        "not_of_a_row": sql.Literal(list(conditions.NOT_OF_A_ROW)),
        "table_literal": sql.Literal(safe(str(target.table))),
        "column_literal": sql.Literal(safe(target.column)),
    }


def _key_parts(
    target: Target, table: sql.Identifier, prefix: str, safe: Callable[[str], str]
) -> dict[str, sql.Composable]:
    """The key columns in their several forms."""
    columns = []
    for number, column in enumerate(target.key):
        names = {
            "table": table,
            "column": sql.Identifier(safe(column.name)),
            "type": sql.SQL(safe(column.type)),
            "number": sql.SQL(str(number)),
            "asked": sql.Identifier(f"{prefix}k{number}"),
            "our_asked": sql.Identifier(f"{prefix}asked"),
        }
        columns.append(names)
    parts: dict[str, sql.Composable] = {}
    for placeholder, (joint, template) in _OF_KEY_COLUMNS.items():
        each = [sql.SQL(template).format(**names) for names in columns]
        parts[placeholder] = sql.SQL(joint).join(each)
    return parts


def _guard(table: sql.Identifier, target: Target, prefix: str) -> dict[str, sql.Composable]:
    """The text by the function that catches its errors (`text_function` in
    setup/schema.sql), for queries with {tried} after their {table}.
    """
    tried = sql.Identifier(f"{prefix}tried")
    text_name = sql.Identifier(f"{prefix}text")
    condition = sql.Identifier(f"{prefix}condition")
    call = sql.SQL(
        "\nCROSS JOIN LATERAL {function}({table}.tableoid, {table}.ctid)"
        " AS {tried} ({text}, {condition})"
    )
    return {
        "tried": call.format(
            function=sql.Identifier("vectrue", target.text_function),
            table=table,
            tried=tried,
            text=text_name,
            condition=condition,
        ),
        "text": sql.SQL("{}.{}").format(tried, text_name),
        "unreadable": sql.SQL("{}.{} IS NOT NULL").format(tried, condition),
    }


def _filled(name: str, prefix: str, parts: Mapping[str, sql.Composable]) -> sql.Composed:
    return sql.SQL(_OURS.sub(prefix, text(name))).format(**parts)
