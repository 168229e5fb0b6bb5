"""The store: rows out, vectors in, by a compare-and-set that refuses stale writes.

One write is one transaction: lock what is free (never waiting), stage the vectors by
binary COPY, run one UPDATE whose WHERE holds the hash of the text that was embedded and
the model that is wanted now, and for a replay chunk advance the ledger.

Hazard: the transaction carries a replication origin, so capture never sees these writes
(own_writes.py). What a trigger changes in them, no event reports.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg2 import errors
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from typing_extensions import override

from connectors.ports import Defer, Ledger, Store
from connectors.postgres import queries
from connectors.postgres.errors import over_rows
from connectors.postgres.rows import lengths, own_writes, quarantine
from connectors.postgres.rows.compare_and_set import RowWrite
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.rows.stages import Stages
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent, RowTooSlow, TransientError
from schemas.messages.chunk import Chunk
from schemas.messages.chunk_ledger import ChunkAdvance, LedgerConflict
from schemas.reports.replay import ChunkState
from schemas.rows.document import (
    BLANK_WITHIN,
    Document,
    Reading,
    Refusal,
    Update,
    WriteOutcome,
    Written,
)
from schemas.rows.snapshot import Snapshot
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings

_LATER = (Written.LOCKED, Written.AGAIN)
"""What a chunk leaves to the live lane."""


class _RowsLocked(Exception):
    """Rows of a chunk have to be deferred before the others are written.

    Another transaction holds them, or a trigger gave them another text.
    """

    def __init__(self, keys: set[Key]) -> None:
        super().__init__()
        self.keys = keys


class PostgresStore(Store, Ledger):
    """The rows and the ledger over one connection of a worker."""

    def __init__(self, settings: PostgresSettings, *, role: str, prefix: str | None = None) -> None:
        """Remember how to connect.

        Args:
            settings: the connection, and whether triggers fire.
            role: what the connection is for, shown in pg_stat_activity.
            prefix: as for `Session`.
        """
        self._settings = settings
        self._session = Session(settings.dsn, role=role, prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._session, settings)
        self._stages = Stages(self._session)
        self._is_in_doubt = False
        """Whether the last write of a lane without a ledger had no answer: it may have
        been committed.
        """

    @override
    def read(self, target: Target, keys: Sequence[Key], characters: int = BLANK_WITHIN) -> Reading:
        for key in keys:
            if len(key) != len(target.key):
                raise PoisonEvent(
                    f"a key of {target.table} has {len(target.key)} columns, not {len(key)}: "
                    f"{key!r}"
                )
        parameters = {**key_arrays(keys), "model": target.model, "characters": characters}
        try:
            with over_rows():
                lines = self._session.rows(queries.for_target("read_rows", target), parameters)
        except TransientError as error:
            if isinstance(error.__cause__, errors.QueryCanceled):
                raise RowTooSlow from None
            raise
        documents = []
        for _, ord_, *line in lines:
            document = _document(keys[ord_ - 1], line)
            if document is not None:
                documents.append(document)
        return Reading(Snapshot.parse(lines[0][0]), documents)

    @override
    def takes(self, target: Target, key: Key) -> bool:
        if len(key) != len(target.key):
            return False
        query = queries.for_target("cast_keys", target)
        try:
            # Where a key column is of type regclass, a value may name nothing.
            with over_rows():
                self._session.rows(query, key_arrays([key]))
        except PoisonEvent:
            return False
        return True

    @override
    def running(self, txids: Collection[int]) -> set[int]:
        # pg_locks shows the lower 32 bits of a transaction id.
        asked = {"xids": [txid % 2**32 for txid in txids]}
        lines = self._session.rows(queries.text("running"), asked)
        return {int(xid) for (xid,) in lines}

    @override
    def write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal] = (),
        progress: ChunkAdvance | None = None,
        defer: Defer | None = None,
    ) -> WriteOutcome:
        if any(update.vector is not None for update in updates):
            self._stages.ensure(target)
        try:
            outcome = self._until_deferred(target, updates, refusals, progress, defer)
        except TransientError:
            self._is_in_doubt = progress is None
            raise
        if self._is_in_doubt:
            # The text may have been changed by a trigger in the write that had no
            # answer. No event reports that, so the row has to be read again.
            for key, written in outcome.items():
                if written is Written.CHANGED:
                    outcome[key] = Written.LOCKED
        self._is_in_doubt = False
        return outcome

    def _until_deferred(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal],
        progress: ChunkAdvance | None,
        defer: Defer | None,
    ) -> WriteOutcome:
        """Write what can be written; repeat without the rows that had to be deferred."""
        deferred: set[Key] = set()
        while True:
            left = [update for update in updates if update.key not in deferred]
            try:
                with lengths.explained(self._session, target), self._own.transaction() as cursor:
                    rows = RowWrite(cursor, self._stages, target, left)
                    rows.run()
                    outcome = rows.outcome
                    locked = {key for key, written in outcome.items() if written in _LATER}
                    # Before the ledger counts: it must not count a row that is lost.
                    if locked and defer is not None:
                        raise _RowsLocked(locked)
                    outcome.update(dict.fromkeys(deferred, Written.LOCKED))
                    quarantine.enter(cursor, target, [*refusals, *rows.refusals])
                    if progress is not None:
                        _advance(cursor, progress, updates, outcome)
                return outcome
            except _RowsLocked as found:
                # Kafka may take long to answer, so defer only after the transaction has
                # released the locks of the other rows.
                if defer is not None:
                    defer(sorted(found.keys))
                deferred |= found.keys

    @override
    def chunk(self, named: Chunk) -> Chunk | None:
        lines = self._session.rows(queries.text("entered_chunk"), _place(named))
        if not lines:
            return None
        table, column, model, keys = lines[0]
        return Chunk(
            run=named.run,
            number=named.number,
            table=TableName.parse(table),
            column=column,
            model=model,
            keys=tuple(tuple(key) for key in keys),
        )

    @override
    def position(self, chunk: Chunk) -> ChunkState | None:
        lines = self._session.rows(queries.text("chunk_position"), _place(chunk))
        if not lines:
            return None
        done, state, rate, max_live_lag, force = lines[0]
        return ChunkState(done=done, state=state, rate=rate, max_live_lag=max_live_lag, force=force)

    @override
    def give_back(self, chunk: Chunk) -> bool:
        return bool(self._session.rows(queries.text("return_chunk"), _place(chunk)))

    @override
    def take_slot(self, chunk: Chunk, rows: int) -> float:
        asked = {"run": str(chunk.run), "rows": rows}
        lines = self._session.rows(queries.text("take_slot"), asked)
        return float(lines[0][0]) if lines else 0.0

    @override
    def note_wait(self, chunk: Chunk, reason: str | None) -> None:
        noted = {"run": str(chunk.run), "reason": reason}
        self._session.rows(queries.text("note_wait"), noted)

    @override
    def finish(self, chunk: Chunk) -> None:
        self._session.rows(queries.text("finish_replay"), {"run": str(chunk.run)})

    @override
    def close(self) -> None:
        self._session.close()

    def _prepare(self, connection: Connection) -> None:
        self._stages.clear()
        own_writes.limit_waits(connection, self._settings)


def _advance(
    cursor: Cursor,
    progress: ChunkAdvance,
    updates: Sequence[Update],
    outcome: Mapping[Key, Written],
) -> None:
    counts = dict.fromkeys(("embedded", "cleared", "changed", "deferred"), 0)
    counts["quarantined"] = progress.quarantined
    for update in updates:
        name = _counted_as(update, outcome[update.key])
        if name is not None:
            counts[name] += 1
    parameters = {**asdict(progress), "run": str(progress.run), **counts}
    cursor.execute(queries.text("advance_chunk"), parameters)
    # Another delivery of the chunk has moved it meanwhile.
    if cursor.rowcount != 1:
        raise LedgerConflict(
            f"chunk {progress.run}/{progress.number} is no longer at {progress.start} keys"
        )


def _counted_as(update: Update, written: Written) -> str | None:
    """The ledger's count for what became of an update."""
    if written is Written.WRITTEN:
        return "cleared" if update.vector is None else "embedded"
    if written is Written.LOCKED:
        return "deferred"
    if written in (Written.CHANGED, Written.QUARANTINED):
        return written.value
    return None


def _document(key: Key, line: Sequence[Any]) -> Document | None:
    text, blank, hash_, stored_hash, stored_model, has_vector, quarantined, tied = line
    # All are NULL in the line of a key that has no row.
    if blank is None:
        return None
    return Document(
        key=key,
        text=text,
        blank=blank,
        hash=_bytes(hash_),
        stored_hash=_bytes(stored_hash),
        stored_model=stored_model,
        has_vector=has_vector,
        quarantined=quarantined,
        tied=tied,
    )


def _place(chunk: Chunk) -> dict[str, object]:
    return {"run": str(chunk.run), "number": chunk.number}


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
