"""The open connections of this process, for a thread that cancels what runs in them.

psycopg2 blocks in C while a statement runs: a signal handler waits for its end, and a
process that is killed leaves the statement to the server. The thread that receives the
signal (streams/cli/screen/interruption.py) cancels it here.

Hazards:
- psycopg2's `cancel` holds the GIL until the server has answered. If the server hangs,
  every thread hangs with it, also the one that waits for a second Ctrl-C. So a
  short-lived child process calls it.
- A connection is forgotten before it is closed: its state must not be read while libpq
  frees it.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE
from psycopg2.extensions import connection as Connection

from connectors.clock import SystemClock

_CHILD_SECONDS = 2.0
"""Longest wait for the server to accept the requests."""
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """How a connection was opened.

    Attributes:
        pid: of the server's process, also behind a pooler in session mode.
        dsn: libpq connection string.
        guard: run first on a connection of a powerful role.
    """

    pid: int
    dsn: str
    guard: Callable[[Connection], None] | None = None


_lock = threading.Lock()
_open: WeakKeyDictionary[Connection, OpenConnection] = WeakKeyDictionary()


def remember(connection: Connection, opened: OpenConnection) -> None:
    """Add a connection that was opened."""
    with _lock:
        _open[connection] = opened


def forget(connection: Connection) -> None:
    """Remove a connection that is about to be closed."""
    with _lock:
        _open.pop(connection, None)


def pid(connection: Connection) -> int:
    """Id of the server's process; behind a pooler, libpq has another one."""
    with _lock:
        opened = _open.get(connection)
    return connection.info.backend_pid if opened is None else opened.pid


def busy() -> list[OpenConnection]:
    """The connections in which a statement runs at this moment."""
    return [opened for _, opened in _busy()]


def cancel() -> int:
    """Ask the servers to cancel every statement that runs now. This never raises.

    Returns:
        how many statements there were.
    """
    running = [connection for connection, _ in _busy()]
    if not running:
        return 0
    child = os.fork()
    if not child:
        try:
            for connection in running:
                with suppress(psycopg2.Error):
                    connection.cancel()
        finally:
            # Without the parent's exit handlers and buffers.
            os._exit(0)
    _reap(child)
    return len(running)


def _busy() -> list[tuple[Connection, OpenConnection]]:
    found = []
    with _lock:
        for connection, opened in _open.items():
            if connection.closed:
                continue
            if connection.info.transaction_status == TRANSACTION_STATUS_ACTIVE:
                found.append((connection, opened))
    return found


def _reap(child: int) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + _CHILD_SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if clock.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        clock.wait(_POLL_SECONDS)
