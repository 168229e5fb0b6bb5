"""Coverage as the database counts it, through the function that `embedsync init` makes for an installation.

Hazard: a count of nothing is the same line for a table without rows and for rows that were not seen. So a table that
was counted as empty is looked at directly, and a count over something that is not a table is refused.
"""

from collections.abc import Sequence

from psycopg2 import sql

from connectors.postgres import counting, queries
from connectors.postgres.session import Session
from schemas.coverage import Coverage
from schemas.errors import ConfigurationError, EmbedsyncError
from schemas.settings import Settings
from schemas.shape import KINDS
from schemas.table import TableName


def read(session: Session, settings: Settings) -> list[Coverage]:
    """Count all rows of the settings' tables. Reads every row once: seconds per million rows.

    Args:
        session: any connection that may read the tables.
        settings: whose columns have to be among those counted.

    Raises:
        HiddenRows: row-level security would hide rows.
        ConfigurationError: `embedsync init` was not run in this database, or not with all these tables.
        EmbedsyncError: a table has rows that were not counted.
    """
    name = counting.function_of(settings.kafka.topic_prefix)
    if not session.rows("SELECT to_regprocedure(%s) IS NOT NULL", (f"embedsync.{name}()",))[0][0]:
        raise ConfigurationError("this database does not know embedsync yet", fix="run `embedsync init`")
    counting.require(session, settings)
    mine = {table.name for table in settings.tables}
    _require_tables(session, [table.table for table in settings.tables])
    columns = _count(session, name, mine)
    empty = [column.table for column in columns if not column.rows]
    if any(not is_empty(session, TableName.parse(table)) for table in empty):
        columns = _count(session, name, mine)  # a row may have come since
        for table in empty:
            rows = next((column.rows for column in columns if column.table == table), 0)
            if not rows and not is_empty(session, TableName.parse(table)):
                raise unseen(TableName.parse(table))
    return columns


def is_empty(session: Session, table: TableName) -> bool:
    """Whether a table has no row, asked of the table itself.

    Raises:
        HiddenRows: row-level security would hide rows.
    """
    exists = queries.compose("has_rows", table=queries.table(table))
    return not session.rows(exists)[0][0]


def unseen(table: TableName) -> EmbedsyncError:
    """The error about rows that are there and were not counted."""
    return EmbedsyncError(
        f"how many rows {table} has is not known: none was counted, and there are some", fix="embedsync doctor"
    )


def _count(session: Session, function: str, tables: set[str]) -> list[Coverage]:
    query = queries.compose("read_coverage", function=sql.Identifier("embedsync", function))
    return [line for line in (Coverage(*found) for found in session.rows(query)) if line.table in tables]


def _require_tables(session: Session, tables: Sequence[TableName]) -> None:
    parameters = {
        "names": [str(table) for table in tables],
        "schemas": [table.schema for table in tables],
        "tables": [table.name for table in tables],
    }
    for name, kind in session.rows(queries.text("not_tables"), parameters):
        raise ConfigurationError(
            f"how many rows {name} has is not known: it is a {KINDS.get(kind, f'relation of kind {kind}')}, which may "
            "show a part of them",
            fix="name the table that holds the rows in [[tables]], or give the table its name back",
        )
