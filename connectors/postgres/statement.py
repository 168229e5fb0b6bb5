"""Statements that change the database: planned from its state, then run one by one or
printed as one script.

Each runs in a short transaction of its own under `lock_timeout`, and gives way with a
growing pause when the lock is not free, so that no query of the application ever waits
behind it for longer than that.

Hazard: a statement is plain SQL with everything quoted in already, and runs without
parameters; a `%` in it is a `%`.
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
"""With pauses of 0.5 s doubling up to 8 s, over half a minute in which the
application's queries go first.
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One change of the database.

    Attributes:
        description: what it does, in the imperative, for the report and for the
            script's comments.
        sql: one or more commands that belong into one transaction, without the last
            semicolon.
        lock_seconds: longest wait for a lock; `postgres.lock_timeout_seconds` when
            None.
    """

    description: str
    sql: str
    lock_seconds: float | None = None


def render(session: Session, query: sql.Composable) -> str:
    """Write a composed query out as SQL text, quoted as this server wants it."""
    return str(query.as_string(session.connection())).strip()


def run(session: Session, statement: Statement, *, lock_seconds: float, clock: Clock) -> None:
    """Run one statement, again and again while a lock is not free.

    Raises:
        TransientError: the lock was not free in any attempt; the message names who held
            it, and what to repeat.
        ConfigurationError, VectrueError: as `Session`.
    """

    def once() -> None:
        with session.transaction() as cursor:
            cursor.execute(_limit(statement, lock_seconds))
            cursor.execute(statement.sql)

    with ExitStack() as watching:
        looking: list[Lookout] = []

        def pause(state: RetryCallState) -> None:
            # from the second attempt on: most get their lock in the first
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
    """All statements as one script for psql; a comment alone when there is nothing to
    do.
    """
    lines = [*(f"-- {line}" for line in heading.splitlines()), ""]
    if not statements:
        return "\n".join([*lines, "-- nothing to do", ""])
    # The path: an unqualified name must not find what an application has put into a
    # schema of the reader's path.
    lines += ["SET client_encoding = 'UTF8';", "SET standard_conforming_strings = on;"]
    lines += ["SET search_path = pg_catalog, pg_temp;", ""]
    for number, statement in enumerate(statements, 1):
        comment = " ".join(statement.description.split())
        lines += [f"-- {number}. {comment}", "BEGIN;", f"{_limit(statement, lock_seconds)};"]
        # The semicolon stands on a line of its own: a statement may end in a comment.
        lines += [statement.sql, ";", "COMMIT;", ""]
    return "\n".join(lines)


@contextmanager
def trial(session: Session) -> Iterator[Cursor]:
    """A cursor in a transaction that is always rolled back, for questions the catalogue
    answers only about objects.
    """
    with session.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:
            if not cursor.connection.closed:
                cursor.execute("ROLLBACK")


def _limit(statement: Statement, lock_seconds: float) -> str:
    return f"SET LOCAL lock_timeout = '{round((statement.lock_seconds or lock_seconds) * 1000)}ms'"


def _lock_is_taken(error: BaseException) -> bool:
    # ObjectInUse: a slot whose reader was stopped is let go of a moment later.
    return isinstance(error.__cause__, errors.LockNotAvailable | errors.ObjectInUse)


def _give_up(
    session: Session, statement: Statement, state: RetryCallState, seen: Sequence[Blocker]
) -> None:
    cause = state.outcome.exception() if state.outcome else None
    if not seen and cause is not None and (reader := _reader(session, cause.__cause__)) is not None:
        seen = [reader]
    holder = f"; in the way is {blocker.names(seen)}" if seen else ""
    raise TransientError(
        f"could not {statement.description}: a lock was not free in {_ATTEMPTS} attempts{holder}",
        fix=blocker.way_on(seen),
    ) from cause


def _reader(session: Session, error: BaseException | None) -> Blocker | None:
    """Who reads a slot that is in use, which is no lock: the server's message ends with
    the id.
    """
    said = (
        re.search(r"(\d+)\D*$", error.diag.message_primary or "")
        if isinstance(error, errors.ObjectInUse)
        else None
    )
    return blockers.named(session, int(said[1])) if said else None
