"""Connections to the HTTP server: none stays for ever, and there are never too many.

uvicorn gives an idle connection 5 s, but takes its timer away at the first byte. A
client that never finishes its headers, or never reads its answer, would keep its
connection for good, until no file descriptor is left for a probe.

Hazard: `cycle` and `on_response_complete` are uvicorn's own;
tests/unit/streams/api/test_connections.py runs on the real thing. It is its h11
protocol, whatever else is installed, since that one bounds a request's line and headers
(16 KiB).
"""

import asyncio
import resource
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.health import metrics
from schemas.settings.sections import ServeSettings

LEAVE_SECONDS = 5
"""What an answer may still take to leave, after the time that its request may take."""
_HEADER_SECONDS = 10.0
_MOST = 512


def bounded(
    settings: ServeSettings, *, most: int = 0, header_seconds: float = _HEADER_SECONDS
) -> type[H11Protocol]:
    """The protocol, for `uvicorn.Config(http=...)`.

    Args:
        settings: how long a request may take.
        most: connections at once; 0: 512, and half of this process's file descriptors
            at most. One more takes the place of the one that has waited longest for a
            request; where each has one in hand, it is closed itself.
        header_seconds: from a connection's start, or the end of an answer, to the end
            of the next request's headers.
    """
    seconds = {"waiting": header_seconds, "in hand": settings.request_seconds + LEAVE_SECONDS}
    return type("Bounded", (_Bounded,), {"most": most or _room(), "seconds": seconds})


def _room() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files == resource.RLIM_INFINITY else min(_MOST, files // 2)


class _Bounded(H11Protocol):
    """A connection that ends in time, whatever its client does."""

    most: ClassVar[int]
    seconds: ClassVar[dict[str, float]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits_until: float | None = None
        """When it will have waited too long for a request, by the event loop's clock;
        None while one is in hand.
        """
        self.is_cut = False
        self._timer: asyncio.TimerHandle | None = None
        self._timed: object = self
        """The request that is timed; None: the wait for one; this connection: nothing
        yet.
        """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for it, or close it."""
        super().connection_made(transport)
        self._make_room()
        self._time()

    def data_received(self, data: bytes) -> None:
        """A request's own time begins once its headers are complete; their bytes, one
        by one, gain none.
        """
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """From here on the next request is waited for, or the client that does not read
        this answer.
        """
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to be timed."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def _time(self) -> None:
        last: Any = self.cycle  # None before the first one
        request = None if last is None or last.response_complete else last
        if request is self._timed:
            return
        self._timed = request
        if self._timer is not None:
            self._timer.cancel()
        seconds = self.seconds["waiting" if request is None else "in hand"]
        self._timer = self.loop.call_later(seconds, partial(self.cut, "late"))
        self.waits_until = self._timer.when() if request is None else None

    def _make_room(self) -> None:
        there = [one for one in self.connections if isinstance(one, _Bounded) and not one.is_cut]
        if len(there) <= self.most:
            return
        waiting = {one.waits_until: one for one in there if one.waits_until is not None}
        (waiting[min(waiting)] if waiting else self).cut("room")

    def cut(self, reason: str) -> None:
        """End it without a word, as there is nobody to read one."""
        metrics.API_CUT.labels(reason).inc()
        self.is_cut = True
        self.transport.abort()
