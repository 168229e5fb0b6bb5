"""The command's side of the ledger: creating runs, entering keys as chunks, steering,
and reading how far they are.

The worker's side, advancing a chunk with its vectors, is in `store`.

Hazard: a chunk enters the ledger with its keys and in the transaction that moves the
cursor, and is sent afterwards. So a command killed anywhere leaves chunks that were
never sent (sent again by the next run of the command), never a gap. Two commands on one
run cannot both enter a page: the cursor is compared when it moves.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from connectors.postgres import queries
from connectors.postgres.ledger import enumeration
from connectors.postgres.session import Session
from schemas.messages.chunk import Chunk, deal
from schemas.reports.replay import Only, Request, Run, ScopeProgress
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target

__all__ = ["Only", "RunLedger", "Scope", "ScopeProgress", "Taken"]

MOST_RUNS = 1_000
"""Runs under way at a time: each holds a column, so there are as many as columns at
most.
"""
PAGE_CHUNKS = 20
"""Chunks added to the ledger and sent together: at 500 keys each, 10,000 keys in
memory.
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """One column of a run: how many rows it set out to send, and how far its keys are
    enumerated.
    """

    target: Target
    expected: int
    cursor: Key | None = None
    enumerated: bool = False


class Taken(Exception):
    """Another command enumerates this column of the run; the page was not entered."""


