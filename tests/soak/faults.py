"""The faults that hit processes: workers, the parts of the stack, the replay command.
And the deck of all kinds.

A kind is drawn from a shuffled deck of all kinds, so that a short campaign meets most
of them and a long one all, about equally often. Faults come in groups that overlap:
each is a hit and, some seconds later, what undoes it.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import psutil

from connectors.local.stack import LocalStack
from tests.soak.fleet import Fleet
from tests.soak.hits import Hit, Kind, Stage

PartName = Literal["postgres", "kafka", "connect"]

_GROUPS = (1, 3, 5, 7, 8, 9, 10)
"""How many faults a group may have."""

_SESSION_SECONDS = 6.0
"""Session timeout of the campaign's workers: a stop is to be longer."""

_MOST_LIVE = 4
_OFTEN = 4
"""A fault may find nothing to hit: no worker of a role, a part that is away. Not so
often.
"""


class Deck:
    """Draws kinds."""

    def __init__(self, kinds: Sequence[Kind], stage: Stage) -> None:
        """Every kind is in the deck once per mention."""
        self._kinds = kinds
        self._tried: Counter[str] = Counter()
        self._random = stage.random
        self._left: list[Kind] = []

    def group(self, most: int) -> list[Kind]:
        """Kinds for the next group, at most that many; none meets what another one
        holds.
        """
        wanted = min(most, self._random.choice(_GROUPS))
        chosen: list[Kind] = []
        later: list[Kind] = []
        while len(chosen) < wanted and len(later) < len(self._kinds):
            if not self._left:
                self._left = self._random.sample(self._kinds, len(self._kinds))
            kind = self._left.pop()
            held = kind.holds is not None and kind.holds in {other.holds for other in chosen}
            (later if held else chosen).append(kind)
        self._left += later
        self._tried.update(kind.name for kind in chosen)
        return chosen

    def never_hit(self, faults: Counter[str]) -> list[str]:
        """Kinds that were drawn again and again, and hit nothing: the campaign did not
        try what it seems to.
        """
        return sorted(
            kind for kind, times in self._tried.items() if times >= _OFTEN and not faults[kind]
        )


class Processes:
    """Faults that hit processes."""

    def __init__(self, stage: Stage, stack: LocalStack, fleet: Fleet) -> None:
        """Nothing is hit yet. `command` is the replay command in the background, for
        the fault that kills it.
        """
        self.command: subprocess.Popen[bytes] | None = None
        self._stage = stage
        self._stack = stack
        self._fleet = fleet

    def kinds(self) -> list[Kind]:
        """All of them; the live worker, which has most to lose, twice."""
        return [
            *(self._worker_kind(verb, "live") for verb in ("kill", "kill", "term", "stop", "stop")),
            *(self._worker_kind(verb, "replay") for verb in ("kill", "term", "stop")),
            *(self._kill_kind(name, part) for name, part in _PARTS),
            *(self._stop_kind(name, part) for name, part in _PARTS),
            Kind("one worker more", None, lambda: self._resize(more=True)),
            Kind("one worker less", None, lambda: self._resize(more=False)),
            Kind("kill replay command", None, self._kill_command),
        ]

    def _worker_kind(self, verb: str, role: str) -> Kind:
        name = f"{verb} {role}"
        return Kind(
            name, None, lambda: self._worker(name, role, signal.Signals[f"SIG{verb.upper()}"])
        )

    def _kill_kind(self, name: str, part: PartName) -> Kind:
        return Kind(f"kill {name}", part, lambda: self._kill_part(f"kill {name}", part))

    def _stop_kind(self, name: str, part: PartName) -> Kind:
        return Kind(f"stop {name}", part, lambda: self._stop_part(f"stop {name}", part))

    def _worker(self, kind: str, role: str, sig: signal.Signals) -> Hit | None:
        worker = self._fleet.pick(role, self._stage.random)
        if worker is None:
            return None
        self._fleet.send(worker, sig)
        if sig is not signal.SIGSTOP:
            return self._stage.made(kind, worker.name)
        return self._stage.made(
            kind, worker.name, self._long(), lambda: self._fleet.send(worker, signal.SIGCONT)
        )

    def _long(self) -> float:
        """Longer than the session timeout, by a little or by more."""
        return _SESSION_SECONDS + self._stage.random.uniform(0.5, 2.5)

    def _kill_part(self, kind: str, part: PartName) -> Hit:
        self._stack.stop(part, signal.SIGKILL)
        hold = self._stage.random.uniform(0.0, 3.0)
        return self._stage.made(kind, part, hold, lambda: self._stack.start(part))

    def _stop_part(self, kind: str, part: PartName) -> Hit | None:
        pid = next((status.pid for status in self._stack.status() if status.name == part), None)
        if pid is None:
            return None
        root = psutil.Process(pid)
        # Postgres is a process per connection: stopping its first one alone would only
        # refuse new connections.
        pids = [pid, *(child.pid for child in root.children(recursive=True))]
        _send(pids, signal.SIGSTOP)
        hold = (
            self._long()
            if self._stage.random.random() < 0.5
            else self._stage.random.uniform(1.0, 6.0)
        )
        return self._stage.made(kind, part, hold, lambda: _send(pids, signal.SIGCONT))

    def _resize(self, *, more: bool) -> Hit:
        wanted = self._fleet.wanted
        more = (more and wanted["live"] < _MOST_LIVE) or wanted["live"] == 1
        wanted["live"] += 1 if more else -1
        leaving = None if more else self._fleet.pick("live", self._stage.random)
        if leaving is not None:
            self._fleet.send(leaving, signal.SIGTERM)
        return self._stage.made(
            f"one worker {'more' if more else 'less'}", f"live, {wanted['live']} wanted"
        )

    def _kill_command(self) -> Hit | None:
        if self.command is None or self.command.poll() is not None:
            return None
        self.command.kill()
        return self._stage.made("kill replay command", "replay run")


_PARTS: tuple[tuple[str, PartName], ...] = (
    ("connect", "connect"),
    ("broker", "kafka"),
    ("postgres", "postgres"),
)


def _send(pids: Sequence[int], sig: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sig)
