"""A connection that is opened when needed, renewed after a failure, and whose errors are ours.

Every connection runs in autocommit; `transaction()` brackets explicitly, so that a single read costs one round trip.
Before anything is set in a new one, it is made sure that no pooler hands it on to others (pooler.py); then it gets what
all our sessions have in common (pins.py).

A connection that ended while it was idle (a time-out, a restart, a firewall) costs its user no error: an end that has
arrived is seen before the next use, and one that arrives in that moment is made up for by a second try on a new
connection, where the statement only reads or begins a transaction. A COMMIT is never tried again.

Hazard: what a caller keeps in the session (a lock, a temporary table) is gone with its connection. `generation` tells,
and `hold` makes the loss an error.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
import structlog
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, parse_dsn
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import pins, pooler
from connectors.postgres.idle import PLAIN, Frame, has_ended, only_reads
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

log = structlog.get_logger()

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


class Session:
    """One connection, one thread."""

    def __init__(
        self,
        dsn: str,
        *,
        role: str,
        prefix: str | None = None,
        setup: Callable[[Connection], None] | None = None,
        recorded: bool = True,
    ) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            dsn: libpq connection string.
            role: what the connection is for, shown as `embedsync <role>` in pg_stat_activity.
            prefix: kafka.topic_prefix of the installation whose search path and locale the session takes; None: of
                any, where all of the database agree.
            setup: run on every new connection before its first use.
            recorded: False for `init`, which takes the search path and locale of its role (`pin`) and records them.
        """
        self._dsn = dsn
        self._role = role
        self._prefix = prefix
        self._setup = setup
        self._recorded = recorded
        self._pins: dict[str, str] = {}
        self._connection: Connection | None = None
        self._pooled = False
        self._in_transaction = False
        self._held = False
        self.generation = 0
        """Counts connections: what a caller made in the session (a temporary table) is gone when it changes."""

    def connection(self) -> Connection:
        """The open connection.

        Raises:
            ConfigurationError: the server refuses this user, password or database, or a pooler is in between.
            TransientError: the server does not answer; or the connection was lost within a transaction, or while `hold`
                was asked for.
        """
        if self._connection is not None and not self._in_transaction and has_ended(self._connection):
            self.close()
        if self._connection is None or self._connection.closed:
            self._connection = None
            if self._in_transaction or self._held:
                raise TransientError("the connection to Postgres was lost, and with it what it held")
            self._connection = self._opened()
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
    def transaction(self, frame: Frame = PLAIN) -> Iterator[Cursor]:
        """A cursor within BEGIN and COMMIT; any exception rolls back.

        Args:
            frame: the statements that begin and end it.
        """
        try:
            self._run(frame.begin, None, again=True)
        except EmbedsyncError:
            self._abandon()
            raise
        self._in_transaction = True
        try:
            with self.cursor() as cursor:
                try:
                    yield cursor
                except BaseException:
                    self._rollback(cursor, frame)
                    raise
                self._commit(cursor, frame)
        finally:
            self._in_transaction = False

    @property
    def is_pooled(self) -> bool:
        """Whether the open connection leads through a pooler in session mode."""
        return self._pooled

    def pin(self, settings: Mapping[str, str]) -> None:
        """Set these in the session, and in each that replaces it.

        Raises:
            ConfigurationError: the server does not know a value.
        """
        self._pins = dict(settings)
        try:
            pins.put(self.connection(), self._pins)
        except psycopg2.Error as error:
            self._drop_if_broken()
            raise translate(error) from error

    def hold(self) -> None:
        """From now on a lost connection is an error: the caller has a lock in it."""
        self._held = True

    def release(self) -> None:
        """A lost connection is replaced again."""
        self._held = False

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            if self._pooled and not self._connection.closed:
                _leave_clean(self._connection)
            self._connection.close()
            self._connection = None

    def rows(self, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return all its lines; one that only reads is tried again when the connection ends."""
        return self._run(query, parameters, again=only_reads(query))

    def _run(self, query: Any, parameters: Any, *, again: bool) -> list[tuple[Any, ...]]:
        idle = self._connection is not None and not self._in_transaction
        try:
            return self._rows(query, parameters)
        except TransientError:
            # A new connection that ends at once is a server that is away, which the caller's patience is for.
            if not (again and idle and self._connection is None) or self._held:
                raise
        return self._rows(query, parameters)

    def _rows(self, query: Any, parameters: Any) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def _opened(self) -> Connection:
        opened, self._pooled = _connected(self._dsn, self._role)
        try:
            settings = self._pins or (pins.recorded(opened, self._prefix) if self._recorded else {})
            pins.put(opened, settings)
            if self._setup:
                self._setup(opened)
        except psycopg2.Error as error:
            opened.close()
            raise translate(error) from error
        return opened

    def _commit(self, cursor: Cursor, frame: Frame) -> None:
        try:
            cursor.execute(frame.commit)
        except psycopg2.Error:
            self._rollback(cursor, frame)
            raise

    def _rollback(self, cursor: Cursor, frame: Frame) -> None:
        try:
            cursor.execute(frame.rollback)
        except psycopg2.Error:
            self.close()  # the server rolls back what a closed connection left

    def _abandon(self) -> None:
        """Leave a transaction whose first message failed behind its BEGIN."""
        if self._connection is not None and self._connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            with self._connection.cursor() as cursor:
                self._rollback(cursor, PLAIN)

    def _drop_if_broken(self) -> None:
        if self._connection is not None and self._connection.closed:
            self._connection = None


def connect(dsn: str, *, role: str) -> Connection:
    """Open a connection in autocommit, with what all our sessions have in common.

    Raises:
        ConfigurationError, TransientError: as `Session.connection`.
    """
    return _connected(dsn, role)[0]


def _connected(dsn: str, role: str) -> tuple[Connection, bool]:
    """The connection, and whether a pooler in session mode is in between."""
    options = {"application_name": f"embedsync {role}", "client_encoding": "UTF8", **_NETWORK}
    opened: Connection | None = None
    try:
        opened = psycopg2.connect(dsn, **options)
        opened.autocommit = True
        pooled = pooler.is_between(opened, dsn, options)
        pins.apply(opened)
    except psycopg2.Error as error:
        _close(opened)
        raise translate(error, dsn=dsn) from error
    except EmbedsyncError:
        _close(opened)
        raise
    return opened, pooled


def _close(opened: Connection | None) -> None:
    if opened is not None:
        opened.close()


def _leave_clean(connection: Connection) -> None:
    """Take back what was set, before a pooler gives the connection to somebody else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("DISCARD ALL")
    except psycopg2.Error as error:
        log.info("the pooler's connection could not be cleaned", reason=" ".join(str(error).split()))


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
    # The context of an error within the function that counts is the whole function.
    said = error.diag.message_primary if code[:2] == "23" or error.diag.internal_query else str(error)
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
    # A locale that `init` recorded on another server is not one of the values that a text brings.
    if code in _STRUCTURE or (code == errorcodes.INVALID_PARAMETER_VALUE and "for parameter" in what):
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
