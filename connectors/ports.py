"""Ports: one Protocol per outside system, with its whole contract here; implementations
stay silent unless they differ.

Every port has an in-memory twin in `connectors.twins.memory`, and one contract suite
runs on the twin and on the real service (tests/contract). Everything here blocks; the
Faust application calls it from a thread of its own.

Any method may raise `TransientError` (the service is away; call again after a while,
the connection is renewed by the implementation) and `ConfigurationError` (it will never
work like this).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from schemas.messages.chunk import Chunk, ChunkAdvance
from schemas.messages.dead_letter import Failure
from schemas.reports.model_record import ModelRecord
from schemas.reports.replay import ChunkState
from schemas.rows.document import BLANK_WITHIN, Reading, Refusal, Update, Vector, WriteOutcome
from schemas.rows.table import Key
from schemas.rows.target import Target

Defer = Callable[[Sequence[Key]], None]


class Embedder(Protocol):
    """A model that turns texts into unit vectors.

    The identity is known without the weights in memory, so that commands that only
    compare ids stay fast. Not thread-safe: one thread at a time.
    """

    @property
    def model_id(self) -> str:
        """Id stored beside each vector: name, short revision and a hash of everything
        that changes the numbers.
        """
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def record(self) -> ModelRecord:
        """What is kept about the model in the database, under `model_id`."""
        ...

    def load(self) -> None:
        """Bring the weights into memory; does nothing when they are there.

        Raises:
            ModelUnavailable: the weights are not on this machine, with the command that
                fetches them.
        """
        ...

    def unload(self) -> None:
        """Give the memory back; the next `encode_*` loads again."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts.

        Args:
            texts: n non-blank texts; one longer than the model's limit is cut there.

        Returns:
            float32[n, dimensions], each row finite and of unit length (within 1e-3), in
            the order of the texts; float32[0, dimensions] for none. Equal texts may
            differ in the last bits between batches.

        Raises:
            PoisonText: it cannot take one of them; OutOfMemory when that is for want of
                memory, with one text at a time. Which one, the caller finds out by
                asking for fewer.
        """
        ...

    def encode_query(self, text: str) -> Vector:
        """Embed a search query: float32[dimensions], unit length."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries together: as `encode_documents`, each row what
        `encode_query` makes of its text.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, its own markers counted, what is
        cut off not.

        A model without a tokenizer counts words.
        """
        ...


class Store(Protocol):
    """The rows: text out, vectors in. One connection, one thread."""

    def read(self, target: Target, keys: Sequence[Key], characters: int = BLANK_WITHIN) -> Reading:
        """Read the rows as they stand, in one statement, with its snapshot.

        Keys that have no row are left out of the result; the order is free. Of a text
        come the first `characters`.

        Raises:
            PoisonEvent: a key has another number of columns, or is not a value of their
                types.
            RowRefused: Postgres cannot make the text of one of the rows, or that is
                what is the matter with a key. Either says what it is about for a call
                with one key; the caller asks for fewer until then.
            RowTooSlow: the same for what takes too long.
        """
        ...

    def takes(self, target: Target, key: Key) -> bool:
        """Whether a key has as many parts as the key columns, and each is a value of
        its column's type.
        """
        ...

    def running(self, txids: Collection[int]) -> set[int]:
        """Which of these transactions (32-bit ids, as events carry them) the server
        still has in hand.

        Neither a finished one nor one that the server never had, as after a failover,
        is among them.
        """
        ...

    def write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal] = (),
        progress: ChunkAdvance | None = None,
        defer: Defer | None = None,
    ) -> WriteOutcome:
        """Compare and set: write each vector if the row's text still has the update's
        hash, all in one transaction.

        Vector, hash, model and time are set together. Never waits for a row lock. A row
        that a constraint or trigger of the table refuses goes to quarantine, and its
        neighbours are written. The target row in the database is checked in the same
        statement: a worker whose model is not the wanted one writes nothing.

        Args:
            target: the column; `target.model` is stored beside the vectors.
            updates: at most one per key; vectors are float32[target.dimensions].
            refusals: rows that go to quarantine in the same transaction, if they still
                have the refused text; their old vectors stay. A row that is written
                leaves quarantine.
            progress: for a replay chunk, the ledger entry that is advanced in the same
                transaction.
            defer: called with the keys of locked rows, outside of any transaction but
                before the one that counts them commits, so that they are durably
                deferred when the ledger says that they are handled.

        Returns:
            what became of each key; of one that is AGAIN also the hash of the text that
            a trigger gave it.

        Raises:
            TableLocked: somebody holds the whole table; nothing was written.
            TargetMismatch: the database wants another model or another number of
                dimensions in this column.
            LedgerConflict: the chunk is no longer where `progress` says; nothing was
                written.
        """
        ...

    def close(self) -> None:
        """End the connection; the next call opens a new one."""
        ...


class Ledger(Protocol):
    """Where a replay chunk stands. Shares the store's connection, so that `Store.write`
    can advance it.
    """

    def chunk(self, named: Chunk) -> Chunk | None:
        """The chunk of this run and number as it was entered, whatever else is said of
        it; None as in `position`.
        """
        ...

    def finish(self, chunk: Chunk) -> None:
        """Mark the chunk's run as done if this was the last of it."""
        ...

    def position(self, chunk: Chunk) -> ChunkState | None:
        """Keys of the chunk that are handled, and what its run wants now; None if it
        was cancelled or is not known.
        """
        ...

    def give_back(self, chunk: Chunk) -> bool:
        """Let a paused run have its chunk back, to be sent again when the run is
        resumed; the message may then go.

        Returns:
            False when the run is not paused (any more): the chunk is still the
                worker's.
        """
        ...

    def take_slot(self, chunk: Chunk, rows: int) -> float:
        """Take room for some rows under the rate that the run's workers share.

        Returns:
            seconds until they may start; 0 or less at once, also for a run without a
            rate.
        """
        ...

    def note_wait(self, chunk: Chunk, reason: str | None) -> None:
        """Tell whoever asks about the run why it waits; None once it goes on."""
        ...


class Outbox(Protocol):
    """Records that leave the pipeline: deferred rows, replay chunks, dead letters.

    A call returns only after the broker has acknowledged every record (acks=all), so
    the offset of what caused them may move afterwards.
    """

    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Write chunks: those of a run to the replay topic, deferred rows to the
        deferred topic.
        """
        ...

    def send_dead_letters(self, failures: Sequence[Failure]) -> None:
        """Write the original bytes of records to the dead-letter topic, with Connect's
        error headers.
        """
        ...


class Clock(Protocol):
    """Time, passed in."""

    def now(self) -> datetime:
        """Time of day, with time zone UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point, never going back."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Stopping: the process was asked to stop; at once, also while waiting.
        """
        ...
