"""The largest row of the configured tables, for the failure of a connector that an
event was too large for.

Hazards:
- A task that ran out of memory does not say over which event: the largest row is a
  guess, and said as one. It may have been edited since, and columns that the worker may
  not read are not seen.
- Each table is read once, without what is stored out of line; so only when a task has
  failed, and under a time limit.
"""

from collections.abc import Iterable

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.messages.too_large import LargeRow
from schemas.rows.table import TableName

LEAST_BYTES = 100 * 2**10
"""A key of this size comes near Kafka's limit of a record (1 MB), since it stands in it
twice and as JSON.
"""


def largest(session: Session, tables: Iterable[TableName]) -> LargeRow | None:
    """The largest row of all, if any is large.

    Raises:
        TransientError: Postgres does not answer, or not in time.
    """
    found = [row for table in tables if (row := _of(session, table)) is not None]
    return max(found, key=lambda row: row.size, default=None)


def _of(session: Session, table: TableName) -> LargeRow | None:
    name = queries.table(table)
    shown = name.as_string(session.connection())
    columns = session.rows(queries.text("large_columns"), {"table": shown})
    if not columns:
        return None
    sizes = sql.SQL(" + ").join(
        sql.SQL("coalesce({}({}), 0)::bigint").format(
            sql.SQL("octet_length" if plain else "pg_column_size"), sql.Identifier(column)
        )
        for column, plain in columns
    )
    key = session.rows(queries.text("key_names"), {"table": shown})
    shown_key = sql.SQL("concat_ws(', ', {})").format(
        sql.SQL(", ").join(
            sql.SQL("left({}::text, 100)").format(sql.Identifier(line[0])) for line in key
        )
    )
    query = sql.SQL("SELECT {}, {} AS size FROM {} ORDER BY size DESC LIMIT 1").format(
        shown_key if key else sql.SQL("'-'"), sizes, name
    )
    lines = session.rows(query)
    return (
        LargeRow(str(table), str(lines[0][0]), int(lines[0][1]))
        if lines and lines[0][1] >= LEAST_BYTES
        else None
    )
