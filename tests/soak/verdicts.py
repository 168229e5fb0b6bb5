"""The product's own verdict, held to what the checker sees, in both directions (I11).

Every few seconds `lag` is read as a person reads it. It says "all caught up" while a
marked change is stuck: green without a witness. In quiet, with all rows true, it does
not come to say so: red for nothing.

Hazard: a change is stuck from BOUND_SECONDS on: what `lag` may call well includes
events that are a little behind.
"""

import threading
import time

from schemas.errors import VectrueError
from schemas.health.lag_findings import LagThresholds
from schemas.settings.reading import Settings
from streams.operations.lag import LagMonitor
from tests.soak.checker import AWAY, Rows
from tests.soak.marks import Mark, Marks
from tests.support.waiting import until

GREEN = "all caught up"
BOUND_SECONDS = 45.0
_EVERY_SECONDS = 2.0
_QUIET_SAMPLES = 2


class Verdicts(threading.Thread):
    """Reads verdicts until `end`."""

    def __init__(self, settings: Settings, rows: Rows, marks: Marks) -> None:
        """`settings` lead to the services directly, so that a fault of a proxy does not
        blind it.
        """
        super().__init__(daemon=True, name="verdicts")
        self.violations: list[str] = []
        self.read = 0
        self.green = 0
        self.latest = "none was read"
        self.crash: BaseException | None = None
        self._settings = settings
        self._rows = rows
        self._marks = marks
        self._ended = threading.Event()
        self._since_green = threading.Condition()
        self._in_a_row = 0

    def run(self) -> None:
        """Read; a service that a fault took away costs single reads."""
        try:
            with LagMonitor(
                self._settings, thresholds=LagThresholds(warn=10.0, crit=60.0)
            ) as monitor:
                while not self._ended.wait(_EVERY_SECONDS):
                    self._one(monitor)
        except BaseException as error:  # noqa: BLE001 - kept, and the campaign fails on it
            self.crash = error

    def end(self) -> None:
        """Stop reading, and wait until it has."""
        self._ended.set()
        self.join(60)

    def becomes_green(self, timeout: float) -> bool:
        """Whether it says twice in a row, from now on, that all is well."""
        self._in_a_row = 0
        try:
            until(
                lambda: self._in_a_row >= _QUIET_SAMPLES or self.crash, timeout=timeout, what=GREEN
            )
        except AssertionError:
            return False
        return self.crash is None

    def _one(self, monitor: LagMonitor) -> None:
        try:
            before = self._marks.stuck(self._rows.ask, BOUND_SECONDS)
            self.latest = monitor.sample().verdict
            self.read += 1
            is_green = self.latest == GREEN
            if is_green:
                self.green += 1
                self._hold_to(before)
            self._in_a_row = self._in_a_row + 1 if is_green else 0
        except (*AWAY, VectrueError):
            self._in_a_row = 0

    def _hold_to(self, before: list[Mark]) -> None:
        still = self._marks.stuck(self._rows.ask, BOUND_SECONDS)
        for mark in (mark for mark in before if mark in still):
            age = time.monotonic() - mark.at
            self.violations.append(
                f"I11: lag said {GREEN!r} {age:.0f} s after the change of {mark}, which is not "
                "handled"
            )
