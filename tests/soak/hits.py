"""What a fault is: a kind, a hit, and the stage on which hits are timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.support.waiting import until


@dataclass(frozen=True)
class Hit:
    """A fault that was injected.

    Attributes:
        kind: its name.
        what: process, part or connection that it hit.
        at: seconds since the campaign began.
        due: when it is undone, on the same clock.
        undo: what undoes it; called in a thread of its own, while services that it
            needs may still be away.
    """

    kind: str
    what: str
    at: float
    due: float
    undo: Callable[[], None]


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: as it is counted.
        holds: what no other fault of the same group may touch; None when it is in
            no one's way.
        hit: injects it; None when there is nothing that it could hit.
    """

    name: str
    holds: str | None
    hit: Callable[[], Hit | None]


class Stage:
    """Time and chance of a campaign."""

    def __init__(self, random: Random) -> None:
        """The campaign begins now."""
        self.random = random
        self._begun = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the campaign began."""
        return time.monotonic() - self._begun

    def let_pass(self, seconds: float, unless: Callable[[], object] = lambda: None) -> None:
        """Let load and faults work for a while, or until `unless` is true."""
        end = self.elapsed() + seconds
        until(lambda: self.elapsed() >= end or unless(), timeout=seconds + 60, what="time to pass")

    def made(
        self, kind: str, what: str, hold: float = 0.0, undo: Callable[[], None] = lambda: None
    ) -> Hit:
        """A hit of this moment that is undone after `hold` seconds."""
        now = self.elapsed()
        return Hit(kind, what, now, now + hold, undo)
