"""Rows in quarantine and what was done about dead letters, from the operator's side.

The worker's side, putting rows in and taking them out with their vectors, is in
`store`.

Hazard: a row leaves quarantine in the transaction that enters it into the replay
ledger. So a command killed afterwards leaves a run that `vectrue replay resume`
finishes, and a row that counts as missing or stale: never one that nobody looks at.
Until then the run holds the column, and `vectrue replay run` and the keeper leave it
alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.ledger import runs as ledger
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent
from schemas.messages.dead_letter import Entry, EntryState, row_id
from schemas.rows.table import Key
from schemas.rows.target import Target

NO_TIME = datetime.fromtimestamp(0, UTC)
"""Stands for the time of a letter that bears none."""

Mark = tuple[EntryState, datetime, str | None]
"""State, time of the newest letter it is about, outcome."""


def read(session: Session) -> list[Entry]:
    """The rows in quarantine, oldest first."""
    return [
        Entry(
            row_id(table, column, tuple(key)),
            "row",
            table,
            column,
            tuple(key),
            reason,
            "PoisonText",
            "embed",
            attempts,
            first_at,
            last_at,
        )
        for table, column, key, reason, attempts, first_at, last_at in session.rows(
            queries.text("quarantined")
        )
    ]


def leave(session: Session, table: str, column: str, keys: Sequence[Key]) -> None:
    """Take rows out of quarantine; they count as missing or stale from now on."""
    session.rows(queries.text("leave_quarantine"), _rows(table, column, keys))


def enter_replay(
    session: Session, target: Target, keys: Sequence[Key], chunk_size: int
) -> UUID | None:
    """Take rows out of quarantine and enter them as a run, in one transaction.

    Returns:
        the run, to be sent; None if an unfinished one has the column: the rows are in
        quarantine still.
    """
    with session.transaction() as cursor:
        run = ledger.create_keys(cursor, target, keys, chunk_size)
        if run is not None:
            cursor.execute(
                queries.text("leave_quarantine"), _rows(str(target.table), target.column, keys)
            )
    return run


def states(session: Session, target: Target, keys: Sequence[Key]) -> dict[Key, str]:
    """State of rows, by the names of `vectrue status`; `gone` for a key without a row,
    or one no row can have.
    """
    parameters: dict[str, Any] = {
        f"k{i}": list(column) for i, column in enumerate(zip(*keys, strict=True))
    }
    query = queries.for_target("row_states", target.guard())
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
    return {id_: (EntryState(state), seen_at, outcome) for id_, state, seen_at, outcome in lines}


def mark(
    session: Session,
    prefix: str,
    entries: Iterable[Entry],
    state: EntryState,
    outcomes: Mapping[str, str | None],
) -> None:
    """Remember what was done about an installation's dead letters; `outcomes` by id."""
    lines = [(e.id, state.value, e.last_at or NO_TIME, outcomes.get(e.id), prefix) for e in entries]
    if lines:
        with session.transaction() as cursor:
            execute_values(cursor, queries.text("mark_dead_letters"), lines)


def forget(session: Session, prefix: str, present: Sequence[str]) -> None:
    """Drop the marks of letters that the installation's topic holds no longer."""
    session.rows(queries.text("forget_dead_letters"), {"prefix": prefix, "present": list(present)})


def _rows(table: str, column: str, keys: Sequence[Key]) -> dict[str, object]:
    return {"table": table, "column": column, "keys": json.dumps([list(key) for key in keys])}
