"""New runs and their chunks, entered in a transaction of the caller's.

Hazard: two unfinished runs must not have the same column. So a command that enters a run
locks a row first (`enter_replay`), and others wait for its commit.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from connectors.postgres import queries
from schemas.messages.chunk import Chunk, deal
from schemas.reports.replay import Request, Run
from schemas.rows.table import Key
from schemas.rows.target import Target

MOST_RUNS = 1_000
"""Runs under way at a time. Each has a column to itself, so this is above the number of
columns.
"""
_REQUEST = (
    "only",
    "where",
    "since",
    "force",
    "keys",
    "requested_by",
    "chunk_size",
    "rate",
    "max_live_lag",
)
"""Fields of a request that the ledger keeps."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One column of a run.

    Attributes:
        target: the column.
        expected: how many rows the run set out to send.
        cursor: the last key that was enumerated; None before the first.
        enumerated: whether all keys are.
    """

    target: Target
    expected: int
    cursor: Key | None = None
    enumerated: bool = False


def create(cursor: Cursor, scopes: Sequence[Scope], request: Request) -> UUID | None:
    """Enter a run without chunks.

    Returns:
        the run; None if an unfinished one has one of the columns: nothing was entered.
    """
    run = uuid4()
    columns = [scope.target.name for scope in scopes]
    # Until the commit, no other command can enter a run over these columns.
    cursor.execute(queries.text("enter_replay"))
    asked = {"prefix": "", "columns": columns, "unfinished": True, "limit": MOST_RUNS}
    cursor.execute(queries.text("replays"), asked)
    if in_the_way(runs_of(cursor.fetchall()), request) is not None:
        return None
    give_way(cursor, columns, request)
    parameters: dict[str, object] = {"run": str(run)}
    for name in _REQUEST:
        parameters[name] = getattr(request, name)
    cursor.execute(queries.text("create_replay"), parameters)
    for scope in scopes:
        parameters = place(run, scope.target)
        parameters.update(model=scope.target.model, expected=scope.expected)
        cursor.execute(queries.text("create_scope"), parameters)
    return run


def create_keys(
    cursor: Cursor, target: Target, keys: Sequence[Key], chunk_size: int
) -> UUID | None:
    """Enter a whole run over these rows, with its chunks, to be sent after the commit.

    Returns:
        the run; None if an unfinished one has the column: nothing was entered.
    """
    run = create(cursor, [Scope(target, len(keys))], Request("all", keys=True))
    if run is not None:
        enter_chunks(cursor, run, target, keys, chunk_size)
        cursor.execute(queries.text("end_of_keys"), {"run": str(run)})
    return run


def enter_chunks(
    cursor: Cursor, run: UUID, target: Target, keys: Sequence[Key], size: int
) -> list[Chunk]:
    """Enter keys of a run as chunks.

    Args:
        cursor: within the transaction.
        run: which.
        target: the column.
        keys: a page of them, in the order of the primary key.
        size: most keys in a chunk.

    Returns:
        the chunks, to be sent after the commit.
    """
    if not keys:
        return []
    # Another command may enter another column of the run, and take the same numbers.
    cursor.execute(queries.text("enter_replay"))
    # Numbers go on over all columns of the run.
    cursor.execute(queries.text("last_chunk"), {"run": str(run)})
    (last,) = cursor.fetchone() or (0,)
    chunks, lines = [], []
    for number, part in enumerate(deal(keys, size), last + 1):
        chunks.append(_chunk(run, number, target, part))
        table, encoded = str(target.table), json.dumps(part)
        lines.append((str(run), number, table, target.column, target.model, encoded, len(part)))
    execute_values(cursor, queries.text("add_chunk"), lines)
    return chunks


def _chunk(run: UUID, number: int, target: Target, keys: Sequence[Key]) -> Chunk:
    return Chunk(
        run=run,
        number=number,
        table=target.table,
        column=target.column,
        model=target.model,
        keys=tuple(keys),
    )


def give_way(cursor: Cursor, columns: Sequence[str], request: Request) -> None:
    """End the keeper's runs over these columns, where a person asks for a run."""
    if request.requested_by == "operator":
        parameters = {"columns": list(columns), "covers": request.covers_stale}
        cursor.execute(queries.text("give_way"), parameters)


def in_the_way(found: Iterable[Run], request: Request) -> Run | None:
    """The first of these runs that does not give way to a request."""
    for run in found:
        if not run.gives_way_to(request):
            return run
    return None


def runs_of(lines: Iterable[tuple[Any, ...]]) -> list[Run]:
    """Read runs from lines of the query `replays`."""
    return [_run(line) for line in lines]


def place(run: UUID, target: Target) -> dict[str, object]:
    """Parameters that name a column of a run."""
    return {"run": str(run), "table": str(target.table), "column": target.column}


def _run(line: tuple[Any, ...]) -> Run:
    run, state, created, finished, waiting, seconds, names, *asked = line
    only, where, since, force, keys, rate, max_live_lag, chunk_size, requested_by = asked
    return Run(
        run=UUID(run),
        state=state,
        created_at=created,
        finished_at=finished,
        waiting=waiting,
        waiting_seconds=seconds,
        columns=tuple(names or ()),
        request=Request(
            only=only,
            where=where,
            since=since,
            force=force,
            keys=keys,
            rate=rate,
            max_live_lag=max_live_lag,
            chunk_size=chunk_size,
            requested_by=requested_by,
        ),
    )
