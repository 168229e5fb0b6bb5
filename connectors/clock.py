"""The real clock. The only module that asks the operating system for the time."""

import threading
import time
from datetime import UTC, datetime

from schemas.errors import Stopping


class SystemClock:
    """Wall time, monotonic time, and a wait that ends early when the process is asked
    to stop.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> datetime:
        """Time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary point."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait, or raise Stopping as soon as `stop` was called."""
        if self._stop.wait(seconds):
            raise Stopping("asked to stop")

    def stop(self) -> None:
        """Make every wait, now and later, raise Stopping. Callable from any thread."""
        self._stop.set()
