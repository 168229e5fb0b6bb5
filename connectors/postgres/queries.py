"""The SQL of this folder: `sql/*.sql`, one commented query each, identifiers put in by psycopg2.sql.

Hazard: `text` is the operator's SQL expression and is put in as it stands; everything else is quoted or bound.
"""

from functools import cache
from pathlib import Path

from psycopg2 import sql

from schemas.table import TableName
from schemas.target import Target

FOLDER = Path(__file__).parent / "sql"


@cache
def text(name: str) -> str:
    """The file `sql/<name>.sql`."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def compose(name: str, **parts: sql.Composable) -> sql.Composed:
    """A query with its `{placeholders}` filled in."""
    return sql.SQL(text(name)).format(**parts)


def table(name: TableName) -> sql.Identifier:
    """A table's quoted name."""
    return sql.Identifier(name.schema, name.name)


def for_target(name: str, target: Target, **more: sql.Composable) -> sql.Composed:
    """A query about one vector column, with everything filled in that follows from the target.

    Args:
        name: the file.
        target: gives `table`, `text`, the vector and provenance columns, the key in its several forms.
        more: placeholders of this query alone.
    """
    name_of = table(target.table)
    columns = [sql.Identifier(column.name) for column in target.key]
    asked = [sql.Identifier(f"embedsync_k{i}") for i in range(len(columns))]
    arrays = [
        sql.SQL("%(k{})s::text[]::{}[]").format(sql.SQL(str(i)), sql.SQL(column.type))
        for i, column in enumerate(target.key)
    ]
    matches = [
        sql.SQL("{}.{} = asked.{}").format(name_of, column, ask) for column, ask in zip(columns, asked, strict=True)
    ]
    parts: dict[str, sql.Composable] = {
        "table": name_of,
        "text": sql.SQL(escape_percent(target.text)),
        "column": sql.Identifier(target.column),
        "hash_column": sql.Identifier(target.hash_column),
        "model_column": sql.Identifier(target.model_column),
        "time_column": sql.Identifier(target.time_column),
        "keys": sql.SQL(", ").join(columns),
        "keys_as_text": sql.SQL(", ").join(sql.SQL("{}::text").format(column) for column in columns),
        "key_names": sql.SQL(", ").join(asked),
        "key_arrays": sql.SQL(", ").join(arrays),
        "key_match": sql.SQL(" AND ").join(matches),
        "table_literal": sql.Literal(str(target.table)),
        "column_literal": sql.Literal(target.column),
    }
    return compose(name, **(parts | more))


def escape_percent(expression: str) -> str:
    """Double every `%`, so that psycopg2 does not take an operator's `%` for a parameter."""
    return expression.replace("%", "%%")
