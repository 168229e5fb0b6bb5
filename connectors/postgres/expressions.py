"""SQL expressions in settings or arguments: whether each is one expression, found out
without running it.

An expression goes into queries as is, in brackets. One that closes a bracket which it
did not open could become anything, also another statement. So the server's own parser
is asked first, at a place where only expressions are allowed.

Hazard: planning a query runs functions that are marked immutable, in the expression and
in the indexes of its tables. So a session in which no function of others may run
(`Session.only_parses`) only parses.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.errors import translate
from connectors.postgres.session import Session
from connectors.postgres.statement import trial
from schemas.errors import ConfigurationError, RowRefused, TransientError, VectrueError
from schemas.rows.target import Target

_NO_TYPE = 'pg_catalog."a type that does not exist"'
_PARSED = "SELECT pg_catalog.to_regtype(%s)"
"""The server parses what is in brackets after a type as expressions. As the type does
not exist, it does nothing else with them.
"""
_STRUCTURED = re.compile(r"""'\s*[\[{(]|\be'|\bu&'|\$""", re.IGNORECASE)
"""How a literal begins that may be an array, a composite or a range, also one that is
written with escapes.
"""
_REFUSED = (errorcodes.SYNTAX_ERROR, errorcodes.STATEMENT_TOO_COMPLEX)


def refusal(session: Session, expression: str) -> str | None:
    """Ask the server's parser why this is not one expression.

    Returns:
        the parser's words; None if it is one.

    Raises:
        VectrueError: the server does not answer, or fails before parsing.
    """
    try:
        with session.connection().cursor() as cursor:
            # The bracket is on a line of its own: the expression may end in a comment.
            cursor.execute(_PARSED, (f"{_NO_TYPE}({expression}\n)",))
    except psycopg2.Error as error:
        if error.pgcode not in _REFUSED:
            raise translate(error) from error
        return " ".join((error.diag.message_primary or "").split())
    return None


def explain(
    session: Session, query: sql.Composable, parameters: Mapping[str, Any] | None = None
) -> None:
    """Have a query parsed and planned in a read-only transaction.

    `refusal` must have passed for the expressions in it.

    Raises:
        psycopg2.Error: the server refuses it.
    """
    with session.connection().cursor() as cursor:
        cursor.execute("BEGIN READ ONLY")
        try:
            cursor.execute(sql.SQL("EXPLAIN {}").format(query), parameters)
        finally:
            if not cursor.connection.closed:
                cursor.execute("ROLLBACK")


def _refuse_domains(session: Session, target: Target) -> None:
    """Refuse a literal that might be a value of a domain whose check calls a function of
    others.
    """
    if not session.only_parses or not _STRUCTURED.search(target.text):
        return
    for domain, function, owner in session.rows(queries.text("domains_of_others")):
        raise ConfigurationError(
            f"{target.table}: parsing {target.text!r} might run {function} of role {owner}, "
            f"which checks the domain {domain}, with the rights of a superuser",
            fix="name a role without them in postgres.admin_dsn, as the owner of the table",
        )


def is_transient(error: psycopg2.Error, translated: VectrueError) -> bool:
    """Whether an error of `explain` says nothing about the expression."""
    # An expression that writes while it is planned is to blame, although a standby
    # raises the same.
    is_write = error.pgcode == errorcodes.READ_ONLY_SQL_TRANSACTION
    return isinstance(translated, TransientError) and not is_write


def is_to_blame(error: psycopg2.Error, translated: VectrueError) -> bool:
    """Whether the server refuses the expression, not the role or the connection."""
    return error.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE and not is_transient(error, translated)


@contextmanager
def viewed(session: Session, target: Target) -> Iterator[Cursor]:
    """Create a temporary view of the target's text, to see which objects it names.

    Nothing is planned or run, and the view is rolled back. `refusal` must have passed.

    Yields:
        a cursor; Postgres writes names with their schema.

    Raises:
        ConfigurationError: parsing might run a function of others with a superuser's
            rights.
        VectrueError: as `Session`; the parser's own words are its cause.
    """
    _refuse_domains(session, target)
    path = session.path
    try:
        with trial(session) as cursor:
            cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (path,))
            # Without parameters, so a % in the text must not be doubled.
            cursor.execute(queries.for_target("text_view", target, bound=False))
            cursor.execute("SET LOCAL search_path = ''")
            yield cursor
    except RowRefused as error:
        # No row is read, so the server's message is about the expression and may be
        # shown.
        raise VectrueError(error.message) from error.__context__
