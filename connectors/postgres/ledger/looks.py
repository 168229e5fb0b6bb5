"""Tables whose changes may have been missed: the keeper has to look at all their rows.

Commands report them until it has.

Hazard: a look that is asked for again while the keeper is looking stays.
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
    """Have the keeper look at all rows of these tables.

    Args:
        session: connection of a worker, or of the role that ran `init`.
        prefix: kafka.topic_prefix of the installation.
        tables: which.
        reason: why changes may have been missed, one clause for people.

    Raises:
        TransientError: Postgres does not answer.
    """
    parameters = {"prefix": prefix, "tables": _names(tables), "reason": reason}
    session.rows(queries.text("ask_look"), parameters)


def asking(session: Session, prefix: str, tables: Iterable[TableName], reason: str) -> Statement:
    """What `ask` does, as a statement of `init`. Arguments as there."""
    names = _names(tables)
    parameters = {"prefix": prefix, "tables": names, "reason": reason}
    with session.cursor() as cursor:
        asked = cursor.mogrify(queries.text("ask_look"), parameters)
    body = asked.decode(encodings[session.connection().encoding]).strip()
    return Statement(f"have the keeper look at all rows of {', '.join(names)}: {reason}", body)


def forgetting(session: Session, prefix: str, tables: Iterable[TableName]) -> list[Statement]:
    """Statements of `init` that delete the looks at tables that leave the installation.

    Args:
        session: connection of the role that runs `init`.
        prefix: kafka.topic_prefix of the installation.
        tables: those that leave.
    """
    names = _names(tables)
    query = sql.SQL("DELETE FROM vectrue.looks WHERE prefix = {} AND table_name = {}")
    statements = []
    # No keeper would end them.
    for look in pending(session, prefix):
        name = str(look.table)
        if name in names:
            body = render(session, query.format(sql.Literal(prefix), sql.Literal(name)))
            what = f"forget that the rows of {name} have to be looked at"
            statements.append(Statement(what, body))
    return statements


def pending(session: Session, prefix: str) -> list[Look]:
    """The looks that are left, the longest wait first.

    There are none in a schema that `init` has not updated.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.looks') IS NOT NULL")[0][0]:
        return []
    found = []
    for table, reason, asked, age in session.rows(
        queries.text("pending_looks"), {"prefix": prefix}
    ):
        found.append(Look(TableName.parse(table), reason, asked, float(age)))
    return found


def done(session: Session, prefix: str, table: TableName, asked_at: datetime) -> None:
    """End a look: all rows were looked at, and what was stale is being embedded.

    Args:
        session: connection of the keeper.
        prefix: kafka.topic_prefix of the installation.
        table: which.
        asked_at: as the look had it.

    Raises:
        TransientError: Postgres does not answer.
    """
    # With its time: a later one stays, so that changes in between are seen too.
    session.rows(
        queries.text("end_look"), {"prefix": prefix, "table": str(table), "asked_at": asked_at}
    )


class LookStore:
    """The looks of one installation, over the keeper's connection."""

    def __init__(self, session: Session, prefix: str) -> None:
        self._session = session
        self._prefix = prefix

    def pending(self) -> list[Look]:
        """The looks that are left. Raises as `pending`."""
        return pending(self._session, self._prefix)

    def done(self, table: TableName, asked_at: datetime) -> None:
        """End a look. Raises as `done`."""
        done(self._session, self._prefix, table, asked_at)

    def is_there(self, table: TableName) -> bool:
        """Whether the database has a table of that name. Raises TransientError."""
        place = (table.schema, table.name)
        return bool(self._session.rows(queries.text("is_relation"), place)[0][0])


def _names(tables: Iterable[TableName]) -> list[str]:
    return sorted({str(table) for table in tables})
