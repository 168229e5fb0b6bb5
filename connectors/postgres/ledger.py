"""The command's side of the ledger: creating runs, enumerating keys into chunks, and reading how far they are.

The worker's side, advancing a chunk with its vectors, is in `store`.

Hazard: a chunk enters the ledger with its keys and in the transaction that moves the cursor, and is sent afterwards.
So a command killed anywhere leaves chunks that were never sent (sent again by the next run of the command), never a
gap.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal
from uuid import UUID, uuid4

from psycopg2 import sql
from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.chunk import Chunk
from schemas.table import Key, TableName
from schemas.target import Target

Only = Literal["missing", "stale", "all"]

_STATES: dict[Only, tuple[str, ...]] = {
    "missing": ("missing",),
    "stale": ("missing", "stale_text", "stale_model"),
}
PAGE_CHUNKS = 20
"""Chunks added to the ledger and sent together: at 500 keys each, 10,000 keys in memory."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One column of a run: how many rows it set out to send, and how far its keys are enumerated."""

    target: Target
    expected: int
    cursor: Key | None = None
    enumerated: bool = False


@dataclass(frozen=True, slots=True)
class ScopeProgress:
    """One column of a run as the ledger has it; counts of rows."""

    table: str
    column: str
    state: str
    expected: int
    enumerated: bool
    sent: int
    done: int
    embedded: int
    cleared: int
    current: int
    blank: int
    gone: int
    changed: int
    deferred: int
    quarantined: int
    failed: int
    obsolete: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


