"""How far this worker is in its partitions: noted in Postgres before each commit, and
where it was not given an event.

Written by the event loop, read by the thread that watches the topics.

Hazard: a commit is never held back by a note that fails, since an event that is handled
has to be committed. The next look at the topics then takes the commit for somebody
else's, and has the rows looked at: in vain, but safe.
"""

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import structlog

from schemas.errors import VectrueError
from schemas.health.surprises import Gap, Place

log = structlog.get_logger()


class OffsetNotes(Protocol):
    """Where handled offsets are noted. May raise VectrueError."""

    def handled(self, offsets: Mapping[Place, int], ids: Mapping[str, str]) -> None:
        """Note that all events before these offsets of topics of these ids are handled."""
        ...


class HandledPositions:
    """Of the partitions of one worker."""

    def __init__(self, notes: OffsetNotes) -> None:
        """Note into `notes`, which only this object may use."""
        self._notes = notes
        self._ids: dict[str, str] = {}
        self._handled: dict[Place, int] = {}
        self._next: dict[Place, int] = {}
        self._gaps: list[Gap] = []
        self._lock = threading.Lock()

    def begin(self, ids: Mapping[str, str], handled: Mapping[Place, int]) -> None:
        """Remember the topics that are consumed, and up to where they were handled by
        whomever.
        """
        with self._lock:
            self._ids.update(ids)
            self._handled = dict(handled)

    def saw(self, places: Iterable[tuple[Place, int]]) -> None:
        """These events were given to the worker: partition and offset, in their order."""
        with self._lock:
            for place, offset in places:
                expected = self._next.get(place, self._handled.get(place))
                if expected is not None and offset > expected:
                    self._gaps.append(Gap(place, expected, offset))
                self._next[place] = offset + 1

    def keep(self, assignment: Collection[Place]) -> None:
        """Forget the partitions that are another worker's now."""
        with self._lock:
            for place in [place for place in self._next if place not in assignment]:
                del self._next[place]

    def note(self, offsets: Mapping[Place, int]) -> None:
        """Note what is about to be committed. A failure is logged, and the commit goes
        on.
        """
        try:
            self._notes.handled(offsets, self._ids)
        except VectrueError as error:
            log.warning(
                (
                    "offsets are committed that could not be noted; rows are looked at once more "
                    "for it"
                ),
                reason=str(error),
            )

    def gaps(self) -> list[Gap]:
        """The gaps since the last call."""
        with self._lock:
            found, self._gaps = self._gaps, []
            return found
