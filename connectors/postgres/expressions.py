"""SQL expressions that somebody writes into settings or arguments: one expression each,
and never run to find that out.

An expression goes into queries as it stands, in brackets. One that closes a bracket
which it did not open could become anything, another statement too. So the server's own
parser is asked first, where nothing but expressions may stand.

Hazard: planning a query runs functions: those that are called immutable, of constants,
in the expression and in the indexes of its tables. So a session in which nothing of
others may run (`Session.only_parses`) only parses.
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
"""What stands in the brackets behind a type that does not exist is parsed as
expressions, and then left alone.
"""
_STRUCTURED = re.compile(r"""'\s*[\[{(]|\be'|\bu&'|\$""", re.IGNORECASE)
"""The beginning of a literal that an array, composite or range may be made of, or of
one that says so in escapes.
"""
_REFUSED = (errorcodes.SYNTAX_ERROR, errorcodes.STATEMENT_TOO_COMPLEX)


def refusal(session: Session, expression: str) -> str | None:
    """Why this is not an expression, as the server's parser says it; None where it is
    one.

    Raises:
        VectrueError: the server does not answer, or does not get as far as parsing.
    """
    try:
        with session.connection().cursor() as cursor:
            # on a line of its own: it may end in a comment
            cursor.execute(_PARSED, (f"{_NO_TYPE}({expression}\n)",))
    except psycopg2.Error as error:
        if error.pgcode not in _REFUSED:
            raise translate(error) from error
        return " ".join((error.diag.message_primary or "").split())
    return None


def explain(
    session: Session, query: sql.Composable, parameters: Mapping[str, Any] | None = None
) -> None:
    """Have a query parsed and planned in a read-only transaction; `refusal` comes first
    for what stands in it.

    Raises:
        psycopg2.Error: what the server says against it.
    """
    with session.connection().cursor() as cursor:
        cursor.execute("BEGIN READ ONLY")
        try:
            cursor.execute(sql.SQL("EXPLAIN {}").format(query), parameters)
        finally:
            if not cursor.connection.closed:
                cursor.execute("ROLLBACK")


def _refuse_domains(session: Session, target: Target) -> None:
    """Refuse a literal that may be a value of a domain, or hold some, where a domain of
    others would be checked.
    """
    if not session.only_parses or not _STRUCTURED.search(target.text):
        return
    for domain, function, owner in session.rows(queries.text("domains_of_others")):
        raise ConfigurationError(
            f"{target.table}: to parse {target.text!r} might run {function} of role {owner}, "
            "which checks the domain "
            f"{domain}, with the rights of a superuser",
            fix="name a role without them in postgres.admin_dsn, as the owner of the table",
        )


def is_transient(error: psycopg2.Error, translated: VectrueError) -> bool:
    """Whether what `explain` met says nothing about the expression; one that writes
    while it is planned is to blame.
    """
    return (
        isinstance(translated, TransientError)
        and error.pgcode != errorcodes.READ_ONLY_SQL_TRANSACTION
    )


def is_to_blame(error: psycopg2.Error, translated: VectrueError) -> bool:
    """Whether the expression is what the server refuses, and neither the role nor the
    connection.
    """
    return error.pgcode != errorcodes.INSUFFICIENT_PRIVILEGE and not is_transient(error, translated)


@contextmanager
def viewed(session: Session, target: Target) -> Iterator[Cursor]:
    """A cursor beside a temporary view of the target's text, which goes again; nothing
    is planned or run.

    It tells what the text names: the server's parser knows what every name stands for.
    Names are shown with their schemas. `refusal` comes first.

    Raises:
        ConfigurationError: to parse it might run a function of others with a
            superuser's rights.
        VectrueError: as `Session` says it; the parser's own words are its cause.
    """
    _refuse_domains(session, target)
    path = session.path
    try:
        with trial(session) as cursor:
            cursor.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (path,))
            # Without parameters, so that a % of the text stays single.
            cursor.execute(queries.for_target("text_view", target, bound=False))
            cursor.execute("SET LOCAL search_path = ''")
            yield cursor
    # no row is read: the server's words are about the expression, and may be told
    except RowRefused as error:
        raise VectrueError(error.message) from error.__context__
