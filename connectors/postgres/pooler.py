"""Whether there is a pooler before Postgres, and whether it keeps a session together.

A pooler in transaction mode gives the server's connection to another client after each
transaction. What was set in the session then affects the application: timeouts, a
replication origin that hides its edits from capture, a `session_replication_role` that
skips its foreign keys. So nothing is set before this module has looked.

Hazards:
- A TCP proxy passes on the server's own pid, and does not count as a pooler. A pooler
  that does the same (pgpool) is not recognised, so the most dangerous settings are made
  within transactions only (own_writes.py).
- It takes a second connection to recognise session mode. If the pooler has none left,
  the mode is unknown: that is an error, and never taken for session mode.
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
"""Attempts before a pooler counts as one in session mode, since another client may take
the connection that is expected.
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
    """Whether there is a pooler in between; sets nothing.

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
            f"the pooler at {mask_dsn(dsn)} had no second connection within {_SECONDS:g} s, so "
            "its mode is not known",
            fix="give its pool more connections, or name the server itself in postgres.dsn",
        ) from None
    if shared:
        raise refusal(dsn)
    return True


def refusal(dsn: str) -> ConfigurationError:
    """The error about a pooler that does not keep a session together."""
    return ConfigurationError(
        f"a pooler in transaction mode answers at {mask_dsn(dsn)}, and would pass the settings "
        "of vectrue's sessions on to the application",
        fix=FIX,
    )


def _is_shared(opened: Connection, dsn: str, options: dict[str, Any]) -> bool:
    """Whether two clients share a connection of the server, or one client moves from one
    to another.
    """
    second = _Second(dsn, options)
    try:
        first = server_pid(opened)
        for _ in range(_ROUNDS):
            if server_pid(opened) != first:
                return True
            # Most poolers use the connection that was returned last: the transaction of
            # the second client then gets that of the first.
            if second.pid_in_transaction() in (first, None):
                return True
        return False
    finally:
        second.close()


def server_pid(connection: Connection) -> int:
    """Id of the server's process that serves this connection now."""
    with connection.cursor() as cursor:
        cursor.execute(_PID)
        return int(cursor.fetchall()[0][0])


class _Second:
    """Another client of the pooler, which never waits longer than the deadline."""

    def __init__(self, dsn: str, options: dict[str, Any]) -> None:
        self._clock = SystemClock()
        self._deadline = self._clock.monotonic() + _SECONDS
        self._connection: Connection = psycopg2.connect(dsn, async_=True, **options)
        self._wait()

    def pid_in_transaction(self) -> int | None:
        """The server's pid within a transaction; None if the pooler refuses one."""
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
            event = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
            heard = select.poll()
            heard.register(self._connection.fileno(), event)
            left = self._deadline - self._clock.monotonic()
            if left <= 0 or not heard.poll(left * 1000):
                raise _Late
