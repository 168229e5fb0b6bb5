"""Checks every request first: its token, size, time and number.

It wraps the whole application. A request's body is read here, up to the limit, before
the application sees it.

Hazards:
- Probes are answered even if the queue is full, or a busy server would be restarted.
- Without a token anyone on this machine may send requests, but not a web page whose name
  resolves to 127.0.0.1 (DNS rebinding): the Host header must be loopback's.
"""

import asyncio
import ipaddress
import re
import secrets

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.health import metrics
from schemas.settings.sections import ServeSettings
from streams.api import problems
from streams.api.problems import Problem

log = structlog.get_logger(__name__)

OPEN = ("/livez", "/readyz", "/openapi.json", "/docs")
"""Paths that need no token: probes send none, and the description of the interface is
not secret.
"""
WORK = ("/v1/embeddings", "/v1/search", "/v1/score", "/feedback")
"""Paths whose requests count for `serve.queue`."""
# Largest body at other paths, which take none: nothing limits their number.
_ELSEWHERE_BYTES = 4096
_KNOWN = (*OPEN, *WORK, problems.MODELS_PATH, "/metrics")
# A Host header. The application makes addresses of it, so it must not contain anything
# else.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]{1,5})?")
_LARGEST_PORT = 65_535


def is_loopback(host: str) -> bool:
    """Return whether a name or address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        """Wrap `app`."""
        self._app = app
        self._settings = settings
        self._token = None if settings.token is None else settings.token.get_secret_value().encode()
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        counted = _Counted(send, path)
        try:
            self._admit(path, Headers(scope=scope))
            await self._work(scope, receive, counted)
        except Problem as problem:
            # Half an answer is out already: the server can only cut the connection.
            if counted.started:
                raise
            await problems.answer(path, problem, {"Connection": "close"})(scope, receive, counted)

    def _admit(self, path: str, headers: Headers) -> None:
        """Raise Problem for a wrong Host header or token."""
        named = _HOST.fullmatch(headers.get("host", ""))
        if named is None or int((named[2] or ":0")[1:]) > _LARGEST_PORT:
            raise Problem(
                400, "the Host header is not a name or an address", "send that of this server"
            )
        if self._token is None:
            host = named[1].strip("[]").lower()
            if not is_loopback(host) and host != self._settings.host:
                raise Problem(
                    421, "this server answers to the names of loopback only", "ask for 127.0.0.1"
                )
        elif path not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            # As bytes, since compare_digest takes ASCII text only.
            same = secrets.compare_digest(given.strip().encode(), self._token)
            if not same or scheme.lower() != "bearer":
                raise Problem(
                    401,
                    "the token is missing or wrong",
                    "send `Authorization: Bearer <token>`",
                    "invalid_api_key",
                )

    async def _work(self, scope: Scope, receive: Receive, send: "_Counted") -> None:
        if scope["path"] not in WORK:
            await self._in_time(scope, receive, send)
            return
        if self._in_hand >= self._settings.queue:
            raise Problem(
                503,
                f"{self._in_hand} requests are in hand, which is serve.queue",
                "try again later",
            )
        # No await since the check, so no other request came between.
        self._in_hand += 1
        metrics.API_IN_HAND.set(self._in_hand)
        try:
            await self._in_time(scope, receive, send)
        finally:
            self._in_hand -= 1
            metrics.API_IN_HAND.set(self._in_hand)

    async def _in_time(self, scope: Scope, receive: Receive, send: "_Counted") -> None:
        seconds = self._settings.request_seconds
        body_read = False
        try:
            async with asyncio.timeout(seconds) as limit:
                body = await self._read(Headers(scope=scope), receive, works=scope["path"] in WORK)
                body_read = True
                await self._app(scope, _replay(body, receive), send)
        except TimeoutError:
            # A timeout inside the application is its own error.
            if not limit.expired():
                raise
            if not body_read:
                raise Problem(
                    408, f"the request did not arrive within {seconds:g} s", "send it again"
                ) from None
            log.warning("request gave up", path=scope["path"], seconds=seconds)
            raise Problem(
                504,
                f"the request was not answered within serve.request_seconds ({seconds:g} s)",
                "try again, with fewer or shorter texts",
            ) from None

    async def _read(self, headers: Headers, receive: Receive, *, works: bool) -> bytes:
        most = self._settings.max_body_bytes if works else _ELSEWHERE_BYTES
        if works:
            limit, fix = f"serve.max_body_bytes ({most})", "send fewer texts"
        else:
            limit, fix = f"{most} bytes", "send none"
        too_large = Problem(413, f"the request is larger than {limit}", fix)
        length = headers.get("content-length", "").lstrip("0")
        # By its digits first: int() of a very long number raises.
        if length.isdecimal() and (len(length) > len(str(most)) or int(length) > most):
            raise too_large
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(408, "the client went away")
            body += message.get("body", b"")
            if len(body) > most:
                raise too_large
            if not message.get("more_body", False):
                return bytes(body)


class _Counted:
    """A `send` that knows whether the answer has begun, and counts it."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        # A label for each path that a client makes up would grow without a bound.
        self._path = path if path in _KNOWN else "other"
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            metrics.API_REQUESTS.labels(self._path, str(message["status"])).inc()
        await self._send(message)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body, then what the client sends."""
    given = False

    async def again() -> Message:
        nonlocal given
        # The application listens on, to notice a client that goes away.
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
