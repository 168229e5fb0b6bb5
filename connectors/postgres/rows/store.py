"""The store: rows out, vectors in, with the compare-and-set that makes a stale write
impossible.

One write is one transaction: lock what is free (never waiting), stage the vectors by
binary COPY, one UPDATE whose WHERE holds the hash of the text that was embedded and the
model that is wanted now, and for a replay chunk the ledger's advance.

The transaction carries a replication origin, so that capture leaves these writes out
(own_writes.py).
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import structlog
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.ports import Defer
from connectors.postgres import queries
from connectors.postgres.errors import over_rows
from connectors.postgres.rows import copy, lengths, other_rows, own_writes, table_refusals
from connectors.postgres.rows.meddled import Meddled
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent, RowTooSlow, TargetMismatch, TransientError
from schemas.messages.chunk import Chunk, ChunkAdvance, LedgerConflict
from schemas.reports.replay import ChunkState
from schemas.rows.document import (
    BLANK_WITHIN,
    TOO_SLOW,
    Document,
    Reading,
    Refusal,
    Update,
    Vector,
    WriteOutcome,
    Written,
)
from schemas.rows.snapshot import Snapshot
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings

log = structlog.get_logger()


_LATER = (Written.LOCKED, Written.AGAIN)
"""What a chunk leaves to the live lane."""
_OTHER_VECTOR = "a trigger of the table puts another vector in the place of the one that is written"


class _RowsLocked(Exception):
    """Rows of a chunk are held by others, or get another text as they are written: they
    have to be deferred first.
    """


class PostgresStore:
    """`Store` and `Ledger` of connectors.ports over one connection of the worker."""

    def __init__(self, settings: PostgresSettings, *, role: str, prefix: str | None = None) -> None:
        """Remember how to connect. `role` is shown in pg_stat_activity; `prefix` as for
        `Session`.
        """
        self._settings = settings
        self._session = Session(settings.dsn, role=role, prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._session, settings)
        self._stages: dict[tuple[int, str], str] = {}
        self._is_in_doubt = False
        """Whether the last write of a lane without a ledger had no answer: it may have
        been committed.
        """

    def read(self, target: Target, keys: Sequence[Key], characters: int = BLANK_WITHIN) -> Reading:
        """As the port says."""
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
        documents = [
            Document(keys[ord_ - 1], text, blank, _bytes(hash_), _bytes(stored_hash), *rest)
            for _, ord_, text, blank, hash_, stored_hash, *rest in lines
            if blank is not None  # the line of a key that has no row
        ]
        return Reading(Snapshot.parse(lines[0][0]), documents)

    def takes(self, target: Target, key: Key) -> bool:
        """As the port says."""
        if len(key) != len(target.key):
            return False
        try:
            # a name may stand for nothing, where a key's type is regclass
            with over_rows():
                self._session.rows(queries.for_target("cast_keys", target), key_arrays([key]))
        except PoisonEvent:
            return False
        return True

    def running(self, txids: Collection[int]) -> set[int]:
        """As the port says."""
        return {
            int(xid)
            for (xid,) in self._session.rows(
                queries.text("running"), {"xids": [x % 2**32 for x in txids]}
            )
        }

    def write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal] = (),
        progress: ChunkAdvance | None = None,
        defer: Defer | None = None,
    ) -> WriteOutcome:
        """As the port says."""
        if any(update.vector is not None for update in updates):
            self._ensure_stage(target)
        try:
            outcome = self._until_deferred(target, updates, refusals, progress, defer)
        except TransientError:
            self._is_in_doubt = progress is None
            raise
        if self._is_in_doubt:
            # What looks changed may be what a trigger made of it in the write before,
            # of which no event will tell.
            outcome.update(
                {
                    key: Written.LOCKED
                    for key, written in outcome.items()
                    if written is Written.CHANGED
                }
            )
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
        deferred: set[Key] = set()
        while True:
            left = [update for update in updates if update.key not in deferred]
            try:
                with lengths.explained(self._session, target), self._own.transaction() as cursor:
                    outcome, also_refused = (
                        self._write(cursor, target, left) if left else (WriteOutcome(), [])
                    )
                    locked = {key for key, written in outcome.items() if written in _LATER}
                    if locked and defer is not None:
                        raise _RowsLocked
                    outcome.update(dict.fromkeys(deferred, Written.LOCKED))
                    self._quarantine(cursor, target, [*refusals, *also_refused])
                    if progress is not None:
                        self._advance(cursor, progress, updates, outcome)
                return outcome
            except _RowsLocked:
                # Kafka may take long to answer: not while this transaction holds the
                # neighbours' row locks.
                if defer is not None:
                    defer(sorted(locked))
                deferred |= locked

    def chunk(self, named: Chunk) -> Chunk | None:
        """As the port says."""
        lines = self._session.rows(queries.text("entered_chunk"), _place(named))
        if not lines:
            return None
        table, column, model, keys = lines[0]
        return Chunk(
            TableName.parse(table), column, model, tuple(map(tuple, keys)), named.run, named.number
        )

    def position(self, chunk: Chunk) -> ChunkState | None:
        """As the port says."""
        lines = self._session.rows(queries.text("chunk_position"), _place(chunk))
        return ChunkState(*lines[0]) if lines else None

    def give_back(self, chunk: Chunk) -> bool:
        """As the port says."""
        return bool(self._session.rows(queries.text("return_chunk"), _place(chunk)))

    def take_slot(self, chunk: Chunk, rows: int) -> float:
        """As the port says."""
        lines = self._session.rows(queries.text("take_slot"), {"run": str(chunk.run), "rows": rows})
        return float(lines[0][0]) if lines else 0.0

    def note_wait(self, chunk: Chunk, reason: str | None) -> None:
        """As the port says."""
        self._session.rows(queries.text("note_wait"), {"run": str(chunk.run), "reason": reason})

    def finish(self, chunk: Chunk) -> None:
        """As the port says."""
        self._session.rows(queries.text("finish_replay"), {"run": str(chunk.run)})

    def close(self) -> None:
        """As the port says."""
        self._session.close()

    def _write(
        self, cursor: Cursor, target: Target, updates: Sequence[Update]
    ) -> tuple[WriteOutcome, list[Refusal]]:
        # A deferred constraint or trigger would refuse at COMMIT, where no row can be
        # told from its neighbours.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            queries.for_target("lock_rows", target), key_arrays([u.key for u in updates])
        )
        mine = {int(ord_) - 1 for (ord_,) in cursor.fetchall()}
        outcome = WriteOutcome({update.key: Written.LOCKED for update in updates})
        vectors = [i for i in sorted(mine) if updates[i].vector is not None]
        clears = [i for i in sorted(mine) if updates[i].vector is None]
        troubled: table_refusals.Refused = {}
        meddled = Meddled()
        halves = functools.partial(
            table_refusals.in_halves,
            cursor,
            refused=troubled,
            table=str(target.table),
            takes_others=lambda part: self._takes_others(cursor, target, updates, part),
        )
        written = (
            {
                *halves(lambda part: self._set(cursor, target, updates, part, meddled), vectors),
                *halves(lambda part: self._clear(cursor, target, updates, part, meddled), clears),
            }
            - meddled.texts.keys()
            - meddled.vectors
        )
        for i in mine - troubled.keys():
            outcome[updates[i].key] = Written.WRITTEN if i in written else Written.CHANGED
        for i, hash_ in meddled.texts.items():
            outcome[updates[i].key] = Written.AGAIN
            outcome.given[updates[i].key] = hash_
        reasons = {
            i: table_refusals.reason(error)
            for i, error in troubled.items()
            if not table_refusals.may_pass(error)
        }
        if meddled.vectors:
            halves(
                lambda part: self._disown(cursor, target, updates, part), sorted(meddled.vectors)
            )
            reasons |= dict.fromkeys(meddled.vectors, _OTHER_VECTOR)
        found = self._refused(target, updates, reasons, outcome)
        if written:
            done = key_arrays([updates[i].key for i in written])
            cursor.execute(queries.for_target("release_rows", target), done)
        if mine - written - meddled.texts.keys() - meddled.vectors:
            self._check_target(cursor, target)
        return outcome, found

    def _refused(
        self,
        target: Target,
        updates: Sequence[Update],
        reasons: Mapping[int, str],
        outcome: dict[Key, Written],
    ) -> list[Refusal]:
        """Rows for quarantine; those that may be taken later stay LOCKED in `outcome`."""
        found = []
        for i, reason in reasons.items():
            update = updates[i]
            log.warning(
                "row goes to quarantine", table=str(target.table), key=update.key, reason=reason
            )
            outcome[update.key] = Written.QUARANTINED
            found.append(Refusal(update.key, update.hash or b"", reason, 1))
        return found

    def _set(
        self,
        cursor: Cursor,
        target: Target,
        updates: Sequence[Update],
        chosen: Sequence[int],
        meddled: Meddled,
    ) -> list[int]:
        if not chosen:
            return []
        stage = self._fill_stage(cursor, target, updates, chosen)
        parameters = self._parameters(target, updates, chosen) | {
            "hashes": [updates[i].hash for i in chosen],
            "digests": copy.digests(_vectors(updates, chosen)),
        }
        cursor.execute(queries.for_target("write_vectors", target, stage=stage), parameters)
        return self._compared(cursor, target, parameters, meddled)

    def _fill_stage(
        self, cursor: Cursor, target: Target, updates: Sequence[Update], chosen: Sequence[int]
    ) -> sql.Identifier:
        """Copy vectors to where the UPDATE takes them from; returns its name."""
        name = self._stages.get((self._session.generation, target.name))
        if name is None:
            raise TransientError("the connection was renewed while a write began")
        stage = sql.Identifier("pg_temp", name)
        image = copy.image(chosen, _vectors(updates, chosen))
        with cursor.connection.cursor() as copying:
            copying.copy_expert(
                queries.for_target("copy_stage", target, bound=False, stage=stage), image
            )
        return stage

    def _takes_others(
        self, cursor: Cursor, target: Target, updates: Sequence[Update], chosen: Sequence[int]
    ) -> bool:
        """Whether the table takes the first of these vectors for a row beside these;
        nothing of the trial stays.
        """
        parameters = self._parameters(target, updates, chosen)
        vector: sql.Composable = sql.SQL("NULL")
        cursor.execute("SAVEPOINT vectrue_vector")
        if updates[chosen[0]].vector is not None:
            stage = self._fill_stage(cursor, target, updates, chosen[:1])
            vector = sql.SQL(
                "(SELECT our_stage.our_vector FROM {} AS our_stage WHERE our_stage.our_ord = {})"
            ).format(stage, sql.Literal(chosen[0]))
        keys = [updates[i].key for i in chosen]
        taken = other_rows.take(
            cursor, target, keys, vector, str(parameters["relation"]), key_arrays
        )
        cursor.execute("ROLLBACK TO SAVEPOINT vectrue_vector; RELEASE SAVEPOINT vectrue_vector")
        return taken

    def _clear(
        self,
        cursor: Cursor,
        target: Target,
        updates: Sequence[Update],
        chosen: Sequence[int],
        meddled: Meddled,
    ) -> list[int]:
        if not chosen:
            return []
        nothing = [None] * len(chosen)
        parameters = self._parameters(target, updates, chosen) | {
            "hashes": nothing,
            "digests": nothing,
        }
        cursor.execute(queries.for_target("clear_vectors", target), parameters)
        return self._compared(cursor, target, parameters, meddled)

    def _compared(
        self, cursor: Cursor, target: Target, parameters: dict[str, object], meddled: Meddled
    ) -> list[int]:
        """The positions that the UPDATE just made has written; what triggers made of
        these rows is noted.
        """
        written = [int(ord_) for (ord_,) in cursor.fetchall()]
        cursor.execute(queries.for_target("meddled", target), parameters)
        own = set(written)
        meddled.note([line for line in cursor.fetchall() if line[0] in own])
        return written

    def _disown(
        self, cursor: Cursor, target: Target, updates: Sequence[Update], chosen: Sequence[int]
    ) -> list[int]:
        cursor.execute(
            queries.for_target("disown_rows", target), self._parameters(target, updates, chosen)
        )
        return [int(ord_) for (ord_,) in cursor.fetchall()]

    def _quarantine(self, cursor: Cursor, target: Target, refused: Sequence[Refusal]) -> None:
        slow = [refusal for refusal in refused if refusal.hash == TOO_SLOW]
        # Put down without another look at the text.
        self._put_down(cursor, target, slow, unreadable=sql.SQL("true"))
        others = [refusal for refusal in refused if refusal.hash != TOO_SLOW]
        self._put_down(cursor, target.guard(), others)

    def _put_down(
        self, cursor: Cursor, target: Target, refused: Sequence[Refusal], **parts: Any
    ) -> None:
        if not refused:
            return
        parameters = {
            **key_arrays([refusal.key for refusal in refused]),
            "hashes": [refusal.hash for refusal in refused],
            "reasons": [refusal.reason for refusal in refused],
            "attempts": [refusal.attempts for refusal in refused],
            "model": target.model,
        }
        cursor.execute(queries.for_target("quarantine_rows", target, **parts), parameters)

    def _parameters(
        self, target: Target, updates: Sequence[Update], chosen: Sequence[int]
    ) -> dict[str, object]:
        return {
            **key_arrays([updates[i].key for i in chosen]),
            "ords": list(chosen),
            "model": target.model,
            "dimensions": target.dimensions,
            "table": str(target.table),
            "relation": queries.table(target.table).as_string(self._session.connection()),
            "column": target.column,
        }

    def _ensure_stage(self, target: Target) -> None:
        """Make the staging table of this session, before the transaction: a rollback
        would take it away again.
        """
        self._session.connection()
        key = (self._session.generation, target.name)
        if key not in self._stages:
            # Number, not name: a table's name may use up the 63 bytes of an identifier.
            name = f"{queries.ours(target)}vectrue_{len(self._stages)}"
            self._session.rows(
                queries.for_target("stage", target, bound=False, stage=sql.Identifier(name))
            )
            self._stages[key] = name

    def _check_target(self, cursor: Cursor, target: Target) -> None:
        cursor.execute(
            queries.text("wanted_target"), {"table": str(target.table), "column": target.column}
        )
        wanted = cursor.fetchone()
        if wanted is None or wanted[:2] != (target.model, target.dimensions):
            shown = f"{wanted[0]} ({wanted[1]} dimensions)" if wanted else "nothing"
            raise TargetMismatch(
                (
                    f"{target.name} wants vectors of {shown}, this worker makes {target.model} "
                    f"({target.dimensions})"
                ),
                fix="run `vectrue init` with the model you want, then restart the workers",
            )
        if wanted[3] != target.text_digest.hex():
            raise TargetMismatch(
                f"{target.name} wants vectors of another text than this worker's settings say",
                fix=(
                    "run `vectrue init` with the text you want, then restart the workers with "
                    "these settings"
                ),
            )

    def _advance(
        self,
        cursor: Cursor,
        progress: ChunkAdvance,
        updates: Sequence[Update],
        outcome: Mapping[Key, Written],
    ) -> None:
        results = [(update.vector is not None, outcome[update.key]) for update in updates]
        counts = {
            "embedded": results.count((True, Written.WRITTEN)),
            "cleared": results.count((False, Written.WRITTEN)),
            "changed": sum(written is Written.CHANGED for _, written in results),
            "deferred": sum(written is Written.LOCKED for _, written in results),
            "quarantined": progress.quarantined
            + sum(written is Written.QUARANTINED for _, written in results),
        }
        fixed = asdict(progress) | {"run": str(progress.run)}
        cursor.execute(queries.text("advance_chunk"), {**fixed, **counts})
        if cursor.rowcount != 1:
            raise LedgerConflict(
                f"chunk {progress.run}/{progress.number} is no longer at {progress.start} keys"
            )

    def _prepare(self, connection: Connection) -> None:
        self._stages.clear()
        own_writes.limit_waits(connection, self._settings)


def _vectors(updates: Sequence[Update], chosen: Sequence[int]) -> Vector:
    """Those at these positions, which all have one: float32[n, dimensions]."""
    return np.stack([vector for i in chosen if (vector := updates[i].vector) is not None])


def _place(chunk: Chunk) -> dict[str, object]:
    return {"run": str(chunk.run), "number": chunk.number}


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def key_arrays(keys: Sequence[Key]) -> dict[str, object]:
    """Parameters for `{key_arrays}` of a query: one array per key column."""
    return {f"k{i}": list(column) for i, column in enumerate(zip(*keys, strict=True))}
