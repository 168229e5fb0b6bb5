"""Lists of names and values within a statement, separated by commas.

Hazard: a name is quoted as an identifier, a value as a literal; text that is SQL already
goes through neither.
"""

from collections.abc import Iterable

from psycopg2 import sql

_COMMA = sql.SQL(", ")


def identifiers(names: Iterable[str]) -> sql.Composed:
    """Names of columns or schemas, each quoted."""
    return _COMMA.join(sql.Identifier(name) for name in names)


def literals(values: Iterable[object]) -> sql.Composed:
    """Values, each as a literal."""
    return _COMMA.join(sql.Literal(value) for value in values)


def plain(parts: Iterable[str]) -> sql.Composed:
    """Parts that are SQL already, for example the names of functions with their types."""
    return _COMMA.join(sql.SQL(part) for part in parts)
