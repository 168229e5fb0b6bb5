"""A connection that is opened when needed, renewed after a failure, and whose errors are ours.

Every connection runs in autocommit; `transaction()` brackets explicitly, so that a single read costs one round trip.

Hazard: a session of the worker carries a replication origin, which survives ROLLBACK and DISCARD ALL. It is never
handed to anybody else and never goes through a transaction-mode pooler, or real edits would be hidden from capture.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from schemas.errors import (
    ConfigurationError,
    EmbedsyncError,
    HiddenRows,
    PoisonEvent,
    TableLocked,
    TransientError,
    WrongLength,
)
from schemas.masking import mask_dsn

_UNREADABLE = "not a connection string; special characters of a password are percent-encoded: @ as %40, / as %2F"
_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds: a peer that is gone without a word is noticed after 20 s
}
_WITH_AT = ("user", "password", "sslpassword", "options", "application_name", "sslrootcert", "sslkey", "sslcert")
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
_TRANSIENT = {"08", "40", "53", "57", "58"}  # SQLSTATE classes: connection, rollback, resources, intervention, system
_TRANSIENT_CODES = {
    errorcodes.OBJECT_IN_USE,
    errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    errorcodes.READ_ONLY_SQL_TRANSACTION,  # a standby, which a failover may promote or replace
    "25P04",  # transaction_timeout, since PostgreSQL 17
}
_STRUCTURE = {
    errorcodes.UNDEFINED_TABLE,
    errorcodes.UNDEFINED_COLUMN,
    errorcodes.UNDEFINED_FUNCTION,
    errorcodes.UNDEFINED_OBJECT,
    errorcodes.INVALID_SCHEMA_NAME,
    errorcodes.SYNTAX_ERROR,
    errorcodes.AMBIGUOUS_COLUMN,
    errorcodes.DATATYPE_MISMATCH,
    errorcodes.GROUPING_ERROR,
    errorcodes.INVALID_COLUMN_REFERENCE,  # the publication's columns no longer cover the replica identity,
    errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE,  # or there is none: `init` publishes anew, or says what to do
}
_RLS_CHECK = "check_enable_rls"
"""Function of the server (rls.c) that raises 42501 for a policy where row_security is off."""
_SESSION = (
    "SET TIME ZONE 'UTC'",
    # What a role or database sets here would give one key two text forms, or make every write fail.
    "SET datestyle = 'ISO, YMD'",
    "SET default_transaction_isolation = 'read committed'",
    "SET default_transaction_read_only = off",
    "SET row_security = off",  # a policy that would hide rows is then an error
)


class Session:
    """One connection, one thread."""

    def __init__(self, dsn: str, *, role: str, setup: Callable[[Connection], None] | None = None) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            dsn: libpq connection string.
            role: what the connection is for, shown as `embedsync <role>` in pg_stat_activity.
            setup: run on every new connection before its first use.
        """
        self._dsn = dsn
        self._role = role
        self._setup = setup
        self._connection: Connection | None = None
        self.generation = 0
        """Counts connections: what a caller made in the session (a temporary table) is gone when it changes."""

    def connection(self) -> Connection:
        """The open connection.

        Raises:
            ConfigurationError: the server refuses this user, password or database.
            TransientError: the server does not answer.
        """
        if self._connection is None or self._connection.closed:
            self._connection = None
            opened = connect(self._dsn, role=self._role)
            try:
                if self._setup:
                    self._setup(opened)
            except psycopg2.Error as error:
                opened.close()
                raise translate(error) from error
            self._connection = opened
            self.generation += 1
        return self._connection

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor in autocommit: each statement is a transaction of its own."""
        try:
            with self.connection().cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            self._drop_if_broken()
            if error.pgcode == errorcodes.READ_ONLY_SQL_TRANSACTION:
                self.close()  # the same name may lead to the new primary
            raise translate(error) from error

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor within BEGIN and COMMIT; any exception rolls back."""
        with self.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            except BaseException:
                self._rollback(cursor)
                raise
            cursor.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def rows(self, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return all its lines."""
        with self.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def _rollback(self, cursor: Cursor) -> None:
        try:
            cursor.execute("ROLLBACK")
        except psycopg2.Error:
            self.close()  # the server rolls back what a closed connection left

    def _drop_if_broken(self) -> None:
        if self._connection is not None and self._connection.closed:
            self._connection = None


def connect(dsn: str, *, role: str) -> Connection:
    """Open a connection in autocommit, time zone UTC.

    Raises:
        ConfigurationError, TransientError: as `Session.connection`.
    """
    try:
        opened: Connection = psycopg2.connect(dsn, application_name=f"embedsync {role}", **_NETWORK)
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute("; ".join(_SESSION))
    except psycopg2.Error as error:
        raise translate(error, dsn=dsn) from error
    return opened


def limit_locks(connection: Connection) -> None:
    """Setup of a session that counts whole tables: a lock that somebody holds is an error, a long query is none."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")


