"""Translate errors of psycopg2 into errors of vectrue, which say what to do.

Hazard: a message of libpq or of the server may quote a part of a password or of a row;
such messages are left out here.
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
"""Parameters that may hold an @, and that no message of libpq quotes."""
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
    # The publication's columns no longer cover the replica identity,
    errorcodes.INVALID_COLUMN_REFERENCE,
    # or there is none: `init` publishes again, or says what to do.
    errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE,
}
_LINE = re.compile(r"\nLINE \d+: .*\n *\^")
"""The line of the statement that the server complains about: often one of ours, which
does not help a reader.
"""
_OWN = re.compile(r'\b(relation|function|schema|type) "?vectrue["\.]')
_RLS_CHECK = "check_enable_rls"
"""Function of the server (rls.c) that raises 42501 for a policy where row_security is
off.
"""


def translate(
    error: psycopg2.Error, *, dsn: str | None = None, changes: bool = False
) -> VectrueError:
    """Make the error of vectrue that says what to do. It never holds a password.

    Args:
        error: what psycopg2 raised.
        dsn: of the connection, if it could not be opened.
        changes: whether the session makes changes; `init` grants nothing to its role.

    Returns:
        the error, to be raised.
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
            fix="run `vectrue doctor`, which names the column",
        )
    if conditions.is_raised(error):
        return RowRefused(conditions.name(code))
    if code == errorcodes.LOCK_NOT_AVAILABLE:
        return TableLocked(f"Postgres timed out waiting for a lock ({what})")
    if isinstance(error, psycopg2.InterfaceError) or not code or _is_transient(code):
        return TransientError(f"Postgres did not finish the statement ({what})")
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return _forbidden(error, what, changes=changes)
    return _refused_statement(error, code, what)


@contextmanager
def over_rows() -> Iterator[None]:
    """Use it around a statement that evaluates texts.

    Raises:
        RowRefused: also if a row's value names an object that does not exist, as in
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
    # A locale that `init` recorded on another server: this value is not from a row.
    is_setting = code == errorcodes.INVALID_PARAMETER_VALUE and "for parameter" in what
    if is_setting and not error.diag.context:
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
    """The error about a database that `init` fixes, unless it is `init` that fails."""
    fix = "run `vectrue init`"
    if command.is_running("init"):
        fix = f"correct vectrue.toml, then repeat {command.again()}"
    return ConfigurationError(f"the database does not fit the settings ({what})", fix=fix)


def _said(error: psycopg2.Error) -> str:
    """What the server says, as far as it may be shown."""
    if conditions.is_raised(error):
        # The message may be a row's text.
        return conditions.name(error.pgcode)
    said = error.diag.message_primary
    if not error.diag.internal_query:
        # Within a function of ours this would have the whole function as its context.
        said = _LINE.sub("", str(error))
    return " ".join((said or "").split())


def _is_transient(code: str) -> bool:
    return code[:2] in conditions.TRANSIENT_CLASSES or code in conditions.TRANSIENT


DENIED = "permission denied in Postgres"
"""How the message about a missing right begins."""


def _forbidden(error: psycopg2.Error, what: str, *, changes: bool) -> ConfigurationError:
    """The error about a missing right, or about rows that a policy would hide."""
    if error.diag.source_function != _RLS_CHECK:
        fix = "run `vectrue init` as an owner of the tables"
        if changes:
            fix = (
                f"name an owner of the tables in postgres.admin_dsn, then repeat {command.again()}"
            )
        return ConfigurationError(f"{DENIED} ({what})", fix=fix)
    # The table stands in quotes, in whatever language the server writes messages.
    named = re.search(r'["«„“](.+)["»“”]', error.diag.message_primary or "")
    role = error.cursor.connection.info.user if error.cursor is not None else "of the worker"
    table = f"table {named[1].strip()}" if named else "a table"
    return HiddenRows(
        f"row-level security of {table} would hide rows from role {role}",
        fix=f'ALTER ROLE "{role}" BYPASSRLS',
    )


def is_wrong_length(error: psycopg2.Error) -> bool:
    """Whether pgvector refused a vector for its length."""
    is_pgvectors = error.pgcode == errorcodes.DATA_EXCEPTION and not conditions.is_raised(error)
    return is_pgvectors and "dimensions" in str(error)


def _refused_connection(what: str, code: str, where: str) -> VectrueError:
    # libpq's own errors have no code, so they are known by their words.
    if code[:2] in ("28", "3D") or any(words in what for words in _REFUSALS):
        return ConfigurationError(
            f"Postgres refuses the connection {where} ({what})", fix="correct postgres.dsn"
        )
    return TransientError(
        f"Postgres does not answer at {where} ({what})", fix="check postgres.dsn and the server"
    )


def _reason(error: psycopg2.Error, dsn: str) -> str:
    """What libpq says about a connection, unless a part of a password may be in it."""
    what = " ".join(str(error).split())
    try:
        parts = parse_dsn(dsn)
    except psycopg2.Error:
        return _UNREADABLE
    # libpq takes what follows an unescaped @, / or : of a password for a host, port or
    # database, and quotes it.
    for name, value in parts.items():
        if name not in _WITH_AT and "@" in str(value):
            return _UNREADABLE
    for name in ("password", "sslpassword"):
        if parts.get(name):
            what = what.replace(str(parts[name]), "***")
    return what
