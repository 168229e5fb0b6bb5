"""A batch of the live lane: its rows, its bad events, and which events are handled.

An event is handled when all its rows are, and those of all events before it in its
partition. Only then may its offset be committed (I3).

Hazard: a batch with a bad event, a key that does not fit or an ambiguous key may be
done again from its events. None of its events counts as handled before its end.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from schemas.errors import PoisonEvent
from schemas.health import metrics
from schemas.messages.change import Change
from schemas.messages.chunk import Deferral
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.rows.document import Document, WriteOutcome
from schemas.rows.table import Key
from schemas.rows.target import Target
from streams.worker.settle import EncodedTexts
from streams.worker.watches.mismatched_keys import MismatchedKeys

log = structlog.get_logger()

_LOG_SECONDS = 30.0
"""How often a batch that takes longer is logged."""

_MOST_CHANGES = 4
"""Changes of a row by triggers after which it is tried without a pause for other
batches, and then deferred.
"""


@dataclass
class Hint:
    """A row may have changed.

    Attributes:
        txids: the transactions that changed it (32-bit ids).
        records: the events that said so.
        committed_at: when the first of them was committed; None: unknown.
        deferral: of a row that was deferred before.
    """

    txids: set[int] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    committed_at: datetime | None = None
    deferral: Deferral | None = None

    def note(self, record: Record, event: Change) -> None:
        """Add an event about the row."""
        self.records.append(record)
        if event.txid is not None:
            self.txids.add(event.txid)
        if event.committed_at is not None:
            first = self.committed_at or event.committed_at
            self.committed_at = min(first, event.committed_at)


Hints = dict[Key, Hint]


class Batch:
    """Records that were given to the lane together. One thread."""

    def __init__(self, records: Sequence[Record], stream: str, now: float) -> None:
        """Take the records; none is handled yet.

        Args:
            records: in the order of their offsets.
            stream: label of the metric (sync, deferred).
            now: of a monotonic clock.
        """
        self.records = records
        self.failures: dict[str, Failure] = {}
        """Bad events, by position; they are moved together when the good ones are done.
        """
        self.mismatched_keys = MismatchedKeys()
        self.ambiguous = False
        """Whether a key of the batch stood for several rows. Each was written with the
        vector of its own text.
        """
        self._stream = stream
        self._open = Counter[str]()
        """Rows of each event that are not handled, by its position."""
        self._yielded: set[str] = set()
        self._rows = self._left = 0
        self._began = now
        self._logged_at: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may have to be done again, once the tables were looked at."""
        return bool(self.failures or self.mismatched_keys.found or self.ambiguous)

    def begin(self) -> None:
        """Forget what was found: the batch is done (again) from its events."""
        self.failures.clear()
        self.mismatched_keys.found.clear()
        self.ambiguous = False

    def fail(self, record: Record, reason: PoisonEvent, stage: str) -> None:
        """Note a bad event; the first reason counts."""
        self.failures.setdefault(record.position, Failure(record, reason, stage))

    def expect(self, todo: Mapping[Target, Hints]) -> None:
        """Note the rows that its events named."""
        self._open.clear()
        self._rows = 0
        for hints in todo.values():
            self._rows += len(hints)
            for hint in hints.values():
                self._open.update(_positions(hint.records))
        self._left = self._rows

    def settle(self, hints: Collection[Hint]) -> None:
        """Note rows that are handled."""
        for hint in hints:
            self._open.subtract(_positions(hint.records))
        self._left -= len(hints)

    def handled(self) -> list[Record]:
        """Return the events that may be acknowledged now and could not before, in their
        order.
        """
        if self.is_doubtful:
            return []
        stuck: set[tuple[str, int]] = set()
        found = []
        for record in self.records:
            place = (record.topic, record.partition)
            if self._open[record.position] > 0:
                stuck.add(place)
            elif place not in stuck and record.position not in self._yielded:
                found.append(record)
        self._yielded.update(_positions(found))
        return found

    def rest(self) -> list[Record]:
        """Return the other events, once all is done and the bad ones are moved."""
        found = [record for record in self.records if record.position not in self._yielded]
        self._yielded.update(_positions(found))
        return found

    def report(self, now: float) -> None:
        """Set the metric, and log the progress of a batch that takes long.

        Args:
            now: of the same monotonic clock.
        """
        metrics.BATCH_ROWS_LEFT.labels(self._stream).set(self._left)
        since = self._began if self._logged_at is None else self._logged_at
        if self._left and now - since >= _LOG_SECONDS:
            self._logged_at = now
            self._log("a long batch goes on", now)
        elif not self._left and self._logged_at is not None:
            self._logged_at = None
            self._log("a long batch is done", now)

    def _log(self, event: str, now: float) -> None:
        log.info(
            event,
            stream=self._stream,
            rows=self._rows - self._left,
            of=self._rows,
            seconds=round(now - self._began),
        )


@dataclass
class Work:
    """The rows of one column in a batch."""

    batch: Batch
    target: Target
    hints: Hints
    known: EncodedTexts = field(default_factory=EncodedTexts)
    given: dict[Key, list[bytes | None]] = field(default_factory=dict)
    """Hashes of the texts that a trigger gave a row, each in the write of the vector of
    the one before.
    """
    changed: Counter[Key] = field(default_factory=Counter)
    """How often a trigger changed a row in a write of this batch, whatever else wrote it
    in between.
    """

    def tries(self, document: Document) -> int:
        """Count the vectors written for a row, each of a text that the write before had
        given it.
        """
        # Once anything else gave the row a text, none of them counts: nothing is known
        # of that text.
        if self.given.get(document.key, [])[-1:] != [document.hash]:
            self.given.pop(document.key, None)
        return len(self.given.get(document.key, ()))

    def note(self, outcome: WriteOutcome) -> tuple[list[Key], list[Key]]:
        """Keep the texts that triggers gave.

        Returns:
            their rows, to be read again; and those among them that were changed so often
            that something else must write them in between.
        """
        again: list[Key] = []
        contended: list[Key] = []
        for key, hash_ in outcome.given.items():
            self.given.setdefault(key, []).append(hash_)
            self.changed[key] += 1
            (contended if self.changed[key] >= _MOST_CHANGES else again).append(key)
        return again, contended


def _positions(records: Iterable[Record]) -> list[str]:
    return [record.position for record in records]
