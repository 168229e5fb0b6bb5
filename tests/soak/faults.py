"""The faults: what each kind hits, and how it is undone.

A kind is drawn from a shuffled deck of all kinds, so that a short campaign meets most of them and a long one all,
about equally often. Faults come in groups of one to four that overlap: each is a hit and, some seconds later, what
undoes it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from connectors.local.stack import LocalStack
from tests.soak.fleet import Fleet

PartName = Literal["postgres", "kafka", "connect"]

_DECK = (
    "kill live",
    "kill live",
    "kill replay",
    "term live",
    "term replay",
    "stop live",
    "stop live",
    "stop replay",
    "kill connect",
    "kill broker",
    "kill postgres",
    "stop broker",
    "stop connect",
    "one worker more",
    "one worker less",
    "kill replay command",
)
_PARTS: dict[str, PartName] = {"connect": "connect", "broker": "kafka", "postgres": "postgres"}
_SESSION_SECONDS = 6.0
_MOST_LIVE = 4


@dataclass(frozen=True)
class Hit:
    """A fault that was injected.

    Attributes:
        kind: as in the deck.
        what: process or part that it hit.
        at: seconds since the campaign began.
        due: when it is undone, on the same clock.
        undo: what undoes it.
    """

    kind: str
    what: str
    at: float
    due: float
    undo: Callable[[], None]


class Faults:
    """Draws and injects faults."""

    def __init__(self, stack: LocalStack, fleet: Fleet, random: Random, begun: float) -> None:
        """Nothing is hit yet. `command` is the replay command in the background, for the fault that kills it."""
        self.command: subprocess.Popen[bytes] | None = None
        self._stack = stack
        self._fleet = fleet
        self._random = random
        self._begun = begun
        self._deck: list[str] = []

    def group(self, most: int) -> list[str]:
        """Kinds for the next group, at most that many; none meets a part of the stack that another one holds."""
        wanted = min(most, self._random.choice((1, 2, 3, 4)))
        kinds: list[str] = []
        later: list[str] = []
        while len(kinds) < wanted:
            if not self._deck:
                self._deck = self._random.sample(_DECK, len(_DECK))
            kind = self._deck.pop()
            part = _part(kind)
            (later if part and part in map(_part, kinds) else kinds).append(kind)
        self._deck += later
        return kinds

    def hit(self, kind: str) -> Hit | None:
        """Inject a fault; None when there is nothing that it could hit."""
        verb, *_, what = kind.split()
        if kind == "kill replay command":
            return self._kill_command(kind)
        if verb == "one":
            return self._resize(kind)
        if what in ("live", "replay"):
            return self._worker(kind, what, signal.Signals[f"SIG{verb.upper()}"])
        return self._stop_part(kind, _PARTS[what]) if verb == "stop" else self._kill_part(kind, _PARTS[what])

    def _made(self, kind: str, what: str, hold: float = 0.0, undo: Callable[[], None] = lambda: None) -> Hit:
        now = time.monotonic() - self._begun
        return Hit(kind, what, now, now + hold, undo)

    def _worker(self, kind: str, role: str, sig: signal.Signals) -> Hit | None:
        worker = self._fleet.pick(role, self._random)
        if worker is None:
            return None
        self._fleet.send(worker, sig)
        if sig is not signal.SIGSTOP:
            return self._made(kind, worker.name)
        hold = _SESSION_SECONDS + self._random.uniform(1.0, 4.0)
        return self._made(kind, worker.name, hold, lambda: self._fleet.send(worker, signal.SIGCONT))

    def _kill_part(self, kind: str, part: PartName) -> Hit:
        self._stack.stop(part, signal.SIGKILL)
        return self._made(kind, part, self._random.uniform(0.0, 3.0), lambda: self._stack.start(part))

    def _stop_part(self, kind: str, part: PartName) -> Hit | None:
        pid = next((status.pid for status in self._stack.status() if status.name == part), None)
        if pid is None:
            return None
        os.kill(pid, signal.SIGSTOP)
        return self._made(kind, part, self._random.uniform(1.0, 8.0), lambda: os.kill(pid, signal.SIGCONT))

    def _resize(self, kind: str) -> Hit:
        wanted = self._fleet.wanted
        more = (kind == "one worker more" and wanted["live"] < _MOST_LIVE) or wanted["live"] == 1
        wanted["live"] += 1 if more else -1
        leaving = None if more else self._fleet.pick("live", self._random)
        if leaving is not None:
            self._fleet.send(leaving, signal.SIGTERM)
        return self._made(f"one worker {'more' if more else 'less'}", f"live, {wanted['live']} wanted")

    def _kill_command(self, kind: str) -> Hit | None:
        if self.command is None or self.command.poll() is not None:
            return None
        self.command.kill()
        return self._made(kind, "replay run")


def _part(kind: str) -> str | None:
    return _PARTS.get(kind.rsplit(maxsplit=1)[-1])
