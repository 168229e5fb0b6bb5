"""The real clock.

Hazard: no other module asks the operating system for the time, so that a test can let
it pass.
"""

import threading
import time
from datetime import UTC, datetime

from typing_extensions import override

from connectors.ports import Clock
from schemas.errors import Stopping


class SystemClock(Clock):
    """Wall time, monotonic time, and a wait that ends early at a stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)

    @override
    def monotonic(self) -> float:
        return time.monotonic()

    @override
    def wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopping("asked to stop")

    def stop(self) -> None:
        """Make every wait, now and later, raise Stopping. Callable from any thread."""
        self._stop.set()
