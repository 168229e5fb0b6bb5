"""A connection that is opened when needed and renewed after a failure, and that raises
errors of vectrue.

Every connection runs in autocommit; `transaction()` sends BEGIN and COMMIT, so that a
single read costs one round trip.

A connection that ended while it was idle (a timeout, a restart, a firewall) raises no
error. If the end has arrived, it is noticed before the next use. If it arrives
at that moment, a statement that only reads, or that begins a transaction, is retried on
a new connection. A COMMIT is never retried.

Hazards:
- What a caller keeps in the session (a lock, a temporary table) is lost with the
  connection. `generation` changes then, and `hold` makes the loss an error.
- For a powerful role, unqualified names must not find anything of the application
  (`guard`): a function `array_agg` in a schema of the search path would run with the
  role's rights, if it fits better than the server's own.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
import structlog
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, parse_dsn
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import connecting, open_connections, pins
from connectors.postgres.connecting import Guard
from connectors.postgres.errors import translate
from connectors.postgres.idle import PLAIN, Frame, has_ended, only_reads
from schemas.errors import RowRefused, TransientError, VectrueError

__all__ = ["Connection", "Session", "limit_waits", "user_of"]

Setup = Callable[[Connection], None]
"""Run on a new connection before its first use."""

log = structlog.get_logger()


def user_of(dsn: str) -> str | None:
    """The role that a connection string names; None if it leaves that to libpq.

    Raises:
        ConfigurationError: it is not a connection string.
    """
    try:
        return parse_dsn(dsn).get("user")
    except psycopg2.Error as error:
        raise translate(error, dsn=dsn) from error


class Session:
    """One connection, for one thread."""

    def __init__(
        self,
        dsn: str,
        *,
        role: str,
        prefix: str | None = None,
        setup: Setup | None = None,
        recorded: bool = True,
        guard: Guard | None = None,
    ) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            dsn: libpq connection string.
            role: what the connection is for, shown as `vectrue <role>` in
                pg_stat_activity.
            prefix: kafka.topic_prefix of the installation whose search path and locale
                the session takes; None for any, if all in the database agree.
            setup: run on every new connection before its first use.
            recorded: False for `init`, which takes the search path and locale of its
                role (`pin`) and records them.
            guard: run first on every new connection of a powerful role (`trust.guard`):
                from then on unqualified names find only the server's own. Such a
                session only parses texts, with the search path `path`.
        """
        self._dsn = dsn
        self._role = role
        self._prefix = prefix
        self._setup = setup
        self._recorded = recorded
        self._guard = guard
        self._path: str | None = None
        self._pins: dict[str, str] = {}
        self._connection: Connection | None = None
        self._pooled = False
        self._in_transaction = False
        self._held = False
        self.generation = 0
        """Counts connections. When it changes, what a caller made in the session (a
        temporary table) is gone.
        """

    def connection(self) -> Connection:
        """The open connection.

        Raises:
            ConfigurationError: the server refuses this user, password or database, or
                there is a pooler in transaction mode in between.
            TransientError: the server does not answer; or the connection was lost
                within a transaction or after `hold`.
        """
        if self._ended_idle():
            self.close()
        if self._connection is None or self._connection.closed:
            self._connection = None
            if self._in_transaction or self._held:
                raise TransientError(
                    "the connection to Postgres was lost, and with it what it held"
                )
            self._connection = self._opened()
            self.generation += 1
        return self._connection

    def _ended_idle(self) -> bool:
        if self._connection is None or self._in_transaction:
            return False
        return has_ended(self._connection)

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor in autocommit: each statement is a transaction of its own."""
        try:
            with self.connection().cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            self._drop_if_broken()
            if error.pgcode == errorcodes.READ_ONLY_SQL_TRANSACTION:
                # The next connection may lead to the new primary.
                self.close()
            translated = translate(error, changes=self._guard is not None)
            # A traceback would show Postgres's message, which may quote the row.
            raise translated from (None if isinstance(translated, RowRefused) else error)

    @contextmanager
    def transaction(self, frame: Frame = PLAIN) -> Iterator[Cursor]:
        """A cursor within BEGIN and COMMIT; any exception rolls back.

        Args:
            frame: the statements that begin and end it.
        """
        try:
            # Nothing has been changed yet, so the first message may be retried.
            self._run(frame.begin, None, again=True)
        except VectrueError:
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
        """Set these in this connection, and in each that replaces it.

        Raises:
            ConfigurationError: the server does not know a value.
        """
        self._pins = dict(settings)
        try:
            self._put(self.connection(), self._pins)
        except psycopg2.Error as error:
            self._drop_if_broken()
            raise translate(error) from error

    @property
    def path(self) -> str:
        """The search path of texts, as the server writes it. Raises as `connection`."""
        self.connection()
        if self._guard and self._path is not None:
            return self._path
        asked = "reset_val" if self._guard else "setting"
        return str(self.rows(f"SELECT {asked} FROM pg_settings WHERE name = 'search_path'")[0][0])  # noqa: S608 - constants

    @property
    def only_parses(self) -> bool:
        """Whether expressions of others may only be parsed here, not planned or run."""
        return self._guard is not None

    @property
    def pid(self) -> int:
        """Id of the server's process, also behind a pooler. Raises as `connection`."""
        return open_connections.pid(self.connection())

    def beside(self, role: str) -> "Session":
        """Another session of the same role on the same server, to observe this one."""
        return Session(self._dsn, role=role, recorded=False, guard=self._guard)

    def hold(self) -> None:
        """From now on a lost connection is an error: the caller holds a lock in it."""
        self._held = True

    def release(self) -> None:
        """From now on a lost connection is replaced again."""
        self._held = False

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            if self._pooled and not self._connection.closed:
                connecting.reset(self._connection)
            connecting.close(self._connection)
            self._connection = None

    def rows(self, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return all its lines.

        If the connection has ended, a statement that only reads is retried.
        """
        return self._run(query, parameters, again=only_reads(query))

    def _run(self, query: Any, parameters: Any, *, again: bool) -> list[tuple[Any, ...]]:
        idle = self._connection is not None and not self._in_transaction
        try:
            return self._rows(query, parameters)
        except TransientError:
            # Only a connection that was idle before. If a new one ends at once, the
            # server is away, and it is the caller who retries.
            if not (again and idle and self._connection is None) or self._held:
                raise
        log.info("connection to Postgres had ended, retrying on a new one", session=self._role)
        return self._rows(query, parameters)

    def _rows(self, query: Any, parameters: Any) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def _opened(self) -> Connection:
        opened, self._pooled = connecting.connected(self._dsn, self._role, self._guard)
        try:
            settings: Mapping[str, str] = self._pins
            if not settings and self._recorded:
                settings = pins.recorded(opened, self._prefix)
            self._put(opened, settings)
            if self._setup:
                self._setup(opened)
        except psycopg2.Error as error:
            connecting.close(opened)
            raise translate(error) from error
        return opened

    def _put(self, connection: Connection, settings: Mapping[str, str]) -> None:
        settings = dict(settings)
        if self._guard:
            # Kept for texts, and not set: see `guard`.
            self._path = settings.pop(pins.PATH, self._path)
        pins.put(connection, settings)

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
            # The server rolls back what a closed connection leaves.
            self.close()

    def _abandon(self) -> None:
        """Leave a transaction whose first message failed after its BEGIN."""
        if self._connection is None:
            return
        if self._connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            with self._connection.cursor() as cursor:
                self._rollback(cursor, PLAIN)

    def _drop_if_broken(self) -> None:
        if self._connection is not None and self._connection.closed:
            self._connection = None


def connect(dsn: str, *, role: str) -> Connection:
    """Open a connection in autocommit, with the settings of all our sessions.

    Raises:
        ConfigurationError, TransientError: as `Session.connection`.
    """
    connection, _ = connecting.connected(dsn, role)
    return connection


def limit_locks(connection: Connection) -> None:
    """Set lock_timeout in a session that counts whole tables and may take long."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")


def limit_waits(connection: Connection) -> None:
    """Set lock_timeout and statement_timeout in a session that only asks."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'; SET statement_timeout = '60s'")


def limit_statements(seconds: float) -> Setup:
    """Make a setup that sets statement_timeout; longer statements raise TransientError."""
    timeout = f"{seconds * 1000:.0f}ms"

    def setup(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (timeout,))

    return setup
