"""A small connection pooler in front of Postgres, in the two modes that poolers have.

In transaction mode a client holds a connection of the server from its first message to
the ReadyForQuery that says that no transaction is open; in session mode until it
leaves, and DISCARD ALL is run behind it. As with pgbouncer, whose behaviour towards
vectrue it was compared with, clients are told a pid of the pooler's own, and the
connection that came back last is handed out first.

Hazard: it speaks what psycopg2 speaks: simple queries and COPY FROM STDIN.
"""

import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn, parse_dsn

HOST = "127.0.0.1"
_STATUS = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "is_superuser",
    "session_authorization",
)
# codes in place of a protocol version
_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_IDLE = b"I"


class _Gone(Exception):
    """The other end has closed."""


class _Stream:
    """Messages of the protocol on one socket."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.end.recv(size - len(data))
            if not piece:
                raise _Gone
            data += piece
        return data

    def message(self) -> tuple[bytes, bytes]:
        kind = self.exactly(1)
        length = self.exactly(4)
        return kind, kind + length + self.exactly(struct.unpack("!I", length)[0] - 4)

    def send(self, *messages: bytes) -> None:
        self.end.sendall(b"".join(messages))


class _ServerSide(_Stream):
    """One connection of the server; psycopg2 logged in on it, and no longer touches it."""

    def __init__(self, dsn: str) -> None:
        self.connection: Connection = psycopg2.connect(dsn)
        super().__init__(socket.socket(fileno=os.dup(self.connection.fileno())))
        self.end.setblocking(True)

    def close(self) -> None:
        self.end.close()
        self.connection.close()


@dataclass
class Pooler:
    """The pooler; `dsn` leads through it."""

    target: str
    mode: str
    size: int
    last_first: bool = True
    _free: list[_ServerSide] = field(default_factory=list)
    _all: list[_ServerSide] = field(default_factory=list)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _clients: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _closed: bool = False

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self._start(self._accept)

    @property
    def dsn(self) -> str:
        """The same database, through the pooler."""
        parts = parse_dsn(self.target)
        return f"postgresql://{parts['user']}:any@{HOST}:{self._listener.getsockname()[1]}/{parts['dbname']}"

    def close(self) -> None:
        """End everything."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for end in (self._listener, *self._clients):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()
        for server in list(self._all):
            server.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._start(self._serve, _Stream(client))

    def _serve(self, client: _Stream) -> None:
        held: _ServerSide | None = None
        try:
            self._greet(client)
            while (request := client.message())[0] != b"X":
                held = held or self._take()
                if self._answer(client, held, request) == _IDLE and self.mode == "transaction":
                    self._give(held)
                    held = None
        except (_Gone, OSError):
            # within a transaction: no one else gets that
            if held is not None and self.mode == "transaction":
                self._forget(held)
                held = None
        finally:
            client.end.close()
            if held is not None:
                self._discard(held)

    def _greet(self, client: _Stream) -> None:
        while True:
            (length,) = struct.unpack("!I", client.exactly(4))
            code = struct.unpack("!I", client.exactly(length - 4)[:4])[0]
            if code == _CANCEL:
                raise _Gone
            if code not in (_SSL, _GSS):
                break
            client.send(b"N")
        server = self._take()
        known = {name: server.connection.info.parameter_status(name) for name in _STATUS}
        self._give(server)
        said = [
            _made(b"S", f"{name}\0{value}\0".encode()) for name, value in known.items() if value
        ]
        key = _made(b"K", struct.pack("!II", secrets.randbits(31), secrets.randbits(31)))
        client.send(_made(b"R", struct.pack("!I", 0)), *said, key, _made(b"Z", _IDLE))

    def _answer(self, client: _Stream, server: _ServerSide, request: tuple[bytes, bytes]) -> bytes:
        """Pass one query and its answer on; returns the state of the transaction after
        it.
        """
        server.send(request[1])
        while True:
            kind, whole = server.message()
            client.send(whole)
            if kind == b"Z":
                return whole[-1:]
            if kind == b"G":
                while True:
                    kind, whole = client.message()
                    server.send(whole)
                    if kind in (b"c", b"f"):
                        break

    def _take(self) -> _ServerSide:
        with self._change:
            while not self._closed and not self._free and len(self._all) >= self.size:
                self._change.wait()
            if self._closed:
                raise _Gone
            if self._free:
                return self._free.pop(-1 if self.last_first else 0)
            server = _ServerSide(make_dsn(self.target, sslmode="disable"))
            self._all.append(server)
            return server

    def _give(self, server: _ServerSide) -> None:
        with self._change:
            self._free.append(server)
            self._change.notify()

    def _discard(self, server: _ServerSide) -> None:
        try:
            server.send(_made(b"Q", b"DISCARD ALL\0"))
            state, failed = b"", False
            while not state:
                kind, whole = server.message()
                failed = failed or kind == b"E"
                state = whole[-1:] if kind == b"Z" else b""
        except (_Gone, OSError):
            failed = True
        if failed:  # within a transaction
            self._forget(server)
        else:
            self._give(server)

    def _forget(self, server: _ServerSide) -> None:
        server.close()
        with self._change:
            self._all.remove(server)
            self._change.notify()


@contextmanager
def pooler(dsn: str, mode: str, *, size: int = 3, last_first: bool = True) -> Iterator[Pooler]:
    """A pooler in front of the server that `dsn` names, in mode `transaction` or
    `session`.
    """
    running = Pooler(dsn, mode, size, last_first)
    try:
        yield running
    finally:
        running.close()


def _made(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
