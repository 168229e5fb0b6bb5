"""The worlds of the store contract: rows in memory or in Postgres, changed from
outside, and the store under test.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol
from uuid import uuid4

import numpy as np
import psycopg2
from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from connectors.postgres.setup.schema import MIGRATIONS
from connectors.postgres.statement import render
from connectors.twins.memory import MemoryRow, MemoryStore
from schemas.messages.chunk import Chunk
from schemas.rows.document import Vector
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from tests.support.workplace import Workplace

TARGET = Target(
    TableName("public", "questions"),
    "embedding",
    "question",
    (KeyColumn("id", "bigint"),),
    "model-a",
    64,
)


def unit(seed: int) -> Vector:
    vector = np.random.default_rng(seed).normal(size=64).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


class World(Protocol):
    """What a test does to the rows from outside, and the store under test."""

    store: PostgresStore | MemoryStore

    def put(self, key: int, text: str | None) -> None: ...
    def delete(self, key: int) -> None: ...
    def want(self, model: str) -> None: ...
    def lock(self, key: int) -> AbstractContextManager[None]: ...
    def edit_in_transaction(self, key: int, text: str) -> AbstractContextManager[int]: ...
    def chunk(self, keys: int) -> Chunk: ...
    def cancel(self, chunk: Chunk) -> None: ...
    def steer(self, chunk: Chunk, state: str, rate: float | None = None) -> None: ...
    def returned(self, chunk: Chunk) -> bool: ...
    def waits(self, chunk: Chunk) -> str | None: ...
    def counts(self, chunk: Chunk) -> dict[str, int]: ...
    def stored(self, key: int) -> tuple[Vector | None, bytes | None, str | None]: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.store = MemoryStore(TARGET)

    def put(self, key: int, text: str | None) -> None:
        old = self.store.rows.get((str(key),), MemoryRow(None))
        self.store.rows[str(key),] = MemoryRow(text, old.vector, old.hash, old.model)

    def delete(self, key: int) -> None:
        del self.store.rows[str(key),]

    def want(self, model: str) -> None:
        self.store.wanted = (model, 64)

    @contextmanager
    def lock(self, key: int) -> Iterator[None]:
        self.store.locked.add((str(key),))
        yield
        self.store.locked.discard((str(key),))

    @contextmanager
    def edit_in_transaction(self, key: int, text: str) -> Iterator[int]:
        xid = self.store.next_xid
        self.store.next_xid += 1
        self.store.in_hand.add(xid)
        with self.lock(key):
            yield xid
        self.put(key, text)
        self.store.in_hand.discard(xid)

    def chunk(self, keys: int) -> Chunk:
        made = Chunk(
            run=uuid4(),
            number=1,
            table=TARGET.table,
            column="embedding",
            model="model-a",
            keys=tuple((str(i),) for i in range(1, keys + 1)),
        )
        self.store.enter(made)
        return made

    def cancel(self, chunk: Chunk) -> None:
        self.store.ledger[str(chunk.run), chunk.number].cancelled = True

    def steer(self, chunk: Chunk, state: str, rate: float | None = None) -> None:
        entry = self.store.ledger[str(chunk.run), chunk.number]
        entry.state, entry.rate = state, rate

    def returned(self, chunk: Chunk) -> bool:
        return self.store.ledger[str(chunk.run), chunk.number].returned

    def waits(self, chunk: Chunk) -> str | None:
        return self.store.ledger[str(chunk.run), chunk.number].waits[-1]

    def counts(self, chunk: Chunk) -> dict[str, int]:
        return {
            k: v for k, v in self.store.ledger[str(chunk.run), chunk.number].counts.items() if v
        }

    def stored(self, key: int) -> tuple[Vector | None, bytes | None, str | None]:
        row = self.store.rows[str(key),]
        return row.vector, row.hash, row.model


def migrate(place: Workplace) -> None:
    """Make the schema vectrue."""
    place.execute("CREATE SCHEMA vectrue")
    for migration in sorted(MIGRATIONS.glob("*.sql")):
        place.execute(migration.read_text(encoding="utf-8"))


def want(place: Workplace, targets: Sequence[Target]) -> None:
    """What `init` puts into a database for these columns, but for rights and capture."""
    session = Session(place.settings.postgres.dsn, role="test")
    try:
        vectors = str(
            place.value(
                "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector'"
            )
        )
        for statement in schema.functions(session, targets, vectors):
            place.execute(statement.sql)
        for target in targets:
            model, dimensions = sql.Literal(target.model), sql.Literal(target.dimensions)
            registered = queries.for_target(
                "register_target", target, bound=False, model=model, dimensions=dimensions
            )
            place.execute(
                render(session, queries.for_target("add_provenance", target, bound=False))
            )
            place.execute(render(session, registered))
    finally:
        session.close()


class PostgresWorld:
    def __init__(self, place: Workplace) -> None:
        self._place = place
        migrate(place)
        want(place, [TARGET])
        self.store = PostgresStore(place.settings.postgres, role="test")

    def put(self, key: int, text: str | None) -> None:
        self._place.execute(
            (
                "INSERT INTO questions (id, question) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE "
                "SET question = %s"
            ),
            (key, text, text),
        )

    def delete(self, key: int) -> None:
        self._place.execute("DELETE FROM questions WHERE id = %s", (key,))

    def want(self, model: str) -> None:
        self._place.execute("UPDATE vectrue.targets SET model = %s", (model,))

    @contextmanager
    def lock(self, key: int) -> Iterator[None]:
        with psycopg2.connect(self._place.settings.postgres.dsn) as other, other.cursor() as cursor:
            cursor.execute("SELECT FROM questions WHERE id = %s FOR UPDATE", (key,))
            yield
            other.rollback()
        other.close()

    @contextmanager
    def edit_in_transaction(self, key: int, text: str) -> Iterator[int]:
        with psycopg2.connect(self._place.settings.postgres.dsn) as other, other.cursor() as cursor:
            cursor.execute("UPDATE questions SET question = %s WHERE id = %s", (text, key))
            cursor.execute("SELECT pg_current_xact_id()::text::bigint %% 4294967296", ())
            (xid,) = cursor.fetchone() or (0,)
            yield int(xid)
        other.close()

    def chunk(self, keys: int) -> Chunk:
        run = uuid4()
        made = Chunk(
            run=run,
            number=1,
            table=TARGET.table,
            column="embedding",
            model="model-a",
            keys=tuple((str(i),) for i in range(1, keys + 1)),
        )
        self._place.execute(
            "INSERT INTO vectrue.replays (run, scope, state) VALUES (%s, 'all', 'running')",
            (str(run),),
        )
        self._place.execute(
            "INSERT INTO vectrue.replay_chunks (run, chunk, table_name, column_name, model, "
            "keys, total_keys)"
            " VALUES (%s, 1, 'public.questions', 'embedding', 'model-a', %s, %s)",
            (str(run), json.dumps(made.keys), keys),
        )
        return made

    def cancel(self, chunk: Chunk) -> None:
        self._place.execute(
            "UPDATE vectrue.replays SET state = 'cancelled' WHERE run = %s", (str(chunk.run),)
        )

    def steer(self, chunk: Chunk, state: str, rate: float | None = None) -> None:
        self._place.execute(
            "UPDATE vectrue.replays SET state = %s, rate = %s WHERE run = %s",
            (state, rate, str(chunk.run)),
        )

    def returned(self, chunk: Chunk) -> bool:
        query = "SELECT returned FROM vectrue.replay_chunks WHERE run = %s"
        return bool(self._place.value(query, (str(chunk.run),)))

    def waits(self, chunk: Chunk) -> str | None:
        value = self._place.value(
            "SELECT waiting FROM vectrue.replays WHERE run = %s", (str(chunk.run),)
        )
        return None if value is None else str(value)

    def counts(self, chunk: Chunk) -> dict[str, int]:
        names = (
            "embedded",
            "cleared",
            "current",
            "blank",
            "gone",
            "changed",
            "deferred",
            "quarantined",
            "failed",
            "obsolete",
        )
        line = self._place.execute(
            f"SELECT {', '.join(names)} FROM vectrue.replay_chunks WHERE run = %s",
            (str(chunk.run),),
        )[0]
        return {name: value for name, value in zip(names, line, strict=True) if value}

    def stored(self, key: int) -> tuple[Vector | None, bytes | None, str | None]:
        text, hash_, model = self._place.execute(
            "SELECT embedding::text, embedding_hash, embedding_model FROM questions WHERE id = %s",
            (key,),
        )[0]
        vector = (
            None
            if text is None
            else np.array([float(x) for x in text[1:-1].split(",")], np.float32)
        )
        return vector, None if hash_ is None else bytes(hash_), model
