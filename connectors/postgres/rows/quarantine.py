"""Rows in quarantine, and what was done about dead letters.

A worker puts rows in with its write (`enter`), and a row that is written leaves again
(compare_and_set.py). Everything else here is for the operator's commands.

Hazard: a command that is killed after `enter_replay` leaves a run that `vectrue replay
resume` finishes, and a row that counts as missing or stale. Until then the run holds the
column: `vectrue replay run` and the keeper leave it alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.ledger import entering
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent
from schemas.messages.dead_letter import Entry, EntryState, row_id
from schemas.rows.document import TOO_SLOW, Refusal
from schemas.rows.table import Key
from schemas.rows.target import Target

NO_TIME = datetime.fromtimestamp(0, UTC)
"""In place of the time of a dead letter that has none."""

Mark = tuple[EntryState, datetime, str | None]
"""State, time of the newest dead letter it is about, outcome."""


def enter(cursor: Cursor, target: Target, refused: Sequence[Refusal]) -> None:
    """Put rows into quarantine, those that still have the refused text.

    Args:
        cursor: within the transaction of a write.
        target: the column.
        refused: at most one per row.
    """
    slow: list[Refusal] = []
    others: list[Refusal] = []
    for refusal in refused:
        chosen = slow if refusal.hash == TOO_SLOW else others
        chosen.append(refusal)
    # Reading a text that took too long would take too long again.
    _enter(cursor, target, slow, unreadable=sql.SQL("true"))
    _enter(cursor, target.guard(), others)


def _enter(cursor: Cursor, target: Target, refused: Sequence[Refusal], **parts: Any) -> None:
    if not refused:
        return
    keys, hashes, reasons, attempts = [], [], [], []
    for refusal in refused:
        keys.append(refusal.key)
        hashes.append(refusal.hash)
        reasons.append(refusal.reason)
        attempts.append(refusal.attempts)
    parameters = {
        **key_arrays(keys),
        "hashes": hashes,
        "reasons": reasons,
        "attempts": attempts,
        "model": target.model,
    }
    query = queries.for_target("quarantine_rows", target, **parts)
    cursor.execute(query, parameters)


def read(session: Session) -> list[Entry]:
    """The rows in quarantine, oldest first."""
    lines = session.rows(queries.text("quarantined"))
    return [_entry(line) for line in lines]


def _entry(line: tuple[Any, ...]) -> Entry:
    table, column, columns, reason, attempts, first_at, last_at = line
    key = tuple(columns)
    return Entry(
        id=row_id(table, column, key),
        kind="row",
        table=table,
        column=column,
        key=key,
        reason=reason,
        error="PoisonText",
        stage="embed",
        attempts=attempts,
        first_at=first_at,
        last_at=last_at,
    )


def leave(session: Session, table: str, column: str, keys: Sequence[Key]) -> None:
    """Take rows out of quarantine; from then on they count as missing or stale."""
    session.rows(queries.text("leave_quarantine"), _rows(table, column, keys))


def enter_replay(
    session: Session, target: Target, keys: Sequence[Key], chunk_size: int
) -> UUID | None:
    """Take rows out of quarantine and enter them as a run.

    Returns:
        the run, to be sent; None if an unfinished run has the column, and the rows are
        still in quarantine.
    """
    # In one transaction with the ledger, so that no row is forgotten between the two.
    with session.transaction() as cursor:
        run = entering.create_keys(cursor, target, keys, chunk_size)
        if run is not None:
            cursor.execute(
                queries.text("leave_quarantine"), _rows(str(target.table), target.column, keys)
            )
    return run


def states(session: Session, target: Target, keys: Sequence[Key]) -> dict[Key, str]:
    """Return the state of rows by key, in the words of `vectrue status`.

    A key that no row has, or can have, is `gone`.
    """
    query = queries.for_target("row_states", target.guard())
    try:
        lines = session.rows(query, {**key_arrays(keys), "model": target.model})
    except PoisonEvent:
        # One key is not a value of its column's type: halve until it is alone.
        if len(keys) == 1:
            return {keys[0]: "gone"}
        middle = len(keys) // 2
        return states(session, target, keys[:middle]) | states(session, target, keys[middle:])
    return {keys[ord_ - 1]: state or "gone" for ord_, state in lines}


def marks(session: Session) -> dict[str, Mark]:
    """What was done about dead letters, by id."""
    found: dict[str, Mark] = {}
    for id_, state, seen_at, outcome in session.rows(queries.text("marked_dead_letters")):
        found[id_] = (EntryState(state), seen_at, outcome)
    return found


def mark(
    session: Session,
    prefix: str,
    entries: Iterable[Entry],
    state: EntryState,
    outcomes: Mapping[str, str | None],
) -> None:
    """Record what was done about an installation's dead letters.

    Args:
        session: of a role that may write the schema vectrue.
        prefix: kafka.topic_prefix of the installation.
        entries: the dead letters.
        state: what was done.
        outcomes: what came of it, by id.
    """
    lines = []
    for entry in entries:
        seen_at = entry.last_at or NO_TIME
        lines.append((entry.id, state.value, seen_at, outcomes.get(entry.id), prefix))
    if lines:
        with session.transaction() as cursor:
            execute_values(cursor, queries.text("mark_dead_letters"), lines)


def forget(session: Session, prefix: str, present: Sequence[str]) -> None:
    """Drop the marks of dead letters that the installation's topic no longer holds."""
    session.rows(queries.text("forget_dead_letters"), {"prefix": prefix, "present": list(present)})


def _rows(table: str, column: str, keys: Sequence[Key]) -> dict[str, object]:
    return {"table": table, "column": column, "keys": json.dumps(list(keys))}