def limit_waits(connection: Connection) -> None:
    """Setup of a session that asks only: a table that somebody locks, or a query that does not end, is an error."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'; SET statement_timeout = '60s'")


def limit_statements(seconds: float) -> Callable[[Connection], None]:
    """Setup of a session on which somebody waits: a statement that runs for longer ends as a TransientError."""

    def setup(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{seconds * 1000:.0f}ms",))

    return setup


def translate(error: psycopg2.Error, *, dsn: str | None = None) -> EmbedsyncError:
    """The error of ours that says what to do about one of psycopg2's. Never holds a password."""
    code = error.pgcode or ""
    # The details of a broken constraint quote the row.
    said = error.diag.message_primary if code[:2] == "23" else str(error)
    what = " ".join((said or "").split()) if dsn is None else _reason(error, dsn)
    if dsn is not None or code in (errorcodes.INVALID_PASSWORD, errorcodes.INVALID_AUTHORIZATION_SPECIFICATION):
        return _refused_connection(what, code, mask_dsn(dsn) if dsn else "this server")
    if is_wrong_length(error):
        return WrongLength(
            f"a vector has another length than it should ({what})", fix="embedsync doctor names the column"
        )
    if code == errorcodes.LOCK_NOT_AVAILABLE:
        return TableLocked(f"Postgres did not get a lock in time ({what})")
    if isinstance(error, psycopg2.InterfaceError) or not code or code[:2] in _TRANSIENT or code in _TRANSIENT_CODES:
        return TransientError(f"Postgres did not finish the statement ({what})")
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return _forbidden(error, what)
    if code in _STRUCTURE:
        return ConfigurationError(f"the database does not fit the settings ({what})", fix="embedsync init")
    if isinstance(error, psycopg2.DataError):
        return PoisonEvent(f"a value does not fit its column ({what})")
    return EmbedsyncError(f"Postgres refused the statement ({what})")


def _forbidden(error: psycopg2.Error, what: str) -> ConfigurationError:
    """A right that is missing, or rows that a policy would hide: table and role, in any language of the server."""
    if error.diag.source_function != _RLS_CHECK:
        return ConfigurationError(f"the role may not do this ({what})", fix="embedsync init, as an owner of the tables")
    named = re.search(r'["«„“](.+)["»“”]', error.diag.message_primary or "")
    role = error.cursor.connection.info.user if error.cursor is not None else "of the worker"
    table = f"table {named[1].strip()}" if named else "a table"
    return HiddenRows(f"row-level security of {table} would hide rows from role {role}",
                      fix=f'ALTER ROLE "{role}" BYPASSRLS')  # fmt: skip


def is_wrong_length(error: psycopg2.Error) -> bool:
    """Whether pgvector refuses a vector for its length: the column's or the other vector's is another."""
    return error.pgcode == errorcodes.DATA_EXCEPTION and "dimensions" in str(error)


def _refused_connection(what: str, code: str, where: str) -> EmbedsyncError:
    if code[:2] in ("28", "3D") or any(words in what for words in _REFUSALS):
        return ConfigurationError(f"Postgres refuses the connection {where} ({what})", fix="correct postgres.dsn")
    return TransientError(f"Postgres does not answer at {where} ({what})", fix="check postgres.dsn and the server")


def _reason(error: psycopg2.Error, dsn: str) -> str:
    """What libpq says about a connection, unless parts of a password may be in it.

    libpq takes what follows an unescaped `@`, `/` or `:` of a password for a host, port or database, and quotes it.
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
