"""Ports: one Protocol per outside system, with its whole contract.

An implementation repeats nothing of it; its own docstrings say only where it differs.
Every port has an in-memory twin in `connectors.twins`, and one contract suite runs on
the twin and on the real service (tests/contract). Ports cover what the lanes of a
worker need; commands use the connectors directly.

Any method may raise `TransientError` (the service is away: retry after a while, the
implementation connects again) and `ConfigurationError` (no retry helps).

Hazard: everything here blocks; the Faust application calls it from a thread of its own.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from schemas.messages.chunk import Chunk, DeferredRow
from schemas.messages.chunk_ledger import ChunkAdvance
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
        """Id stored beside each vector.

        It is made of the name, the short revision and a hash of everything that changes
        the numbers.
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
        """Load the weights into memory; does nothing when they are loaded.

        Raises:
            ModelUnavailable: the weights are not on this machine, with the command that
                fetches them.
        """
        ...

    def unload(self) -> None:
        """Free the memory; the next `encode_*` loads again."""
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
            PoisonText: the model cannot take one of them. The caller finds out which by
                asking for fewer.
            OutOfMemory: the same for want of memory, with one text at a time.
        """
        ...

    def encode_query(self, text: str) -> Vector:
        """Embed a search query.

        Returns:
            float32[dimensions], finite and of unit length.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries together.

        Returns:
            as `encode_documents`; each row is what `encode_query` makes of its text.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text that the model reads.

        Its own markers are counted, what is cut off is not. A model without a tokenizer
        counts words.
        """
        ...


class Store(Protocol):
    """The rows: text out, vectors in. One connection, one thread."""

    def read(self, target: Target, keys: Sequence[Key], characters: int = BLANK_WITHIN) -> Reading:
        """Read the rows in one statement, together with its snapshot.

        Args:
            target: the column.
            keys: of the rows. A key that has no row is left out of the result.
            characters: how much of each text is returned.

        Returns:
            the rows in any order.

        Raises:
            PoisonEvent: a key has another number of columns, or is not a value of their
                types. It names the key in a call with one key; the caller asks for
                fewer until then.
            RowRefused: the same where Postgres cannot make the text of a row.
            RowTooSlow: the same where that takes too long.
        """
        ...

    def takes(self, target: Target, key: Key) -> bool:
        """Whether a key is one of the table: a value of its type for each key column."""
        ...

    def running(self, txids: Collection[int]) -> set[int]:
        """Which of these transactions are still in progress.

        Neither a finished one nor one that the server never had, as after a failover,
        is among them.

        Args:
            txids: 32-bit ids, as events carry them.
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
            what became of each key; for one that is AGAIN also the hash of the text
            that a trigger gave it.

        Raises:
            TableLocked: another session holds the whole table; nothing was written.
            TargetMismatch: the database wants another model or another number of
                dimensions in this column.
            LedgerConflict: the chunk is no longer where `progress` says; nothing was
                written.
        """
        ...

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        ...


class Ledger(Protocol):
    """Where a replay chunk stands.

    It shares the store's connection, so that `Store.write` can advance it.
    """

    def chunk(self, named: Chunk) -> Chunk | None:
        """The chunk as it was entered, by its run and number.

        Returns:
            None as in `position`.
        """
        ...

    def finish(self, chunk: Chunk) -> None:
        """Mark the chunk's run as done if this was the last of it."""
        ...

    def position(self, chunk: Chunk) -> ChunkState | None:
        """How many keys of the chunk are handled, and what its run wants now.

        Returns:
            None if the run was cancelled or the chunk is not known.
        """
        ...

    def give_back(self, chunk: Chunk) -> bool:
        """Let a paused run have its chunk back; its message may then be acknowledged.

        The chunk is sent again when the run is resumed.

        Returns:
            False when the run is not paused (any more): the chunk is still the
                worker's.
        """
        ...

    def take_slot(self, chunk: Chunk, rows: int) -> float:
        """Reserve time for some rows under the rate that the run's workers share.

        Returns:
            seconds until they may start; 0 or less means at once, also for a run
            without a rate.
        """
        ...

    def note_wait(self, chunk: Chunk, reason: str | None) -> None:
        """Note why the run waits, for its status; None once it goes on."""
        ...


class Outbox(Protocol):
    """Records that leave the pipeline: deferred rows, replay chunks, dead letters.

    A call returns only after the broker has acknowledged every record (acks=all), so
    the offset of what caused them may move afterwards.
    """

    def send_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Write chunks of replay runs to the replay topic."""
        ...

    def send_deferred(self, rows: Sequence[DeferredRow]) -> None:
        """Write deferred rows to the deferred topic."""
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
