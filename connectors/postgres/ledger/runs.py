"""The command's side of the ledger: create, steer and read runs, enter their chunks.

The worker's side, advancing a chunk with its vectors, is in rows/store.py.

Hazard: a chunk enters the ledger with its keys in the transaction that moves the
cursor, and is sent afterwards. So a command killed at any point may leave chunks that
were never sent, which the next run of the command sends, but never a gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from connectors.postgres import queries
from connectors.postgres.ledger import entering, enumeration
from connectors.postgres.ledger.entering import MOST_RUNS, Scope
from connectors.postgres.session import Session
from schemas.messages.chunk import Chunk
from schemas.reports.replay import Request, Run, ScopeProgress
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target

__all__ = ["MOST_RUNS", "RunLedger", "Scope", "Taken"]

PAGE_CHUNKS = 20
"""Chunks added to the ledger and sent together: at 500 keys each, 10,000 keys in
memory.
"""


class Taken(Exception):
    """Another command is enumerating this column of the run; the page was not entered."""


class RunLedger:
    """Runs in the database, over one connection."""

    def __init__(self, session: Session) -> None:
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
        return entering.runs_of(self._session.rows(queries.text("replays"), asked))

    def in_the_way(self, columns: Sequence[str], request: Request) -> Run | None:
        """An unfinished run with one of these columns that does not give way."""
        found = self.find(columns=columns, unfinished=True, limit=MOST_RUNS)
        return entering.in_the_way(found, request)

    def create(self, scopes: Sequence[Scope], request: Request) -> UUID | None:
        """Enter a new run; nothing is enumerated yet.

        Runs of the keeper over these columns end if a person asks for the new one.

        Returns:
            the run; None if an unfinished one has one of the columns.
        """
        with self._session.transaction() as cursor:
            return entering.create(cursor, scopes, request)

    def give_way(self, columns: Sequence[str], request: Request) -> None:
        """End the keeper's runs over these columns, where a person asks for a run."""
        with self._session.transaction() as cursor:
            # Until the commit, no other command can enter a run over these columns.
            cursor.execute(queries.text("enter_replay"))
            entering.give_way(cursor, columns, request)

    def scopes(self, run: UUID, targets: Sequence[Target]) -> list[Scope]:
        """The columns of a run, with the targets they belong to.

        A column that is no longer configured is left out.
        """
        known = {(str(target.table), target.column): target for target in targets}
        found = []
        lines = self._session.rows(queries.text("scopes_of_replay"), {"run": str(run)})
        for table, column, model, expected, key, enumerated in lines:
            target = known.get((table, column))
            if target is not None:
                cursor = tuple(key) if key else None
                found.append(Scope(replace(target, model=model), expected, cursor, enumerated))
        return found

    def enumerate(
        self, run: UUID, scope: Scope, request: Request, chunk_size: int
    ) -> Iterator[list[Chunk]]:
        """Go through a column's keys in their order, and enter them as chunks.

        Yields:
            the chunks just entered, to be sent: at most PAGE_CHUNKS, of about one size.

        Raises:
            Taken: another command does it.
        """
        before, target = scope.cursor, scope.target
        limit = chunk_size * PAGE_CHUNKS
        while True:
            keys = enumeration.next_keys(self._session, target, request, before, limit)
            after = keys[-1] if keys else before
            last = len(keys) < limit
            with self._session.transaction() as cursor:
                # With the cursor as it was: two commands cannot both enter a page.
                moved = entering.place(run, target)
                moved.update(cursor=_array(after), before=_array(before), enumerated=last)
                cursor.execute(queries.text("move_cursor"), moved)
                # Another command has moved the cursor since this one read it.
                if cursor.rowcount != 1:
                    raise Taken
                chunks = entering.enter_chunks(cursor, run, target, keys, chunk_size)
            # Committed before they are sent: a crash in between leaves no gap.
            yield chunks
            if last:
                return
            before = after

    def enter_keys(self, run: UUID, target: Target, keys: Sequence[Key], chunk_size: int) -> None:
        """Enter keys of a planned run as chunks; they are sent when all are read."""
        with self._session.transaction() as cursor:
            entering.enter_chunks(cursor, run, target, keys, chunk_size)

    def end_keys(self, run: UUID) -> bool:
        """Start a planned run, all of whose keys are entered.

        Returns:
            False if it was cancelled meanwhile.
        """
        return bool(self._session.rows(queries.text("end_of_keys"), {"run": str(run)}))

    def unsent(self, run: UUID, *, everything: bool) -> Iterator[list[Chunk]]:
        """Go through the chunks of a run that have to be sent, or sent again.

        Args:
            run: which.
            everything: all chunks that are not handled; else those that were never sent
                or were returned.

        Yields:
            pages of chunks, each marked as not sent: they are found again if the caller
            dies before it has sent them.
        """
        after = 0
        while True:
            asked = {"run": str(run), "all": everything, "after": after, "limit": PAGE_CHUNKS}
            lines = self._session.rows(queries.text("unsent_chunks"), asked)
            if not lines:
                return
            chunks = [_chunk(run, line) for line in lines]
            after = chunks[-1].number
            # Before they are sent: if the sender dies, they count as not sent.
            self._session.rows(queries.text("unmark_sent"), _numbers(run, chunks))
            yield chunks

    def mark_sent(self, run: UUID, chunks: Sequence[Chunk]) -> None:
        """Record that the broker has acknowledged these chunks."""
        self._session.rows(queries.text("mark_sent"), _numbers(run, chunks))

    def finish(self, run: UUID) -> None:
        """Mark a run as done if everything is enumerated and handled."""
        self._session.rows(queries.text("finish_replay"), {"run": str(run)})

    def set_state(self, run: UUID, state: str, *, after: Sequence[str]) -> bool:
        """Change a run's state if it is in one of those in `after`.

        Returns:
            whether it was.
        """
        parameters = {"run": str(run), "state": state, "from": list(after)}
        return bool(self._session.rows(queries.text("set_replay_state"), parameters))

    def set_limits(self, run: UUID, limits: dict[str, float | None]) -> bool:
        """Change `rate` and `max_live_lag`, those that are given.

        Returns:
            whether the run is unfinished.
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
        # The query has the fields of ScopeProgress, in their order.
        return [ScopeProgress(*line) for line in lines]

    def speeds(self, run: UUID) -> dict[str | None, float]:
        """Rows per second over the last two minutes, of columns that finished a chunk.

        Returns:
            by `schema.table.column`; under None, of all columns together.
        """
        found: dict[str | None, float] = {}
        lines = self._session.rows(queries.text("replay_speed"), {"run": str(run)})
        for column, speed in lines:
            if speed is not None:
                found[column] = float(speed)
        return found

    def measured_rate(self, target: Target) -> tuple[str, float] | None:
        """How fast one worker was in the last run of this column with this model.

        Runs that ever had a rate limit do not count, nor does time without a chunk.

        Returns:
            the run, and rows per second; None if no run counts.
        """
        parameters = {"table": str(target.table), "column": target.column, "model": target.model}
        lines = self._session.rows(queries.text("measured_rate"), parameters)
        return (str(lines[0][0]), float(lines[0][1])) if lines else None

    def dead_rows(self, target: Target) -> tuple[int, int, int, bool]:
        """The row versions of a table, as the statistics have them.

        Returns:
            live ones, dead ones, bytes of the table with indexes and TOAST, and whether
            autovacuum has just been there.
        """
        parameters = {"table": queries.table(target.table).as_string(self._session.connection())}
        live, dead, size, vacuumed = self._session.rows(queries.text("dead_rows"), parameters)[0]
        return int(live), int(dead), int(size), bool(vacuumed)


def _chunk(run: UUID, line: tuple[Any, ...]) -> Chunk:
    number, table, column, model, keys = line
    return Chunk(
        run=run,
        number=number,
        table=TableName.parse(table),
        column=column,
        model=model,
        keys=tuple(tuple(key) for key in keys),
    )


def _array(key: Key | None) -> list[str] | None:
    return None if key is None else list(key)


def _numbers(run: UUID, chunks: Sequence[Chunk]) -> dict[str, object]:
    return {"run": str(run), "chunks": [chunk.number for chunk in chunks]}
