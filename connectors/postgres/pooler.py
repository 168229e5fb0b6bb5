"""Whether a connection pooler stands between us and Postgres, and whether it keeps a
session together.

A pooler in transaction mode gives the server's connection to another client after each
transaction. Whatever was set in the session then stays there for the application:
time-outs, a replication origin that hides its edits from capture,
`session_replication_role` that skips its foreign keys. So nothing is set before this
module has looked.

Hazards:
- A plain TCP proxy hands on the server's own pid, and is no pooler. A pooler that does
  so as well (pgpool) is not recognised; what could hurt most is therefore set within
  transactions only (own_writes.py).
- In session mode a second connection is needed to find that out. Where the pooler has
  none left, the mode is unknown, which is an error and never "session mode".
"""

import select
from typing import Any

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection

from connectors.clock import SystemClock
from schemas.errors import ConfigurationError, TransientError
from schemas.settings.masking import mask_dsn

_PID = "SELECT pg_catalog.pg_backend_pid()"
_ROUNDS = 8
"""Looks before a pooler counts as one in session mode: another client may take the
connection that is looked for.
"""
_SECONDS = 10.0
"""Longest wait for the second connection, all rounds together; pgbouncer itself lets a
client wait for 120 s.
"""
_NO_TRANSACTIONS = "transaction blocks not allowed"
"""pgbouncer in statement mode."""
FIX = "name the server itself, or a pooler in session mode, in postgres.dsn and postgres.admin_dsn"


class _Late(Exception):
    """The second connection did not answer in time."""


def is_between(opened: Connection, dsn: str, options: dict[str, Any]) -> bool:
    """Whether a pooler is in between; sets nothing.

    Args:
        opened: a new connection in autocommit.
        dsn: what it was opened with.
        options: keyword arguments of libpq it was opened with.

    Returns:
        False for a direct connection, True for a pooler in session mode.

    Raises:
        ConfigurationError: the pooler works in transaction or statement mode.
        TransientError: the pooler has no connection left to find out with.
        psycopg2.Error: Postgres refuses, or went away.
    """
    if server_pid(opened) == opened.info.backend_pid:
        return False
    try:
        shared = _is_shared(opened, dsn, options)
    except _Late:
        raise TransientError(
            (
                f"the pooler at {mask_dsn(dsn)} had no second connection within {_SECONDS:g} s, so "
                "its mode is not known"
            ),
            fix="give its pool more connections, or name the server itself in postgres.dsn",
        ) from None
    if shared:
        raise refusal(dsn)
    return True


def refusal(dsn: str) -> ConfigurationError:
    """What is said about a pooler that does not keep a session together."""
    return ConfigurationError(
        f"a pooler in transaction mode answers at {mask_dsn(dsn)}, and would hand the settings "
        "of vectrue's sessions "
        "on to the application",
        fix=FIX,
    )


def _is_shared(opened: Connection, dsn: str, options: dict[str, Any]) -> bool:
    """Whether two clients meet on one connection of the server, or one client wanders
    from one to another.
    """
    second = _Second(dsn, options)
    try:
        first = server_pid(opened)
        # Most poolers hand out the connection that came back last: the second's
        # transaction gets the first's.
        return any(
            server_pid(opened) != first or second.pid_in_transaction() in (first, None)
            for _ in range(_ROUNDS)
        )
    finally:
        second.close()


def server_pid(connection: Connection) -> int:
    """Id of the server's process that serves a connection now."""
    with connection.cursor() as cursor:
        cursor.execute(_PID)
        return int(cursor.fetchall()[0][0])


class _Second:
    """Another client of the pooler, which never waits for longer than the deadline."""

    def __init__(self, dsn: str, options: dict[str, Any]) -> None:
        self._clock = SystemClock()
        self._deadline = self._clock.monotonic() + _SECONDS
        self._connection: Connection = psycopg2.connect(dsn, async_=True, **options)
        self._wait()

    def pid_in_transaction(self) -> int | None:
        """The server's pid while a transaction holds it; None where the pooler refuses
        transactions.
        """
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(f"BEGIN; {_PID}")
                self._wait()
            except psycopg2.Error as error:
                if _NO_TRANSACTIONS in str(error):
                    return None
                raise
            pid = int(cursor.fetchall()[0][0])
            cursor.execute("ROLLBACK")
            self._wait()
        return pid

    def close(self) -> None:
        self._connection.close()

    def _wait(self) -> None:
        while (state := self._connection.poll()) != extensions.POLL_OK:
            heard = select.poll()
            heard.register(
                self._connection.fileno(),
                select.POLLIN if state == extensions.POLL_READ else select.POLLOUT,
            )
            left = self._deadline - self._clock.monotonic()
            if left <= 0 or not heard.poll(left * 1000):
                raise _Late
