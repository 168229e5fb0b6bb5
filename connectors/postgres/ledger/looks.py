"""Tables of which changes may have been missed: asked here, looked at by the keeper,
said by every command until then.

Hazard: a look that was asked for again while the keeper was looking stays, so that what
came in between is seen too.
"""

from collections.abc import Iterable
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import encodings

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render
from schemas.health.witness import Look
from schemas.rows.table import TableName


def ask(session: Session, prefix: str, tables: Iterable[TableName], reason: str) -> None:
    """Have all rows of these tables looked at.

    Args:
        session: connection of a worker, or of the role that ran `init`.
        prefix: kafka.topic_prefix of the installation.
        tables: which.
        reason: why changes may have been missed, one clause for a person.

    Raises:
        TransientError: Postgres does not answer.
    """
    names = sorted({str(table) for table in tables})
    session.rows(queries.text("ask_look"), {"prefix": prefix, "tables": names, "reason": reason})


def asking(session: Session, prefix: str, tables: Iterable[TableName], reason: str) -> Statement:
    """What `ask` does, as a statement of `init`. Arguments as there."""
    names = sorted({str(table) for table in tables})
    with session.cursor() as cursor:
        asked = cursor.mogrify(
            queries.text("ask_look"), {"prefix": prefix, "tables": names, "reason": reason}
        )
    body = asked.decode(encodings[session.connection().encoding]).strip()
    return Statement(f"have the keeper look at all rows of {', '.join(names)}: {reason}", body)


def forgetting(session: Session, prefix: str, tables: Iterable[TableName]) -> list[Statement]:
    """Statements of `init` that take away the looks at tables that leave the
    installation: no keeper would end them.

    Args:
        session: connection of the role that runs `init`.
        prefix: kafka.topic_prefix of the installation.
        tables: those that leave.
    """
    names = {str(table) for table in tables}
    asked = [look for look in pending(session, prefix) if str(look.table) in names]
    query = sql.SQL("DELETE FROM vectrue.looks WHERE prefix = {} AND table_name = {}")
    return [
        Statement(
            f"forget that the rows of {look.table} are to be looked at",
            render(session, query.format(sql.Literal(prefix), sql.Literal(str(look.table)))),
        )
        for look in asked
    ]


def pending(session: Session, prefix: str) -> list[Look]:
    """What is still to be looked at, the longest wait first; nothing where `init` was
    not run since this exists.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.looks') IS NOT NULL")[0][0]:
        return []
    lines = session.rows(queries.text("pending_looks"), {"prefix": prefix})
    return [
        Look(TableName.parse(table), reason, asked, float(age))
        for table, reason, asked, age in lines
    ]


def done(session: Session, prefix: str, table: TableName, asked_at: datetime) -> None:
    """All rows of a table were looked at, and what was stale is on its way; `asked_at`
    is that of the look taken up.

    Raises:
        TransientError: Postgres does not answer.
    """
    session.rows(
        queries.text("end_look"), {"prefix": prefix, "table": str(table), "asked_at": asked_at}
    )


class LookStore:
    """What the keeper asks and notes about looks of one installation, over its own
    connection.
    """

    def __init__(self, session: Session, prefix: str) -> None:
        """Use this connection; `prefix` is kafka.topic_prefix."""
        self._session = session
        self._prefix = prefix

    def pending(self) -> list[Look]:
        """What is still to be looked at. Raises as `pending`."""
        return pending(self._session, self._prefix)

    def done(self, table: TableName, asked_at: datetime) -> None:
        """A table was looked at, and what was stale is on its way. Raises as `done`."""
        done(self._session, self._prefix, table, asked_at)

    def is_there(self, table: TableName) -> bool:
        """Whether the database has a table of that name. Raises TransientError."""
        return bool(
            self._session.rows(queries.text("is_relation"), (table.schema, table.name))[0][0]
        )
