"""The largest row of the configured tables, to explain an event that was too large.

Hazards:
- A task that ran out of memory does not say over which event. The largest row is a
  guess, and is reported as one: it may have been edited since, and columns that the
  worker may not read are not seen.
- Each table is read once, without what is stored out of line. So ask only when a task
  has failed, and under a statement timeout.
"""

from collections.abc import Iterable
from typing import Any

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.messages.too_large import LargeRow
from schemas.rows.table import TableName

LEAST_BYTES = 100 * 2**10
"""A key of this size comes near Kafka's limit of a record (1 MB), which holds it twice
and as JSON.
"""


def largest(session: Session, tables: Iterable[TableName]) -> LargeRow | None:
    """Return the largest row of all tables, if any is large.

    Raises:
        TransientError: Postgres does not answer, or not in time.
    """
    found: LargeRow | None = None
    for table in tables:
        row = _largest_of(session, table)
        if row is not None and (found is None or row.size > found.size):
            found = row
    return found


def _largest_of(session: Session, table: TableName) -> LargeRow | None:
    name = queries.table(table)
    shown = name.as_string(session.connection())
    columns = session.rows(queries.text("large_columns"), {"table": shown})
    if not columns:
        return None
    key = session.rows(queries.text("key_names"), {"table": shown})
    query = sql.SQL("SELECT {}, {} AS size FROM {} ORDER BY size DESC LIMIT 1")
    lines = session.rows(query.format(_shown_key(key), _size(columns), name))
    if not lines or lines[0][1] < LEAST_BYTES:
        return None
    return LargeRow(str(table), str(lines[0][0]), int(lines[0][1]))


def _size(columns: Iterable[tuple[Any, ...]]) -> sql.Composed:
    """Bytes of a row in these columns, each with whether it is text or bytea."""
    parts = []
    for column, is_plain in columns:
        # An event carries a compressed value in full, as octet_length counts it.
        function = sql.SQL("octet_length" if is_plain else "pg_column_size")
        size = sql.SQL("coalesce({}({}), 0)::bigint")
        parts.append(size.format(function, sql.Identifier(column)))
    return sql.SQL(" + ").join(parts)


def _shown_key(columns: Iterable[tuple[Any, ...]]) -> sql.Composable:
    parts = [sql.SQL("left({}::text, 100)").format(sql.Identifier(name)) for (name,) in columns]
    if not parts:
        return sql.SQL("'-'")
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(parts))