class RunLedger:
    """Runs in the database, over one connection."""

    def __init__(self, session: Session) -> None:
        """Use this connection."""
        self._session = session

    def find(
        self,
        prefix: str = "",
        columns: Sequence[str] | None = None,
        *,
        unfinished: bool = False,
        limit: int = 50,
    ) -> list[Run]:
        """Runs, newest first.

        Args:
            prefix: how their id begins.
            columns: `schema.table.column` names, of which a run has at least one; any
                when None.
            unfinished: only those that are planned, running or paused.
            limit: at most so many.
        """
        asked = {"prefix": prefix, "columns": columns, "unfinished": unfinished, "limit": limit}
        return [_run(line) for line in self._session.rows(queries.text("replays"), asked)]

    def in_the_way(self, columns: Sequence[str], request: Request) -> Run | None:
        """An unfinished run that holds one of these columns and does not give way to
        this request.
        """
        return _in_the_way(self.find(columns=columns, unfinished=True, limit=MOST_RUNS), request)

    def create(self, scopes: Sequence[Scope], request: Request) -> UUID | None:
        """Enter a new run; nothing is enumerated yet. None if an unfinished run has one
        of the columns.

        One of the keeper's is no such run: it ends, and a person's takes its place.
        """
        with self._session.transaction() as cursor:
            return _create(cursor, scopes, request)

    def give_way(self, columns: Sequence[str], request: Request) -> None:
        """End the keeper's runs over these columns, since a person asks for what they
        do.
        """
        with self._session.transaction() as cursor:
            cursor.execute(queries.text("enter_replay"))
            _give_way(cursor, columns, request)

    def scopes(self, run: UUID, targets: Sequence[Target]) -> list[Scope]:
        """The columns of a run, with the targets they belong to; a column that is no
        longer configured is left out.
        """
        known = {(str(target.table), target.column): target for target in targets}
        found = []
        for table, column, model, expected, cursor, enumerated in self._session.rows(
            queries.text("scopes_of_replay"), {"run": str(run)}
        ):
            target = known.get((table, column))
            if target is not None:
                scope_target = replace(target, model=model)
                found.append(
                    Scope(scope_target, expected, tuple(cursor) if cursor else None, enumerated)
                )
        return found

    def enumerate(
        self, run: UUID, scope: Scope, request: Request, chunk_size: int
    ) -> Iterator[list[Chunk]]:
        """Go through a column's keys in the order of the primary key and enter them as
        chunks.

        Yields:
            the chunks just entered, to be sent; a page is at most PAGE_CHUNKS chunks,
            of about the same size.

        Raises:
            Taken: another command does it.
        """
        before, target = scope.cursor, scope.target
        while True:
            limit = chunk_size * PAGE_CHUNKS
            keys = enumeration.next_keys(self._session, target, request, before, limit)
            after = keys[-1] if keys else before
            last = len(keys) < limit
            with self._session.transaction() as cursor:
                moved = {"cursor": _array(after), "before": _array(before), "enumerated": last}
                cursor.execute(queries.text("move_cursor"), _scope(run, target) | moved)
                if cursor.rowcount != 1:
                    raise Taken
                chunks = _enter(cursor, run, target, keys, chunk_size)
            yield chunks
            if last:
                return
            before = after

    def enter_keys(self, run: UUID, target: Target, keys: Sequence[Key], chunk_size: int) -> None:
        """Enter keys of a planned run as chunks; they are sent when all are read."""
        with self._session.transaction() as cursor:
            _enter(cursor, run, target, keys, chunk_size)

    def end_keys(self, run: UUID) -> bool:
        """All keys of a planned run are entered: it runs from now on. False if it was
        cancelled meanwhile.
        """
        return bool(self._session.rows(queries.text("end_of_keys"), {"run": str(run)}))

    def unsent(self, run: UUID, *, everything: bool) -> Iterator[list[Chunk]]:
        """Chunks of a run to send (again): those never sent or returned, or with
        `everything` all that are not handled.

        Their marks are taken away before they are yielded, so that they are still found
        if the caller dies.
        """
        after = 0
        while True:
            asked = {"run": str(run), "all": everything, "after": after, "limit": PAGE_CHUNKS}
            lines = self._session.rows(queries.text("unsent_chunks"), asked)
            if not lines:
                return
            chunks = [
                Chunk(
                    TableName.parse(table),
                    column,
                    model,
                    tuple(tuple(key) for key in keys),
                    run,
                    number,
                )
                for number, table, column, model, keys in lines
            ]
            after = chunks[-1].number
            self._session.rows(queries.text("unmark_sent"), _numbers(run, chunks))
            yield chunks

    def mark_sent(self, run: UUID, chunks: Sequence[Chunk]) -> None:
        """Remember that the broker has acknowledged these chunks."""
        self._session.rows(queries.text("mark_sent"), _numbers(run, chunks))

    def finish(self, run: UUID) -> None:
        """Mark a run as done if everything is enumerated and handled."""
        self._session.rows(queries.text("finish_replay"), {"run": str(run)})

    def set_state(self, run: UUID, state: str, *, after: Sequence[str]) -> bool:
        """Change a run's state if it is in one of those in `after`; says whether it
        was.
        """
        parameters = {"run": str(run), "state": state, "from": list(after)}
        return bool(self._session.rows(queries.text("set_replay_state"), parameters))

    def set_limits(self, run: UUID, limits: dict[str, float | None]) -> bool:
        """Change `rate` and `max_live_lag`, those that are given; says whether the run
        is unfinished.
        """
        parameters = {
            "run": str(run),
            "set_rate": "rate" in limits,
            "rate": limits.get("rate"),
            "set_lag": "max_live_lag" in limits,
            "max_live_lag": limits.get("max_live_lag"),
        }
        return bool(self._session.rows(queries.text("set_replay_limits"), parameters))

    def progress(self, run: UUID) -> list[ScopeProgress]:
        """How far each column of a run is."""
        lines = self._session.rows(queries.text("replay_progress"), {"run": str(run)})
        return [ScopeProgress(*line) for line in lines]

    def speeds(self, run: UUID) -> dict[str | None, float]:
        """Rows per second over the last two minutes by `schema.table.column`, and under
        None of all columns together.

        What finished no chunk in them is left out.
        """
        lines = self._session.rows(queries.text("replay_speed"), {"run": str(run)})
        return {column: float(speed) for column, speed in lines if speed is not None}

    def measured_rate(self, target: Target) -> tuple[str, float] | None:
        """The last run that embedded rows of this column with this model, and rows per
        second of one worker in it.

        Of runs that never had a limit, and of the time in which chunks were handled.
        """
        parameters = {"table": str(target.table), "column": target.column, "model": target.model}
        lines = self._session.rows(queries.text("measured_rate"), parameters)
        return (str(lines[0][0]), float(lines[0][1])) if lines else None

    def dead_rows(self, target: Target) -> tuple[int, int, int, bool]:
        """Live and dead row versions, bytes of the table with indexes and TOAST, and
        whether it was just vacuumed.
        """
        parameters = {"table": queries.table(target.table).as_string(self._session.connection())}
        live, dead, size, vacuumed = self._session.rows(queries.text("dead_rows"), parameters)[0]
        return int(live), int(dead), int(size), bool(vacuumed)


