"""Rows in quarantine and what was done about dead letters, from the operator's side.

The worker's side, putting rows in and taking them out with their vectors, is in `store`.

Hazard: a row leaves quarantine in the transaction that enters it into the replay ledger. So a command killed
afterwards leaves a run that `embedsync replay resume` finishes, and a row that counts as missing or stale: never one
that nobody looks at. Until then the run holds the column, and `embedsync replay run` and the keeper leave it alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.ledger import request_parameters
from connectors.postgres.session import Session
from schemas.chunk import Chunk
from schemas.dead_letter import Entry, State, row_id
from schemas.errors import PoisonEvent
from schemas.replay import Request
from schemas.table import Key
from schemas.target import Target

NO_TIME = datetime.fromtimestamp(0, UTC)
"""Stands for the time of a letter that bears none."""

Mark = tuple[State, datetime, str | None]
"""State, time of the newest letter it is about, outcome."""


def read(session: Session) -> list[Entry]:
    """The rows in quarantine, oldest first."""
    return [
        Entry(
            row_id(table, column, tuple(key)), "row", table, column, tuple(key), reason, "PoisonText", "embed",
            attempts, first_at, last_at,
        )
        for table, column, key, reason, attempts, first_at, last_at in session.rows(queries.text("quarantined"))
    ]  # fmt: skip


def leave(session: Session, table: str, column: str, keys: Sequence[Key]) -> None:
    """Take rows out of quarantine; they count as missing or stale from now on."""
    session.rows(queries.text("leave_quarantine"), _rows(table, column, keys))


def enter_replay(session: Session, rows: Mapping[Target, Sequence[Key]], chunk_size: int) -> tuple[UUID, list[Chunk]]:
    """Take rows out of quarantine and enter them as a run, in one transaction.

    Returns:
        the run, and its chunks to be sent.
    """
    run, chunks = uuid4(), list[Chunk]()
    with session.transaction() as cursor:
        cursor.execute(queries.text("create_replay"), request_parameters(run, Request("all", keys=True)))
        for target, keys in rows.items():
            scope = {"run": str(run), "table": str(target.table), "column": target.column}
            cursor.execute(queries.text("create_scope"), scope | {"model": target.model, "expected": len(keys)})
            cursor.execute(queries.text("leave_quarantine"), _rows(str(target.table), target.column, keys))
            parts = [tuple(keys[start : start + chunk_size]) for start in range(0, len(keys), chunk_size)]
            chunks += [
                Chunk(target.table, target.column, target.model, part, run, len(chunks) + i)
                for i, part in enumerate(parts, 1)
            ]
        lines = [(str(run), c.number, str(c.table), c.column, c.model, json.dumps(c.keys), len(c.keys)) for c in chunks]
        execute_values(cursor, queries.text("add_chunk"), lines)
        cursor.execute(queries.text("end_of_keys"), {"run": str(run)})
    return run, chunks


def states(session: Session, target: Target, keys: Sequence[Key]) -> dict[Key, str]:
    """State of rows, by the names of `embedsync status`; `gone` for a key without a row, or one no row can have."""
    parameters: dict[str, Any] = {f"k{i}": list(column) for i, column in enumerate(zip(*keys, strict=True))}
    query = queries.for_target("row_states", target)
    try:
        lines = session.rows(query, parameters | {"model": target.model})
    except PoisonEvent:
        if len(keys) == 1:
            return {keys[0]: "gone"}
        middle = len(keys) // 2
        return states(session, target, keys[:middle]) | states(session, target, keys[middle:])
    return {keys[ord_ - 1]: state or "gone" for ord_, state in lines}


def marks(session: Session) -> dict[str, Mark]:
    """What was done about dead letters, by id."""
    lines = session.rows(queries.text("marked_dead_letters"))
    return {id_: (State(state), seen_at, outcome) for id_, state, seen_at, outcome in lines}


def mark(session: Session, entries: Iterable[Entry], state: State, outcomes: Mapping[str, str | None]) -> None:
    """Remember what was done about dead letters; `outcomes` by id."""
    lines = [(e.id, state.value, e.last_at or NO_TIME, outcomes.get(e.id)) for e in entries]
    if lines:
        with session.transaction() as cursor:
            execute_values(cursor, queries.text("mark_dead_letters"), lines)


def forget(session: Session, present: Sequence[str]) -> None:
    """Drop the marks of letters that the topic holds no longer."""
    session.rows(queries.text("forget_dead_letters"), {"present": list(present)})


def _rows(table: str, column: str, keys: Sequence[Key]) -> dict[str, object]:
    return {"table": table, "column": column, "keys": json.dumps([list(key) for key in keys])}