class RunLedger:
    """Runs in the database, over one connection."""

    def __init__(self, session: Session) -> None:
        """Use this connection."""
        self._session = session

    def expected(self, target: Target, only: Only) -> int:
        """Rows that a run over a target would send, counted."""
        names = ["rows"] if only == "all" else [*_STATES[only]]
        total = sql.SQL(" + ").join(map(sql.Identifier, names))
        query = sql.SQL(
            "SELECT {} FROM embedsync.coverage WHERE table_name = %s AND column_name = %s"
        ).format(total)  # fmt: skip
        return int(self._session.rows(query, (str(target.table), target.column))[0][0])

    def unfinished(self, targets: Sequence[Target]) -> tuple[UUID, Only, list[str]] | None:
        """The oldest run that is not finished and touches one of these columns: its id, scope and columns."""
        columns = [f"{target.table}.{target.column}" for target in targets]
        lines = self._session.rows(queries.text("unfinished_replay"), {"columns": columns})
        return (UUID(str(lines[0][0])), lines[0][1], lines[0][2]) if lines else None

    def create(self, scopes: Sequence[Scope], only: Only) -> UUID:
        """Enter a new run; nothing is enumerated yet."""
        run = uuid4()
        with self._session.transaction() as cursor:
            cursor.execute(queries.text("create_replay"), {"run": str(run), "only": only})
            for scope in scopes:
                parameters = _scope(run, scope.target) | {"model": scope.target.model, "expected": scope.expected}
                cursor.execute(queries.text("create_scope"), parameters)
        return run

    def scopes(self, run: UUID, targets: Sequence[Target]) -> list[Scope]:
        """The columns of a run, with the targets they belong to; a column that is no longer configured is left out."""
        known = {(str(target.table), target.column): target for target in targets}
        found = []
        for table, column, model, expected, cursor, enumerated in self._session.rows(
            queries.text("scopes_of_replay"), {"run": str(run)}
        ):
            target = known.get((table, column))
            if target is not None:
                scope_target = replace(target, model=model)
                found.append(Scope(scope_target, expected, tuple(cursor) if cursor else None, enumerated))
        return found

    def enumerate(self, run: UUID, scope: Scope, only: Only, chunk_size: int) -> Iterator[list[Chunk]]:
        """Go through a column's keys in the order of the primary key and enter them as chunks.

        Yields:
            the chunks just entered, to be sent; a page is at most PAGE_CHUNKS chunks.
        """
        cursor_key = scope.cursor
        while True:
            limit = chunk_size * PAGE_CHUNKS
            keys = self._next_keys(scope.target, only, cursor_key, limit)
            cursor_key = keys[-1] if keys else cursor_key
            yield self._enter(run, scope.target, keys, cursor_key, chunk_size, enumerated=len(keys) < limit)
            if len(keys) < limit:
                return

    def unsent(self, run: UUID, *, everything: bool) -> Iterator[list[Chunk]]:
        """Chunks of a run to send (again): those never sent, or with `everything` all that are not handled."""
        lines = self._session.rows(queries.text("unsent_chunks"), {"run": str(run), "all": everything})
        chunks = [
            Chunk(TableName.parse(table), column, model, tuple(tuple(key) for key in keys), run, number)
            for number, table, column, model, keys in lines
        ]
        for start in range(0, len(chunks), PAGE_CHUNKS):
            yield chunks[start : start + PAGE_CHUNKS]

    def mark_sent(self, run: UUID, chunks: Sequence[Chunk]) -> None:
        """Remember that the broker has acknowledged these chunks."""
        parameters = {"run": str(run), "chunks": [chunk.number for chunk in chunks]}
        self._session.rows(queries.text("mark_sent"), parameters)

    def finish(self, run: UUID) -> None:
        """Mark a run as done if everything is enumerated and handled."""
        self._session.rows(queries.text("finish_replay"), {"run": str(run)})

    def progress(self, run: UUID) -> list[ScopeProgress]:
        """How far each column of a run is."""
        lines = self._session.rows(queries.text("replay_progress"), {"run": str(run)})
        return [ScopeProgress(*line) for line in lines]

    def _next_keys(self, target: Target, only: Only, after: Key | None, limit: int) -> list[Key]:
        bounds = sql.SQL(", ").join(
            sql.SQL("%(c{})s::{}").format(sql.SQL(str(i)), sql.SQL(column.type)) for i, column in enumerate(target.key)
        )
        cursor = queries.for_target("after_cursor", target, bounds=bounds) if after else sql.SQL("true")
        row_state = queries.for_target("row_state", target)
        wanted: sql.Composable = sql.SQL("true")
        if only != "all":
            states = sql.SQL(", ").join(map(sql.Literal, _STATES[only]))
            wanted = sql.SQL("{} IN ({})").format(row_state, states)
        query = queries.for_target("enumerate_keys", target, after_cursor=cursor, wanted_states=wanted)
        parameters: dict[str, object] = {"model": target.model, "limit": limit}
        parameters |= {f"c{i}": value for i, value in enumerate(after or ())}
        return [tuple(key) for (key,) in self._session.rows(query, parameters)]

    def _enter(
        self, run: UUID, target: Target, keys: Sequence[Key], cursor_key: Key | None, size: int, *, enumerated: bool
    ) -> list[Chunk]:
        first = int(self._session.rows(queries.text("last_chunk"), {"run": str(run)})[0][0]) + 1
        parts = [tuple(keys[start : start + size]) for start in range(0, len(keys), size)]
        chunks = [
            Chunk(target.table, target.column, target.model, part, run, first + i) for i, part in enumerate(parts)
        ]
        lines = [(str(run), c.number, str(c.table), c.column, c.model, json.dumps(c.keys), len(c.keys)) for c in chunks]
        with self._session.transaction() as cursor:
            if lines:
                execute_values(cursor, queries.text("add_chunk"), lines)
            moved = {"cursor": list(cursor_key) if cursor_key else None, "enumerated": enumerated}
            cursor.execute(queries.text("move_cursor"), _scope(run, target) | moved)
        return chunks


def _scope(run: UUID, target: Target) -> dict[str, object]:
    return {"run": str(run), "table": str(target.table), "column": target.column}
