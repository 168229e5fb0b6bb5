"""How far this worker has come in its partitions, and the offsets that it was not given.

Positions are noted in Postgres before each commit.

Hazard: after a note that failed, the next look at the topics takes the commit for one
that another client made, and has the rows looked at: needlessly, but safely.
"""

import threading
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

import structlog

from schemas.errors import VectrueError
from schemas.health.anomalies import Gap, Place
from schemas.messages.record import Record

log = structlog.get_logger()


class OffsetNotes(Protocol):
    """Where handled offsets are noted. May raise VectrueError."""

    def handled(self, offsets: Mapping[Place, int], ids: Mapping[str, str]) -> None:
        """Note that all events before these offsets are handled.

        Args:
            offsets: by partition.
            ids: of the topics.
        """
        ...


class HandledPositions:
    """The positions of one worker. Safe to use from several threads."""

    def __init__(self, notes: OffsetNotes) -> None:
        """Take where to note; no one else may use it."""
        self._notes = notes
        self._ids: dict[str, str] = {}
        self._handled: dict[Place, int] = {}
        self._next: dict[Place, int] = {}
        self._gaps: list[Gap] = []
        # The event loop writes, the thread that watches the topics reads.
        self._lock = threading.Lock()

    def begin(self, ids: Mapping[str, str], handled: Mapping[Place, int]) -> None:
        """Take the topics that are consumed.

        Args:
            ids: of the topics.
            handled: up to where each partition was handled, by any worker.
        """
        with self._lock:
            self._ids.update(ids)
            self._handled = dict(handled)

    def saw(self, records: Iterable[Record]) -> None:
        """Note events that the worker was given, in their order."""
        with self._lock:
            for record in records:
                place = (record.topic, record.partition)
                expected = self._next.get(place, self._handled.get(place))
                # Markers of transactions leave gaps as well; whether events expired is
                # judged later, by the start of the log.
                if expected is not None and record.offset > expected:
                    self._gaps.append(Gap(place, expected, record.offset))
                self._next[place] = record.offset + 1

    def keep(self, assignment: AbstractSet[Place]) -> None:
        """Forget the partitions that are no longer assigned to this worker."""
        with self._lock:
            for place in self._next.keys() - assignment:
                del self._next[place]

    def note(self, offsets: Mapping[Place, int]) -> None:
        """Note what is about to be committed. A failure is only logged."""
        try:
            self._notes.handled(offsets, self._ids)
        # The commit goes on: an event that is handled has to be committed.
        except VectrueError as error:
            log.warning(
                "committed offsets could not be noted; their rows will be looked at again",
                reason=str(error),
            )

    def gaps(self) -> list[Gap]:
        """Return the gaps since the last call."""
        with self._lock:
            found, self._gaps = self._gaps, []
            return found
