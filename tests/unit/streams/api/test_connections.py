"""Connections of the HTTP server end in time and are never too many; on uvicorn itself,
over loopback.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from schemas.settings.sections import ServeSettings
from streams.api import connections
from streams.api.connections import bounded

Body = Callable[["Place"], Awaitable[None]]
LONG = 300.0
"""Seconds that are not meant to pass."""
REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF = REQUEST[:-2]


@dataclass
class Place:
    """A server whose answers wait at a gate, and how to reach it."""

    port: int
    answer: bytes
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    server: uvicorn.Server = field(init=False)
    clients: "list[Client]" = field(default_factory=list)

    async def application(self, _: Any, __: Any, send: Any) -> None:
        self.asked += 1
        await self.gate.wait()
        length = str(len(self.answer)).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
        )
        await send({"type": "http.response.body", "body": self.answer})

    async def connect(self, *sent: bytes) -> "Client":
        """Somebody who has sent this much."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1000))
        for part in sent:
            client.writer.write(part)
        self.clients.append(client)
        return client

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> bytes:
        """All that comes until the server ends the connection."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""

    async def answered(self) -> bool:
        """Whether an answer comes."""
        return (await self.reader.readline()).startswith(b"HTTP/1.1 200")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def serve(
    body: Body, *, answer: bytes = b"ok", request_seconds: float = LONG, **bounds: Any
) -> None:
    """Run `body` against a server with these bounds."""

    async def run(bound: socket.socket) -> None:
        place = Place(bound.getsockname()[1], answer)
        config = uvicorn.Config(
            place.application,
            interface="asgi3",
            http=bounded(ServeSettings(request_seconds=request_seconds), **bounds),
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_keep_alive=int(LONG),
            timeout_graceful_shutdown=0,
        )
        place.server = uvicorn.Server(config)
        serving = asyncio.create_task(place.server.serve(sockets=[bound]))
        await until(lambda: place.server.started)
        try:
            async with asyncio.timeout(60):
                await body(place)
        finally:
            for client in place.clients:
                client.writer.transport.abort()
            place.server.should_exit = True
            await serving

    with ExitStack() as stack:
        asyncio.run(run(stack.enter_context(listening())))


@pytest.mark.parametrize(
    "half", [b"", b"G", HALF], ids=["nothing", "a byte", "all but the last line"]
)
def test_who_never_finishes_the_headers_is_cut(half: bytes) -> None:
    """Also where they go on dripping in, and after a request that was answered."""

    async def body(place: Place) -> None:
        place.gate.set()
        assert await (await place.connect(half)).read() == b""
        second = await place.connect(REQUEST + half)
        assert (await second.read()).startswith(b"HTTP/1.1 200")
        await until(lambda: place.connections == 0)

    serve(body, header_seconds=0.2)


def test_headers_that_drip_in_gain_no_time() -> None:
    """A byte now and then is no request."""

    async def body(place: Place) -> None:
        client = await place.connect(HALF)

        async def drip() -> None:
            while True:
                client.writer.write(b"a")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await client.read() == b""
        dripping.cancel()

    serve(body, header_seconds=0.2)


def test_who_never_reads_the_answer_is_cut() -> None:
    """The answer waits in the server's memory, and the connection with it, until its
    time is over.
    """

    async def body(place: Place) -> None:
        place.gate.set()
        for request in (REQUEST, REQUEST.replace(b"Host", b"Connection: close\r\nHost")):
            client = await place.connect(request)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: place.asked > 0)
            await until(lambda: place.connections == 0)
            place.asked = 0

    serve(body, answer=b"x" * 30_000_000, header_seconds=0.2)


def test_who_waits_for_an_answer_is_not_cut() -> None:
    """The headers' bound does not count the time of the work: a neighbour without a
    request goes, this one stays.
    """

    async def body(place: Place) -> None:
        client = await place.connect(REQUEST)
        await until(lambda: place.asked == 1)
        assert await (await place.connect()).read() == b""
        place.gate.set()
        assert await client.answered()

    serve(body, header_seconds=0.2)


def test_a_request_that_outlasts_its_time_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard answers long before; this is for an answer of which the end cannot be
    written.
    """
    monkeypatch.setattr(connections, "LEAVE_SECONDS", 0.1)

    async def body(place: Place) -> None:
        assert await (await place.connect(REQUEST)).read() == b""

    serve(body, request_seconds=0.1)


def test_newcomers_take_the_place_of_those_who_wait_longest() -> None:
    """Half-open connections never fill the server: the oldest of them goes, and a
    request in hand stays.
    """

    async def body(place: Place) -> None:
        client = await place.connect(REQUEST)
        await until(lambda: place.asked == 1)
        idle = []
        for number in range(2, 5):
            idle.append(await place.connect(HALF))
            await until(lambda number=number: place.connections == number)  # type: ignore[misc]
        probe = await place.connect(REQUEST)
        await until(lambda: place.asked == 2)
        assert await idle[0].read() == b""
        assert place.connections == 4
        place.gate.set()
        assert await client.answered()
        assert await probe.answered()

    serve(body, most=4)


def test_where_all_have_a_request_in_hand_the_newcomer_is_closed() -> None:
    """Nobody who is waiting for an answer loses it to one more."""

    async def body(place: Place) -> None:
        clients = [await place.connect(REQUEST) for _ in range(2)]
        await until(lambda: place.asked == 2)
        assert await (await place.connect(REQUEST)).read() == b""
        assert place.asked == 2
        place.gate.set()
        assert [await client.answered() for client in clients] == [True, True]

    serve(body, most=2)


def test_a_line_or_headers_that_never_end_are_refused() -> None:
    """16 KiB of an address, or of headers, are too many: 400, and the connection is
    closed.
    """

    async def body(place: Place) -> None:
        for much in (b"GET /?q=" + b"a" * 20_000 + b" HTTP/1.1\r\n", HALF + b"A: " + b"a" * 20_000):
            assert (await (await place.connect(much)).read()).startswith(b"HTTP/1.1 400")
        assert place.asked == 0

    serve(body)