def create_keys(
    cursor: Cursor, target: Target, keys: Sequence[Key], chunk_size: int
) -> UUID | None:
    """Enter a whole run over these rows, chunks and all, in a transaction of the
    caller's; to be sent once it commits.

    Returns:
        the run; None if an unfinished one has the column: nothing was entered.
    """
    run = _create(cursor, [Scope(target, len(keys))], Request("all", keys=True))
    if run is not None:
        _enter(cursor, run, target, keys, chunk_size)
        cursor.execute(queries.text("end_of_keys"), {"run": str(run)})
    return run


def _create(cursor: Cursor, scopes: Sequence[Scope], request: Request) -> UUID | None:
    run = uuid4()
    columns = [scope.target.name for scope in scopes]
    cursor.execute(queries.text("enter_replay"))
    cursor.execute(
        queries.text("replays"),
        {"prefix": "", "columns": columns, "unfinished": True, "limit": MOST_RUNS},
    )
    if _in_the_way(map(_run, cursor.fetchall()), request) is not None:
        return None
    _give_way(cursor, columns, request)
    cursor.execute(queries.text("create_replay"), _request(run, request))
    for scope in scopes:
        parameters = _scope(run, scope.target) | {
            "model": scope.target.model,
            "expected": scope.expected,
        }
        cursor.execute(queries.text("create_scope"), parameters)
    return run


def _in_the_way(found: Iterable[Run], request: Request) -> Run | None:
    return next((run for run in found if not run.gives_way_to(request)), None)


def _run(line: tuple[Any, ...]) -> Run:
    run, state, created, finished, waiting, seconds, names, *request = line
    return Run(
        UUID(run), state, created, finished, waiting, seconds, tuple(names or ()), Request(*request)
    )


def _give_way(cursor: Cursor, columns: Sequence[str], request: Request) -> None:
    if request.requested_by == "operator":
        cursor.execute(
            queries.text("give_way"), {"columns": list(columns), "covers": request.covers_stale}
        )


def _enter(
    cursor: Cursor, run: UUID, target: Target, keys: Sequence[Key], size: int
) -> list[Chunk]:
    if not keys:
        return []
    # Other columns of the run may be entered by another command: they take turns from
    # here to the commit.
    cursor.execute(queries.text("enter_replay"))
    cursor.execute(queries.text("last_chunk"), {"run": str(run)})
    (last,) = cursor.fetchone() or (0,)
    parts = deal(keys, size)
    chunks = [
        Chunk(target.table, target.column, target.model, part, run, last + 1 + i)
        for i, part in enumerate(parts)
    ]
    lines = [
        (str(run), c.number, str(c.table), c.column, c.model, json.dumps(c.keys), len(c.keys))
        for c in chunks
    ]
    execute_values(cursor, queries.text("add_chunk"), lines)
    return chunks


def _array(key: Key | None) -> list[str] | None:
    return None if key is None else list(key)


def _numbers(run: UUID, chunks: Sequence[Chunk]) -> dict[str, object]:
    return {"run": str(run), "chunks": [chunk.number for chunk in chunks]}


def _request(run: UUID, request: Request) -> dict[str, Any]:
    names = (
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
    return {name: getattr(request, name) for name in names} | {"run": str(run)}


def _scope(run: UUID, target: Target) -> dict[str, object]:
    return {"run": str(run), "table": str(target.table), "column": target.column}
