"""Where the server may listen, and the door in front of it, without a server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.settings.sections import ServeSettings
from streams.api.guard import Guard, is_loopback
from streams.api.serve import bind

TOKEN = "a-token-of-this-test-0123456789"
Application = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "192.0.2.1", "localhost.example"])
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    """Without one it binds nothing, whatever the address, and says which variable to
    set.
    """
    assert not is_loopback(host)
    with pytest.raises(
        ConfigurationError, match=r"serve\.token is not set: set VECTRUE_SERVE__TOKEN"
    ):
        bind(ServeSettings(host=host))


def test_a_port_that_is_taken() -> None:
    """The sentence names address and port; a free one is bound, but whoever asks is
    refused until it listens.
    """
    with bind(ServeSettings(host="127.0.0.1", port=_free())) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        first.listen()
        with pytest.raises(
            ConfigurationError, match=rf"cannot listen on 127\.0\.0\.1 port {port}.*serve\.port"
        ):
            bind(ServeSettings(host="127.0.0.1", port=port))


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(
    application: Application = _ok,
    *,
    path: str = "/v1/search",
    headers: dict[str, str] | None = None,
    body: list[bytes] | None = None,
    **settings: Any,
) -> tuple[int, dict[str, str]]:
    """One request through the door; status and headers of the answer. A body of None
    never arrives.
    """
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body or []]
    if body is not None:
        parts.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        if not parts:
            await asyncio.Event().wait()
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8000", **(headers or {})}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()]
    scope = {"type": "http", "path": path, "method": "POST", "headers": raw}
    asyncio.run(Guard(application, ServeSettings(**settings))(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    "given",
    [None, "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9\xff"],
)
def test_a_wrong_token_stays_outside(given: str | None) -> None:
    """Also one that is not ASCII; the right one comes in, in any case of `bearer`, and
    under any Host.
    """
    headers = {} if given is None else {"authorization": given}
    assert ask(headers=headers, body=[], token=TOKEN)[0] == 401
    right = {"authorization": f"bearer {TOKEN}", "host": "search.example"}
    assert ask(headers=right, body=[], token=TOKEN)[0] == 200


NAMES = {
    "localhost:8000": 200,
    "127.0.0.1": 200,
    "[::1]:8000": 200,
    "rebound.example": 421,
    "": 421,
    "127.0.0.1.a": 421,
}


@pytest.mark.parametrize(("host", "status"), NAMES.items())
def test_without_a_token_only_the_names_of_loopback_are_answered(host: str, status: int) -> None:
    """A web page whose name was made to lead to 127.0.0.1 sends its own name."""
    assert ask(headers={"host": host}, body=[])[0] == status


def test_a_body_that_is_too_large_is_refused_by_its_length_or_when_it_is() -> None:
    """Announced: nothing of it is read. Unannounced: it is read up to the limit."""
    assert ask(headers={"content-length": "2000"}, max_body_bytes=1024)[0] == 413
    assert ask(body=[b"x" * 600, b"x" * 600], max_body_bytes=1024)[0] == 413
    assert ask(body=[b"x" * 600, b"x" * 424], max_body_bytes=1024)[0] == 200


def test_a_body_where_none_is_wanted_is_small() -> None:
    """Such a path needs no token and no place in the queue, so it must not hold memory."""
    for path in ("/livez", "/readyz", "/metrics", "/nowhere"):
        assert ask(path=path, body=[b"x" * 4097], max_body_bytes=1_000_000)[0] == 413
        assert ask(path=path, body=[b"x" * 4096], max_body_bytes=1_000_000)[0] == 200


def test_whoever_takes_too_long_is_told_so() -> None:
    """A body that does not come: 408. An answer that does not come: 504. In both cases
    the place is free again.
    """

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    assert ask(request_seconds=0.01)[0] == 408
    assert ask(never, body=[], request_seconds=0.01)[0] == 504


def test_an_error_of_the_application_is_not_taken_for_slowness() -> None:
    """A TimeoutError from inside is a bug's, and goes to the log as one."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        ask(broken, body=[])
