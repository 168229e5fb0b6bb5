"""A connection that is opened when needed, renewed after a failure, and whose errors
are ours.

Every connection runs in autocommit; `transaction()` brackets explicitly, so that a
single read costs one round trip. Before anything is set in a new one, it is made sure
that no pooler hands it on to others (pooler.py); then it gets what all our sessions
have in common (pins.py).

A connection that ended while it was idle (a time-out, a restart, a firewall) costs its
user no error: an end that has arrived is seen before the next use, and one that arrives
in that moment is made up for by a second try on a new connection, where the statement
only reads or begins a transaction. A COMMIT is never tried again.

Hazards:
- What a caller keeps in the session (a lock, a temporary table) is gone with its
  connection. `generation` tells, and `hold` makes the loss an error.
- A role that may do much finds nothing of the application by an unqualified name
  (`guard`): a function called `array_agg` in a schema of its search path would run with
  its rights, since it fits better than the server's own.
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

from connectors.postgres import open_connections, pins, pooler
from connectors.postgres.errors import translate
from connectors.postgres.idle import PLAIN, Frame, has_ended, only_reads
from schemas.errors import ConfigurationError, RowRefused, TransientError, VectrueError

__all__ = ["Connection", "Session", "limit_waits", "user_of"]

log = structlog.get_logger()

_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # milliseconds: a peer that is gone without a word is noticed after 20 s
    "tcp_user_timeout": 20_000,
}
_STRINGS = "standard_conforming_strings"


def user_of(dsn: str) -> str | None:
    """The role that a connection string names; None where it leaves that to libpq.

    Raises:
        ConfigurationError: it is not a connection string.
    """
    try:
        return parse_dsn(dsn).get("user")
    except psycopg2.Error as error:
        raise translate(error, dsn=dsn) from error


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
        guard: Callable[[Connection], None] | None = None,
    ) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            dsn: libpq connection string.
            role: what the connection is for, shown as `vectrue <role>` in
                pg_stat_activity.
            prefix: kafka.topic_prefix of the installation whose search path and locale
                the session takes; None: of any, where all of the database agree.
            setup: run on every new connection before its first use.
            recorded: False for `init`, which takes the search path and locale of its
                role (`pin`) and records them.
            guard: run first on every new connection of a role that may do much
                (`trust.guard`): from then on unqualified names mean the server's own
                alone. Texts are only parsed in such a session, with the search path
                that `path` says.
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
        """Counts connections: what a caller made in the session (a temporary table) is
        gone when it changes.
        """

    def connection(self) -> Connection:
        """The open connection.

        Raises:
            ConfigurationError: the server refuses this user, password or database, or a
                pooler is in between.
            TransientError: the server does not answer; or the connection was lost
                within a transaction, or while `hold` was asked for.
        """
        if (
            self._connection is not None
            and not self._in_transaction
            and has_ended(self._connection)
        ):
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
            translated = translate(error, changes=self._guard is not None)
            # A traceback would tell Postgres's message, which may quote the row.
            raise translated from (None if isinstance(translated, RowRefused) else error)

    @contextmanager
    def transaction(self, frame: Frame = PLAIN) -> Iterator[Cursor]:
        """A cursor within BEGIN and COMMIT; any exception rolls back.

        Args:
            frame: the statements that begin and end it.
        """
        try:
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
        """Set these in the session, and in each that replaces it.

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
        """The search path that texts are read with, as the server writes one. Raises as
        `connection`.
        """
        self.connection()
        if self._guard and self._path is not None:
            return self._path
        asked = "reset_val" if self._guard else "setting"
        return str(self.rows(f"SELECT {asked} FROM pg_settings WHERE name = 'search_path'")[0][0])  # noqa: S608 - constants

    @property
    def only_parses(self) -> bool:
        """Whether nothing that others wrote may be planned or run in it."""
        return self._guard is not None

    @property
    def pid(self) -> int:
        """Id of the server's process, also behind a pooler in session mode. Raises as
        `connection`.
        """
        return open_connections.pid(self.connection())

    def beside(self, role: str) -> "Session":
        """Another session of the same role on the same server, for a look at what this
        one does.
        """
        return Session(self._dsn, role=role, recorded=False, guard=self._guard)

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
            _close(self._connection)
            self._connection = None

    def rows(self, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement and return all its lines; one that only reads is tried
        again when the connection ends.
        """
        return self._run(query, parameters, again=only_reads(query))

    def _run(self, query: Any, parameters: Any, *, again: bool) -> list[tuple[Any, ...]]:
        idle = self._connection is not None and not self._in_transaction
        try:
            return self._rows(query, parameters)
        except TransientError:
            # A new connection that ends at once is a server that is away, which the
            # caller's patience is for.
            if not (again and idle and self._connection is None) or self._held:
                raise
        log.info(
            "the connection to Postgres had ended, asking again on a new one", session=self._role
        )
        return self._rows(query, parameters)

    def _rows(self, query: Any, parameters: Any) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def _opened(self) -> Connection:
        opened, self._pooled = _connected(self._dsn, self._role, self._guard)
        try:
            settings = self._pins or (pins.recorded(opened, self._prefix) if self._recorded else {})
            self._put(opened, settings)
            if self._setup:
                self._setup(opened)
        except psycopg2.Error as error:
            _close(opened)
            raise translate(error) from error
        return opened

    def _put(self, connection: Connection, settings: Mapping[str, str]) -> None:
        if self._guard:
            self._path = settings.get(pins.PATH, self._path)
            settings = {name: value for name, value in settings.items() if name != pins.PATH}
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
            self.close()  # the server rolls back what a closed connection left

    def _abandon(self) -> None:
        """Leave a transaction whose first message failed behind its BEGIN."""
        if (
            self._connection is not None
            and self._connection.info.transaction_status != TRANSACTION_STATUS_IDLE
        ):
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


def _connected(
    dsn: str, role: str, guard: Callable[[Connection], None] | None = None
) -> tuple[Connection, bool]:
    """The connection, and whether a pooler in session mode is in between."""
    options = {"application_name": f"vectrue {role}", "client_encoding": "UTF8", **_NETWORK}
    opened: Connection | None = None
    try:
        opened = psycopg2.connect(dsn, **options)
        if opened.info.parameter_status(_STRINGS) == "off":
            # psycopg2 quotes as the server said at the start, and is not told of a
            # later SET.
            opened.close()
            asked = parse_dsn(dsn).get("options", "")
            opened = psycopg2.connect(dsn, **{**options, "options": f"{asked} -c {_STRINGS}=on"})
        opened.autocommit = True
        # before anything is set, which others would find
        pooled = pooler.is_between(opened, dsn, options)
        pid = pooler.server_pid(opened) if pooled else opened.info.backend_pid
        open_connections.remember(opened, open_connections.OpenConnection(pid, dsn, guard))
        if guard:
            guard(opened)
        pins.apply(opened)
    except psycopg2.Error as error:
        _close(opened)
        raise translate(error, dsn=dsn) from error
    except UnicodeError as error:  # what libpq was told by a variable, and quotes
        _close(opened)
        raise ConfigurationError(
            "a setting of the connection to Postgres is not UTF-8",
            fix="correct postgres.dsn and the variables PG...",
        ) from error
    except VectrueError:
        _close(opened)
        raise
    return opened, pooled


def _close(opened: Connection | None) -> None:
    if opened is not None:
        open_connections.forget(opened)
        opened.close()


def _leave_clean(connection: Connection) -> None:
    """Take back what was set, before a pooler gives the connection to somebody else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("DISCARD ALL")
    except psycopg2.Error as error:
        log.info(
            "the pooler's connection could not be cleaned", reason=" ".join(str(error).split())
        )


def limit_locks(connection: Connection) -> None:
    """Setup of a session that counts whole tables: a lock that somebody holds is an
    error, a long query is none.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")


def limit_waits(connection: Connection) -> None:
    """Setup of a session that asks only: a table that somebody locks, or a query that
    does not end, is an error.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'; SET statement_timeout = '60s'")


def limit_statements(seconds: float) -> Callable[[Connection], None]:
    """Setup of a session on which somebody waits: a statement that runs for longer ends
    as a TransientError.
    """

    def setup(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, false)", (f"{seconds * 1000:.0f}ms",)
            )

    return setup
