"""In-memory twins of the store, the ledger, the outbox and the clock, for unit tests.

The contract suites hold them to what the real services do.

Hazard: a twin is single-threaded and forgets everything; it is never a substitute in
production.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from connectors.ports import Clock, Defer, Ledger, Outbox, Store
from connectors.twins.model import TwinEmbedder
from schemas.errors import PoisonEvent, RowRefused, Stopping, TargetMismatch
from schemas.messages.chunk import Chunk, DeferredRow
from schemas.messages.chunk_ledger import ChunkAdvance, LedgerConflict
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.reports.replay import ChunkState
from schemas.rows.document import (
    BLANK_WITHIN,
    TOO_SLOW,
    UNREADABLE,
    Document,
    Reading,
    Refusal,
    Update,
    Vector,
    WriteOutcome,
    Written,
    is_blank,
)
from schemas.rows.snapshot import Snapshot
from schemas.rows.table import Key
from schemas.rows.target import KeyColumn, Target

__all__ = ["MemoryClock", "MemoryOutbox", "MemoryRow", "MemoryStore", "TwinEmbedder"]

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


@dataclass(frozen=True)
class MemoryRow:
    """A row: the text and, once written, the vector with its provenance."""

    text: str | None
    vector: Vector | None = None
    hash: bytes | None = None
    model: str | None = None


@dataclass
class LedgerEntry:
    """Where a chunk stands, and what was entered."""

    chunk: Chunk
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    cancelled: bool = False
    state: str = "running"
    returned: bool = False
    rate: float | None = None
    max_live_lag: float | None = None
    force: bool = False
    slots: float = 0.0
    """Seconds of the rate that were taken and not waited for: time does not pass here."""
    waits: list[str | None] = field(default_factory=list)


class MemoryStore(Store, Ledger):
    """Twin of `Store` and `Ledger`: one table's rows, locks and open transactions."""

    def __init__(self, target: Target) -> None:
        """Hold the rows of one target, which is also what is wanted."""
        self.rows: dict[Key, MemoryRow] = {}
        self.locked: set[Key] = set()
        self.in_hand: set[int] = set()
        self.next_xid = 100
        self.wanted = (target.model, target.dimensions)
        self.text = target.text
        self.ledger: dict[tuple[str, int], LedgerEntry] = {}
        self.quarantine: dict[Key, Refusal] = {}
        self.reads = 0
        self.unreadable: set[Key] = set()
        """Rows whose text cannot be evaluated."""

    @override
    def read(self, target: Target, keys: Sequence[Key], characters: int = BLANK_WITHIN) -> Reading:
        self.reads += 1
        for key in keys:
            if not self.takes(target, key):
                raise PoisonEvent(
                    f"a value does not fit its column (invalid input syntax: {key!r})"
                )
            if key in self.unreadable:
                raise RowRefused("InvalidTextRepresentation")
        oldest = min(self.in_hand, default=self.next_xid)
        snapshot = Snapshot(oldest, self.next_xid, frozenset(self.in_hand))
        found = [self._document(key, characters) for key in keys if key in self.rows]
        return Reading(snapshot, found)

    @override
    def takes(self, target: Target, key: Key) -> bool:
        """Of integers the twin knows the largest; any text is a value of other types."""
        if len(key) != len(target.key):
            return False
        return all(_fits(part, column) for part, column in zip(key, target.key, strict=True))

    @override
    def running(self, txids: Collection[int]) -> set[int]:
        return self.in_hand & set(txids)

    @override
    def write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal] = (),
        progress: ChunkAdvance | None = None,
        defer: Defer | None = None,
    ) -> WriteOutcome:
        """The twin has no triggers and no constraints."""
        # A copy: what raises below writes nothing, as in a transaction.
        rows = dict(self.rows)
        outcome = WriteOutcome()
        for update in updates:
            outcome[update.key] = self._set(rows, target, update)
        if Written.CHANGED in outcome.values() and not self._wants(target):
            of = "another text" if self.text != target.text else self.wanted[0]
            raise TargetMismatch(
                f"{target.name} wants vectors of {of}, this worker makes {target.model}"
            )
        locked = [key for key, written in outcome.items() if written is Written.LOCKED]
        # As in the real one: before the transaction that counts them commits.
        if locked and defer is not None:
            defer(locked)
        if progress is not None:
            self._advance(progress, updates, outcome)
        self.rows = rows
        for key, written in outcome.items():
            if written is Written.WRITTEN:
                self.quarantine.pop(key, None)
        for refusal in refusals:
            if self._still_refused(refusal):
                self.quarantine[refusal.key] = refusal
        return outcome

    def enter(self, chunk: Chunk) -> LedgerEntry:
        """Enter a chunk of a run, as the command does."""
        return self.ledger.setdefault((str(chunk.run), chunk.number), LedgerEntry(chunk))

    @override
    def chunk(self, named: Chunk) -> Chunk | None:
        entry = self.ledger.get((str(named.run), named.number))
        return None if entry is None or entry.cancelled else entry.chunk

    @override
    def position(self, chunk: Chunk) -> ChunkState | None:
        entry = self.ledger.get((str(chunk.run), chunk.number))
        if entry is None or entry.cancelled:
            return None
        return ChunkState(entry.done, entry.state, entry.rate, entry.max_live_lag, entry.force)

    @override
    def give_back(self, chunk: Chunk) -> bool:
        entry = self.ledger[str(chunk.run), chunk.number]
        entry.returned = entry.returned or entry.state == "paused"
        return entry.state == "paused"

    @override
    def take_slot(self, chunk: Chunk, rows: int) -> float:
        entry = self.ledger[str(chunk.run), chunk.number]
        if entry.rate is None:
            return 0.0
        # Time does not pass here: what was taken adds up.
        before, entry.slots = entry.slots, entry.slots + rows / entry.rate
        return before

    @override
    def note_wait(self, chunk: Chunk, reason: str | None) -> None:
        self.ledger[str(chunk.run), chunk.number].waits.append(reason)

    @override
    def finish(self, chunk: Chunk) -> None:
        """The twin keeps no state of runs."""

    @override
    def close(self) -> None:
        """There is nothing to close."""

    def _document(self, key: Key, characters: int) -> Document:
        row = self.rows[key]
        refusal = self.quarantine.get(key)
        text_hash = sha256(row.text)
        return Document(
            key,
            text=(row.text or "")[:characters],
            blank=is_blank(row.text),
            hash=text_hash,
            stored_hash=row.hash,
            stored_model=row.model,
            has_vector=row.vector is not None,
            quarantined=refusal is not None and refusal.hash == text_hash,
        )

    def _still_refused(self, refusal: Refusal) -> bool:
        """Whether the row is there and still has the refused text."""
        row = self.rows.get(refusal.key)
        if row is None:
            return False
        if refusal.hash == TOO_SLOW:
            return True
        if refusal.hash == UNREADABLE and refusal.key in self.unreadable:
            return True
        return sha256(row.text) == refusal.hash

    def _wants(self, target: Target) -> bool:
        return (*self.wanted, self.text) == (target.model, target.dimensions, target.text)

    def _set(self, rows: dict[Key, MemoryRow], target: Target, update: Update) -> Written:
        row = rows.get(update.key)
        if row is None or update.key in self.locked:
            return Written.LOCKED
        blank = is_blank(row.text)
        still = blank if update.vector is None else sha256(row.text) == update.hash
        if not still or not self._wants(target):
            return Written.CHANGED
        if update.vector is None:
            rows[update.key] = MemoryRow(row.text)
        else:
            rows[update.key] = replace(
                row, vector=update.vector, hash=update.hash, model=target.model
            )
        return Written.WRITTEN

    def _advance(
        self, progress: ChunkAdvance, updates: Sequence[Update], outcome: Mapping[Key, Written]
    ) -> None:
        entry = self.ledger[str(progress.run), progress.number]
        if entry.done != progress.start:
            raise LedgerConflict(
                f"chunk {progress.run}/{progress.number} is no longer at {progress.start} keys"
            )
        entry.done += progress.handled
        counted = Counter[str]()
        for name in ("current", "blank", "gone", "quarantined", "failed", "obsolete"):
            counted[name] = getattr(progress, name)
        for update in updates:
            counted[_counter(update, outcome[update.key])] += 1
        for name, count in counted.items():
            entry.counts[name] = entry.counts.get(name, 0) + count


