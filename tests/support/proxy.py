"""A TCP proxy on loopback whose faults are made on purpose: cut, stall, slow,
half-open.

It runs an event loop in a thread of its own; every method may be called from any thread
and returns when the fault is in place.

Hazards:
- The kernel acknowledges for the proxy what the proxy swallows, so the peers'
  keepalives and user timeouts see nothing wrong with a connection that is half-open
  here. Only their own deadlines help them, or `mend`, which resets it.
- A connection that swallowed something has a hole in its stream: it is reset by `mend`,
  never continued.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from connectors.local.machine import free_ports

T = TypeVar("T")

HOST = "127.0.0.1"
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST, not FIN


@dataclass(eq=False)
class _Link:
    """One connection through the proxy; `loses` says which way bytes vanish:
    `requests`, `answers`, or neither.
    """

    client: socket.socket
    server: socket.socket
    loses: frozenset[str] = frozenset()
    pumps: "list[asyncio.Task[None]]" = field(default_factory=list)


class Proxy:
    """Passes connections from `port` on to `target`, both on loopback."""

    def __init__(self, target: int, port: int | None = None) -> None:
        """Choose a port below the range of outgoing connections, where it stays free
        while the proxy refuses.
        """
        self.target = target
        self.port = port or free_ports.choose(1)[0]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, daemon=True, name=f"proxy {self.port}"
        )
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._open = asyncio.Event()
        self._rate: int | None = None

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._do(self._mend())

    def stop(self) -> None:
        """Reset everything and end the thread."""
        if self._thread.is_alive():
            self._do(self._cut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Connections that go through it now."""
        return len(self._links)

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._do(self._cut())

    def stall(self) -> None:
        """Accept, and pass nothing on, in either direction."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def slow(self, rate: int) -> None:
        """Pass on at most `rate` bytes a second per connection and direction."""
        self._rate = rate

    def half_open(self, loses: str) -> None:
        """Let the connections of this moment lose bytes without a word; new ones are
        sound.

        Args:
            loses: `requests` (what the client sends), `answers` (what the server
                sends), or `peer`: the server's side is closed and the client is not
                told.
        """
        self._do(self._half_open(loses))

    def mend(self) -> None:
        """End every fault. Connections with a hole in their stream are reset."""
        self._do(self._mend())

    def client_port(self, port: int) -> int | None:
        """The client's own port of the connection that reaches the server from `port`;
        None when there is none.
        """
        for link in list(self._links):
            with suppress(OSError):
                if link.server.getsockname()[1] == port:
                    return int(link.client.getpeername()[1])
        return None

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _cut(self) -> None:
        if self._accepting is not None and self._listener is not None:
            await _cancelled(self._accepting)
            self._listener.close()
            self._accepting = self._listener = None
        for link in list(self._links):
            await self._reset(link)

    async def _half_open(self, loses: str) -> None:
        for link in list(self._links):
            link.loses = frozenset({"requests", "answers"} if loses == "peer" else {loses})
            if loses == "peer":
                await _cancelled(link.pumps[1])
                link.server.close()

    async def _mend(self) -> None:
        self._rate = None
        self._open.set()
        for link in list(self._links):
            if link.loses:
                await self._reset(link)
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=128)
            self._listener.setblocking(False)
            self._accepting = self._loop.create_task(self._accept(self._listener))

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listener)
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            server.setblocking(False)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._loop.sock_connect(server, (HOST, self.target))
            except OSError:
                _close_hard(client)
                server.close()
                continue
            link = _Link(client, server)
            self._links.add(link)
            link.pumps = [
                self._loop.create_task(self._pump(link, client, server, "requests")),
                self._loop.create_task(self._pump(link, server, client, "answers")),
            ]

    async def _pump(
        self, link: _Link, source: socket.socket, sink: socket.socket, way: str
    ) -> None:
        try:
            while data := await self._loop.sock_recv(source, _CHUNK):
                await self._open.wait()
                if way not in link.loses:
                    await self._pass(sink, data)
            await self._open.wait()
            if way in link.loses and way == "answers":
                return  # nothing tells the client that the server is gone
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (link.client, link.server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        finally:
            if all(pump.done() or pump is asyncio.current_task() for pump in link.pumps):
                self._forget(link)

    async def _pass(self, sink: socket.socket, data: bytes) -> None:
        while data:
            rate = self._rate
            piece = data if rate is None else data[: max(1, rate // 10)]
            if rate is not None:
                await asyncio.sleep(len(piece) / rate)
            await self._loop.sock_sendall(sink, piece)
            data = data[len(piece) :]

    def _forget(self, link: _Link) -> None:
        # A client that still believes in its connection keeps it until `mend`.
        if link in self._links and not link.loses:
            self._links.discard(link)
            link.client.close()
            link.server.close()

    async def _reset(self, link: _Link) -> None:
        self._links.discard(link)
        for pump in link.pumps:
            await _cancelled(pump)
        for end in (link.client, link.server):
            _close_hard(end)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _close_hard(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
