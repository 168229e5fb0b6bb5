"""Statements that change the database: planned from its state, then run or printed.

Each runs in a short transaction of its own under `lock_timeout`. If the lock is not
free, it is retried after a growing pause, so that no query of the application waits
behind it for longer than the timeout.

Hazard: a statement is plain SQL without parameters; all values are quoted in it, and a
`%` is a `%`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from psycopg2 import errors, sql
from psycopg2.extensions import cursor as Cursor
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from connectors.ports import Clock
from connectors.postgres import blockers
from connectors.postgres.blockers import Lookout
from connectors.postgres.session import Session
from schemas.errors import TransientError
from schemas.health import blocker
from schemas.health.blocker import Blocker

_ATTEMPTS = 8
"""With pauses that double from 0.5 s to 8 s, the application's queries go first for over
half a minute.
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One change of the database.

    Attributes:
        description: what it does, in the imperative, for reports and the comments of a
            script.
        sql: one or more commands for one transaction, without the last semicolon.
        lock_seconds: longest wait for a lock; None for `postgres.lock_timeout_seconds`.
    """

    description: str
    sql: str
    lock_seconds: float | None = None


def render(session: Session, query: sql.Composable) -> str:
    """Write a composed query out as SQL text, quoted as this server wants it."""
    return str(query.as_string(session.connection())).strip()


def run(session: Session, statement: Statement, *, lock_seconds: float, clock: Clock) -> None:
    """Run one statement; retry while a lock is not free.

    Raises:
        TransientError: the lock was never free; names who held it, and what to repeat.
        ConfigurationError, VectrueError: as `Session`.
    """

    def once() -> None:
        with session.transaction() as cursor:
            cursor.execute(_limit(statement, lock_seconds))
            cursor.execute(statement.sql)

    with ExitStack() as watching:
        looking: list[Lookout] = []

        def pause(state: RetryCallState) -> None:
            # Only from the second attempt on: most get their lock in the first.
            if not looking:
                looking.append(watching.enter_context(Lookout(session)))
            clock.wait(state.upcoming_sleep)

        Retrying(
            retry=retry_if_exception(_lock_is_taken),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.5, max=8.0, jitter=0.2),
            before_sleep=pause,
            sleep=lambda _: None,
            retry_error_callback=lambda state: _give_up(session, statement, state, looking[0].seen),
        )(once)


def script(statements: Sequence[Statement], *, lock_seconds: float, heading: str) -> str:
    """All statements as one script for psql; only comments if there is nothing to do."""
    lines = [f"-- {line}" for line in heading.splitlines()]
    lines.append("")
    if not statements:
        return "\n".join([*lines, "-- nothing to do", ""])
    lines += ["SET client_encoding = 'UTF8';", "SET standard_conforming_strings = on;"]
    # An unqualified name must not find what an application has put into a schema of the
    # reader's search path.
    lines += ["SET search_path = pg_catalog, pg_temp;", ""]
    for number, statement in enumerate(statements, 1):
        comment = " ".join(statement.description.split())
        lines += [f"-- {number}. {comment}", "BEGIN;", f"{_limit(statement, lock_seconds)};"]
        # The semicolon has a line of its own, since a statement may end in a comment.
        lines += [statement.sql, ";", "COMMIT;", ""]
    return "\n".join(lines)


@contextmanager
def trial(session: Session) -> Iterator[Cursor]:
    """A cursor in a transaction that is always rolled back.

    It is for questions that the catalogue answers only about existing objects.
    """
    with session.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:
            if not cursor.connection.closed:
                cursor.execute("ROLLBACK")


def _limit(statement: Statement, lock_seconds: float) -> str:
    seconds = statement.lock_seconds or lock_seconds
    return f"SET LOCAL lock_timeout = '{round(seconds * 1000)}ms'"


def _lock_is_taken(error: BaseException) -> bool:
    # ObjectInUse: a slot is released a moment after its reader was stopped.
    return isinstance(error.__cause__, errors.LockNotAvailable | errors.ObjectInUse)


def _give_up(
    session: Session, statement: Statement, state: RetryCallState, seen: Sequence[Blocker]
) -> None:
    cause = state.outcome.exception() if state.outcome else None
    if not seen and cause is not None:
        reader = _reader(session, cause.__cause__)
        seen = [] if reader is None else [reader]
    holder = f"; blocked by {blocker.names(seen)}" if seen else ""
    raise TransientError(
        f"could not {statement.description}: timed out waiting for a lock in {_ATTEMPTS} "
        f"attempts{holder}",
        fix=blocker.way_on(seen),
    ) from cause


def _reader(session: Session, error: BaseException | None) -> Blocker | None:
    """Who reads a slot that is in use; pg_blocking_pids does not know that."""
    if not isinstance(error, errors.ObjectInUse):
        return None
    # The server's message ends with the process id.
    said = re.search(r"(\d+)\D*$", error.diag.message_primary or "")
    return blockers.named(session, int(said[1])) if said else None