@dataclass
class MemoryOutbox(Outbox):
    """Twin of `Outbox`: keeps what was sent."""

    chunks: list[Chunk] = field(default_factory=list)
    deferred: list[DeferredRow] = field(default_factory=list)
    dead_letters: list[tuple[Record, str, str]] = field(default_factory=list)

    @override
    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        self.chunks += chunks

    @override
    def send_deferred(self, rows: Sequence[DeferredRow]) -> None:
        self.deferred += rows

    @override
    def send_dead_letters(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            letter = (failure.record, str(failure.reason), failure.stage)
            self.dead_letters.append(letter)


class MemoryClock(Clock):
    """Time that passes only when someone waits."""

    def __init__(self) -> None:
        # An arbitrary moment: time begins there.
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self.stopping = False
        self.waits: list[float] = []

    @override
    def now(self) -> datetime:
        return self._now

    @override
    def monotonic(self) -> float:
        return self._now.timestamp()

    @override
    def wait(self, seconds: float) -> None:
        if self.stopping:
            raise Stopping("asked to stop")
        self.waits.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


def _counter(update: Update, written: Written) -> str:
    """The ledger's counter that a written key belongs to."""
    if written is Written.CHANGED:
        return "changed"
    if written is Written.LOCKED:
        return "deferred"
    return "cleared" if update.vector is None else "embedded"


def _fits(part: str, column: KeyColumn) -> bool:
    if not column.is_integer:
        return True
    return _INTEGER.fullmatch(part) is not None and abs(int(part)) <= _LARGEST[column.type]


def sha256(text: str | None) -> bytes | None:
    """The hash that Postgres computes: sha256 of the UTF-8 bytes; None for NULL."""
    return None if text is None else hashlib.sha256(text.encode()).digest()
