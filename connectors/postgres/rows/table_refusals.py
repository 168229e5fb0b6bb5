"""Rows whose write the table itself refuses: told apart within the transaction, so that
their neighbours are written.

A constraint, a trigger or a policy of the application may refuse one row of an UPDATE;
a trigger may also want a lock that somebody holds. Halves are tried, each under a
savepoint, until the guilty rows stand alone.

Hazard: a trigger that is broken refuses everything, and must not fill the quarantine
with a whole table. So eight or more rows of which none is taken are an error of the
table, unless it takes other rows (other_rows.py).
"""

from collections.abc import Callable, Sequence

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import conditions
from connectors.postgres.errors import is_wrong_length
from schemas.errors import VectrueError

_BROKEN_TABLE_ROWS = 8
"""From this many rows on, a write of which none is taken says that the table's triggers
or constraints are broken.
"""

_HALF_LOCK_TIMEOUT = "10ms"
"""Rows of one batch often want the same lock; the first wait was the long one."""

Refused = dict[int, psycopg2.Error]


def in_halves(
    cursor: Cursor,
    work: Callable[[Sequence[int]], list[int]],
    chosen: Sequence[int],
    refused: Refused,
    *,
    table: str,
    takes_others: Callable[[Sequence[int]], bool] = lambda _: False,
) -> list[int]:
    """Do the work for all, or for as many as the table takes.

    Args:
        cursor: within a transaction.
        work: writes the rows at these positions and returns those it wrote.
        chosen: positions.
        refused: takes the positions of rows that were refused, with the error of each.
        table: its name, for the message.
        takes_others: whether it takes other rows than these.

    Returns:
        the positions written.

    Raises:
        psycopg2.Error: an error that is not about a row.
        VectrueError: eight or more rows, of which each was refused, as every other is.
    """
    before = len(refused)
    written = _halve(cursor, work, chosen, refused)
    is_suspect = len(refused) - before == len(chosen) >= _BROKEN_TABLE_ROWS
    if is_suspect and not any(map(may_pass, refused.values())) and not takes_others(chosen):
        raise VectrueError(
            f"table {table} took none of {len(chosen)} rows; {reason(refused[chosen[0]])}",
            fix="mend its triggers or constraints",
        )
    return written


def may_pass(error: psycopg2.Error) -> bool:
    """Whether the row may be taken later: a lock was not free, or a trigger wants the
    transaction tried again.
    """
    is_rollback = conditions.is_raised(error) and (error.pgcode or "").startswith("40")
    return is_rollback or (
        error.pgcode == errorcodes.LOCK_NOT_AVAILABLE and bool(error.diag.context)
    )


def reason(error: psycopg2.Error) -> str:
    """Why, without the row's text: the kind of error and the constraint, never the
    message.
    """
    # What a function raises may call itself whatever it likes, by the row's text as
    # well.
    constraint = None if error.diag.context else error.diag.constraint_name
    by = f" by {constraint}" if constraint else ""
    return f"the table refuses the write ({conditions.name(error.pgcode)}{by})"


def _halve(
    cursor: Cursor,
    work: Callable[[Sequence[int]], list[int]],
    chosen: Sequence[int],
    refused: Refused,
) -> list[int]:
    if not chosen:
        return []
    cursor.execute("SAVEPOINT vectrue_rows")
    try:
        written = work(chosen)
    except psycopg2.Error as error:
        if not _is_about_a_row(error):
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT vectrue_rows; RELEASE SAVEPOINT vectrue_rows")
        if len(chosen) == 1:
            refused[chosen[0]] = error
            return []
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (_HALF_LOCK_TIMEOUT,))
        middle = len(chosen) // 2
        first = _halve(cursor, work, chosen[:middle], refused)
        return first + _halve(cursor, work, chosen[middle:], refused)
    cursor.execute("RELEASE SAVEPOINT vectrue_rows")
    return written


def _is_about_a_row(error: psycopg2.Error) -> bool:
    # A vector of the wrong length is a DataException too, but about the column.
    return may_pass(error) or (conditions.is_of_a_row(error) and not is_wrong_length(error))
