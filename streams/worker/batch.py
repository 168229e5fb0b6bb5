"""A batch of the live lane in hand: its rows, its bad events, and which of its events
are handled.

An event is handled when all its rows are, and those of all events before it in its
partition: only then may its offset be committed (I3).

Hazard: a batch with something doubtful in it may be done again from its events on, as
another table. None of its events is called handled before its end.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from schemas.errors import PoisonEvent
from schemas.health import metrics
from schemas.messages.chunk import Deferral
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.rows.document import Document, WriteOutcome
from schemas.rows.table import Key
from schemas.rows.target import Target
from streams.worker.misfits import Misfits
from streams.worker.settle import EncodedTexts

log = structlog.get_logger()

_TELL_SECONDS = 30.0
"""A batch that takes longer is told of, so often."""


@dataclass
class Hint:
    """That a row may have changed: the transactions that did it, and the records that
    said so.

    `deferral` is set when the row was deferred before.
    """

    txids: set[int] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    committed_at: datetime | None = None
    deferral: Deferral | None = None


Hints = dict[Key, Hint]


class Batch:
    """Records that were given to the lane together. One thread."""

    def __init__(self, records: Sequence[Record], stream: str, now: float) -> None:
        """Nothing is handled yet. `stream` (sync, deferred) labels the metric; `now` is
        of a monotonic clock.
        """
        self.records = records
        self.failures: dict[str, Failure] = {}
        """Bad events, by position; they are moved together when the good ones are done.
        """
        self.misfits = Misfits()
        self.ambiguous = False
        """Whether a key of the batch stood for several rows. Each was written with the
        vector of its own text.
        """
        self._stream = stream
        self._open = Counter[str]()
        """Rows of each event that are not handled, by its position."""
        self._given: set[str] = set()
        self._rows = self._left = 0
        self._began = now
        self._told: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may have to be done again, once the tables were looked at."""
        return bool(self.failures or self.misfits.found or self.ambiguous)

    def begin(self) -> None:
        """Forget what was found: the batch is done (again) from its events on."""
        self.failures.clear()
        self.misfits.found.clear()
        self.ambiguous = False

    def fail(self, record: Record, reason: PoisonEvent, stage: str) -> None:
        """Note a bad event; the first reason counts."""
        self.failures.setdefault(record.position, Failure(record, reason, stage))

    def expect(self, todo: Mapping[Target, Hints]) -> None:
        """Note what its events turned out to ask for."""
        hints = [hint for hints in todo.values() for hint in hints.values()]
        self._open = Counter(record.position for hint in hints for record in hint.records)
        self._rows = self._left = len(hints)

    def settle(self, hints: Collection[Hint]) -> None:
        """Note rows that are handled."""
        self._open.subtract(record.position for hint in hints for record in hint.records)
        self._left -= len(hints)

    def handled(self) -> list[Record]:
        """Events that may be acknowledged now and could not before, in their order."""
        if self.is_doubtful:
            return []
        stuck: set[tuple[str, int]] = set()
        found = []
        for record in self.records:
            place = (record.topic, record.partition)
            if self._open[record.position] > 0:
                stuck.add(place)
            elif place not in stuck and record.position not in self._given:
                found.append(record)
        return self._give(found)

    def rest(self) -> list[Record]:
        """The other events, once all is done and the bad ones are moved."""
        return self._give([record for record in self.records if record.position not in self._given])

    def tell(self, now: float) -> None:
        """Say how far it is, where that takes long."""
        metrics.BATCH_ROWS_LEFT.labels(self._stream).set(self._left)
        since = self._began if self._told is None else self._told
        if self._left and now - since >= _TELL_SECONDS:
            self._told = now
            self._log("a long batch goes on", now)
        elif not self._left and self._told is not None:
            self._told = None
            self._log("a long batch is done", now)

    def _log(self, event: str, now: float) -> None:
        rows, seconds = self._rows - self._left, round(now - self._began)
        log.info(event, stream=self._stream, rows=rows, of=self._rows, seconds=seconds)

    def _give(self, records: Iterable[Record]) -> list[Record]:
        given = list(records)
        self._given.update(record.position for record in given)
        return given


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

    def tries(self, document: Document) -> int:
        """Vectors written for the row, each of a text that the write before had given
        it.

        None counts any more once somebody else gave it a text: of that one nothing is
        known.
        """
        if self.given.get(document.key, [])[-1:] != [document.hash]:
            self.given.pop(document.key, None)
        return len(self.given.get(document.key, ()))

    def note(self, outcome: WriteOutcome) -> list[Key]:
        """Keep the texts that triggers gave; returns their rows, which are to be read
        again.
        """
        for key, hash_ in outcome.given.items():
            self.given.setdefault(key, []).append(hash_)
        return list(outcome.given)
