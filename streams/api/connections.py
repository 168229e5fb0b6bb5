"""Limits on the connections to the HTTP server: their number and their idle time.

uvicorn closes an idle connection after 5 s, but cancels that timer at the first byte. A
client that never finishes its headers, or never reads its answer, would keep its
connection for ever, until no file descriptor is left for a probe.

Hazard: `cycle` and `on_response_complete` are private parts of uvicorn;
tests/unit/streams/api/test_connections.py tests them with the real server.
"""

import asyncio
import resource
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.health import metrics
from schemas.settings.sections import ServeSettings

LEAVE_SECONDS = 5
"""Time to send the answer, after the time that its request may take."""
_HEADER_SECONDS = 10.0
_MOST = 512


def bounded(
    settings: ServeSettings, *, most: int = 0, header_seconds: float = _HEADER_SECONDS
) -> type[H11Protocol]:
    """Return the protocol class for `uvicorn.Config(http=...)`.

    Args:
        settings: how long a request may take.
        most: most connections at once. 0 means 512, but at most half of this process's
            file descriptors. A further connection replaces the one that has waited
            longest for a request; if all are busy, it is closed itself.
        header_seconds: from a connection's start, or the end of an answer, to the end
            of the next request's headers.
    """
    # h11, even if httptools is installed: it limits the size of headers (16 KiB).
    seconds = {"waiting": header_seconds, "in hand": settings.request_seconds + LEAVE_SECONDS}
    return type("Bounded", (_Bounded,), {"most": most or _room(), "seconds": seconds})


def _room() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The other half is for Postgres and files.
    return _MOST if files == resource.RLIM_INFINITY else min(_MOST, files // 2)


class _Bounded(H11Protocol):
    """A connection that is closed in time, whatever its client does."""

    most: ClassVar[int]
    seconds: ClassVar[dict[str, float]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits_until: float | None = None
        """When the wait for a request times out, by the event loop's clock; None while
        there is one.
        """
        self.is_cut = False
        self._timer: asyncio.TimerHandle | None = None
        self._timed: object = self
        """The request that is timed; None for the wait for one; at first this
        connection, which stands for nothing yet.
        """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, or close it."""
        super().connection_made(transport)
        self._make_room()
        self._time()

    def data_received(self, data: bytes) -> None:
        """Start the time of a request once its headers are complete."""
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """Start the time in which the client must read the answer and ask again."""
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def _time(self) -> None:
        # None before the first request.
        last: Any = self.cycle
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
        there: list[_Bounded] = []
        waiting: dict[float, _Bounded] = {}
        for one in self.connections:
            if isinstance(one, _Bounded) and not one.is_cut:
                there.append(one)
                if one.waits_until is not None:
                    waiting[one.waits_until] = one
        if len(there) <= self.most:
            return
        longest = waiting[min(waiting)] if waiting else self
        longest.cut("room")

    def cut(self, reason: str) -> None:
        """Close the connection without an answer, which no one would read."""
        metrics.API_CUT.labels(reason).inc()
        self.is_cut = True
        # close() would wait until the client has read what is in the buffer.
        self.transport.abort()
