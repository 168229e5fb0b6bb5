"""Errors of psycopg2 as ours, which say what is to be done.

Hazard: a message of libpq or of the server may quote a part of a password or a row;
what may is left out here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import parse_dsn

from connectors.postgres import conditions
from schemas import command
from schemas.errors import (
    ConfigurationError,
    HiddenRows,
    RowRefused,
    TableLocked,
    TransientError,
    VectrueError,
    WrongLength,
)
from schemas.settings.masking import mask_dsn

_UNREADABLE = (
    "not a connection string; special characters of a password are percent-encoded: @ as %40, / "
    "as %2F"
)
_WITH_AT = (
    "user",
    "password",
    "sslpassword",
    "options",
    "application_name",
    "sslrootcert",
    "sslkey",
    "sslcert",
)
"""Parameters that may hold an @ and are in no message of libpq."""
_REFUSALS = (
    "certificate verify failed",
    "root certificate file",
    "does not match host name",
    "server does not support SSL",
    "does not support SSL",
    _UNREADABLE,
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
    "invalid dsn",
    "invalid connection option",
    "is not permitted to log in",
)
_STRUCTURE = conditions.MISSING | {
    errorcodes.SYNTAX_ERROR,
    errorcodes.AMBIGUOUS_COLUMN,
    errorcodes.DATATYPE_MISMATCH,
    errorcodes.GROUPING_ERROR,
    # the publication's columns no longer cover the replica identity,
    errorcodes.INVALID_COLUMN_REFERENCE,
    # or there is none: `init` publishes anew, or says what to do
    errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE,
}
_LINE = re.compile(r"\nLINE \d+: .*\n *\^")
"""The line of the statement in which the server found it: often one of ours, which
tells a reader nothing.
"""
_OWN = re.compile(r'\b(relation|function|schema|type) "?vectrue["\.]')
_RLS_CHECK = "check_enable_rls"
"""Function of the server (rls.c) that raises 42501 for a policy where row_security is
off.
"""


def translate(
    error: psycopg2.Error, *, dsn: str | None = None, changes: bool = False
) -> VectrueError:
    """The error of ours that says what to do about one of psycopg2's. Never holds a
    password.

    Args:
        error: what psycopg2 raised.
        dsn: of the connection that could not be opened.
        changes: whether the session was one that makes changes, whose role no `init`
            gives rights to.
    """
    code = error.pgcode or ""
    what = _said(error) if dsn is None else _reason(error, dsn)
    if dsn is not None or code in (
        errorcodes.INVALID_PASSWORD,
        errorcodes.INVALID_AUTHORIZATION_SPECIFICATION,
    ):
        return _refused_connection(what, code, mask_dsn(dsn) if dsn else "this server")
    if is_wrong_length(error):
        return WrongLength(
            f"a vector has another length than it should ({what})",
            fix="vectrue doctor names the column",
        )
    if conditions.is_raised(error):
        return RowRefused(conditions.name(code))
    if code == errorcodes.LOCK_NOT_AVAILABLE:
        return TableLocked(f"Postgres did not get a lock in time ({what})")
    if isinstance(error, psycopg2.InterfaceError) or not code or _is_transient(code):
        return TransientError(f"Postgres did not finish the statement ({what})")
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return _forbidden(error, what, changes=changes)
    return _refused_statement(error, code, what)


@contextmanager
def over_rows() -> Iterator[None]:
    """Around a statement that evaluates texts.

    Raises:
        RowRefused: also where a row's value names what is not there, as in
            `body::regclass`.
    """
    try:
        yield
    except VectrueError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg2.Error) and conditions.is_of_a_row(cause, over_rows=True):
            raise RowRefused(conditions.name(cause.pgcode)) from None
        raise


def _refused_statement(error: psycopg2.Error, code: str, what: str) -> VectrueError:
    # A locale that `init` recorded on another server is not one of the values that a
    # text brings.
    if (
        code == errorcodes.INVALID_PARAMETER_VALUE
        and "for parameter" in what
        and not error.diag.context
    ):
        return _unfit(what)
    if conditions.is_of_a_row(error):
        return RowRefused(conditions.name(code))
    if code in conditions.MISSING and _OWN.search(what) and not command.is_running("init"):
        return ConfigurationError(
            "this database does not know vectrue yet, or an older version of it",
            fix="run `vectrue init`",
        )
    if code in _STRUCTURE:
        return _unfit(what)
    return VectrueError(f"Postgres refused the statement ({what})")


def _unfit(what: str) -> ConfigurationError:
    """What does not fit is mended by `init`; where that is what runs, only the settings
    can be wrong.
    """
    fix = (
        f"correct vectrue.toml, then repeat {command.again()}"
        if command.is_running("init")
        else "vectrue init"
    )
    return ConfigurationError(f"the database does not fit the settings ({what})", fix=fix)


def _said(error: psycopg2.Error) -> str:
    if conditions.is_raised(error):
        return conditions.name(error.pgcode)  # what it says may be a row's text
    # The context of an error within the function that counts is the whole function.
    said = error.diag.message_primary if error.diag.internal_query else _LINE.sub("", str(error))
    return " ".join((said or "").split())


def _is_transient(code: str) -> bool:
    return code[:2] in conditions.TRANSIENT_CLASSES or code in conditions.TRANSIENT


DENIED = "the role may not do this"
"""How the sentence about a missing right begins."""


def _forbidden(error: psycopg2.Error, what: str, *, changes: bool) -> ConfigurationError:
    """A right that is missing, or rows that a policy would hide: table and role, in any
    language of the server.
    """
    if error.diag.source_function != _RLS_CHECK:
        fix = f"name an owner of the tables in postgres.admin_dsn, then repeat {command.again()}"
        if not changes:
            fix = "vectrue init, as an owner of the tables"
        return ConfigurationError(f"{DENIED} ({what})", fix=fix)
    named = re.search(r'["«„“](.+)["»“”]', error.diag.message_primary or "")
    role = error.cursor.connection.info.user if error.cursor is not None else "of the worker"
    table = f"table {named[1].strip()}" if named else "a table"
    return HiddenRows(
        f"row-level security of {table} would hide rows from role {role}",
        fix=f'ALTER ROLE "{role}" BYPASSRLS',
    )


def is_wrong_length(error: psycopg2.Error) -> bool:
    """Whether pgvector refuses a vector for its length: the column's or the other
    vector's is another.
    """
    is_pgvectors = error.pgcode == errorcodes.DATA_EXCEPTION and not conditions.is_raised(error)
    return is_pgvectors and "dimensions" in str(error)


def _refused_connection(what: str, code: str, where: str) -> VectrueError:
    if code[:2] in ("28", "3D") or any(words in what for words in _REFUSALS):
        return ConfigurationError(
            f"Postgres refuses the connection {where} ({what})", fix="correct postgres.dsn"
        )
    return TransientError(
        f"Postgres does not answer at {where} ({what})", fix="check postgres.dsn and the server"
    )


def _reason(error: psycopg2.Error, dsn: str) -> str:
    """What libpq says about a connection, unless parts of a password may be in it.

    libpq takes what follows an unescaped `@`, `/` or `:` of a password for a host, port
    or database, and quotes it.
    """
    what = " ".join(str(error).split())
    try:
        parts = parse_dsn(dsn)
    except psycopg2.Error:
        return _UNREADABLE
    if any("@" in str(value) for name, value in parts.items() if name not in _WITH_AT):
        return _UNREADABLE
    for name in ("password", "sslpassword"):
        if parts.get(name):
            what = what.replace(str(parts[name]), "***")
    return what
