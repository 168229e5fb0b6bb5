"""The connections that this process has open, so that what runs in them can be seen and
cancelled from another thread.

psycopg2 blocks in C while a statement runs: a signal's handler waits for its end, and a
process that is killed leaves the statement to the server. Whoever hears the signal
(streams/cli/screen/interruption.py) cancels here what runs.

Hazards:
- psycopg2's `cancel` keeps the interpreter to itself until the server has answered, so
  a server that hangs would take every thread of ours with it, those that hear a second
  Ctrl-C too. It is therefore asked by a short-lived child.
- A connection is forgotten before it is closed: its state must not be read while libpq
  takes it apart.
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
"""Longest wait for the server to take the requests."""
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """How a connection was opened.

    Attributes:
        pid: of the server's process, also behind a pooler in session mode.
        dsn: libpq connection string.
        guard: run first on a connection of a role that may do much.
    """

    pid: int
    dsn: str
    guard: Callable[[Connection], None] | None = None


_lock = threading.Lock()
_open: WeakKeyDictionary[Connection, OpenConnection] = WeakKeyDictionary()


def remember(connection: Connection, opened: OpenConnection) -> None:
    """From now on it counts."""
    with _lock:
        _open[connection] = opened


def forget(connection: Connection) -> None:
    """It is about to be closed."""
    with _lock:
        _open.pop(connection, None)


def pid(connection: Connection) -> int:
    """Id of the process that serves it; behind a pooler not the one that libpq was
    told.
    """
    with _lock:
        opened = _open.get(connection)
    return connection.info.backend_pid if opened is None else opened.pid


def busy() -> list[OpenConnection]:
    """Those in which a statement runs at this moment."""
    return [opened for _, opened in _busy()]


def cancel() -> int:
    """Ask the servers to end every statement that runs now; returns how many there
    were. Never raises.
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
            os._exit(0)
    _reap(child)
    return len(running)


def _busy() -> list[tuple[Connection, OpenConnection]]:
    with _lock:
        return [
            (connection, opened)
            for connection, opened in _open.items()
            if not connection.closed
            and connection.info.transaction_status == TRANSACTION_STATUS_ACTIVE
        ]


def _reap(child: int) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + _CHILD_SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if clock.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        clock.wait(_POLL_SECONDS)
