"""The real clock.

Hazard: no other module asks the operating system for the time, so that a test can let
it pass.
"""

import threading
import time
from datetime import UTC, datetime

from schemas.errors import Stopping


# Not a subclass of the port: every command imports this module first, and the ports
# import numpy.
class SystemClock:
    """`Clock` of connectors.ports: real time, and a wait that ends early at a stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> datetime:
        """Time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary point."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait; raise Stopping as soon as `stop` was called."""
        if self._stop.wait(seconds):
            raise Stopping("asked to stop")

    def stop(self) -> None:
        """Make every wait, now and later, raise Stopping. Callable from any thread."""
        self._stop.set()
