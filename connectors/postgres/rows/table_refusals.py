"""Rows whose write the table itself refuses, found so that the others are written.

A constraint, a trigger or a policy of the application may refuse one row of an UPDATE;
a trigger may also wait for a lock. Halves are tried, each under a savepoint, until the
rows at fault are alone.

Hazard: a broken trigger refuses everything. So if none of eight or more rows is taken,
it is an error of the table, unless the table takes other rows (other_rows.py).
"""

from collections.abc import Callable, Sequence

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import conditions
from connectors.postgres.errors import is_wrong_length
from schemas.errors import VectrueError

_BROKEN_TABLE_ROWS = 8
"""From this many rows on, a write that takes none means that the table's triggers or
constraints are broken.
"""

_HALF_LOCK_TIMEOUT = "10ms"
"""Rows of one batch often wait for the same lock; the first wait was the long one."""

Refused = dict[int, psycopg2.Error]
"""By position, the error of each row that was refused."""
Work = Callable[[Sequence[int]], list[int]]
"""Writes the rows at these positions and returns those it wrote."""


def in_halves(
    cursor: Cursor,
    work: Work,
    chosen: Sequence[int],
    refused: Refused,
    *,
    table: str,
    takes_others: Callable[[Sequence[int]], bool] = lambda _: False,
) -> list[int]:
    """Do the work for all rows, or for as many as the table takes.

    Args:
        cursor: within a transaction.
        work: what is done.
        chosen: positions of the rows.
        refused: rows that are refused are added to it.
        table: its name, for the message.
        takes_others: whether the table takes other rows than these.

    Returns:
        the positions written.

    Raises:
        psycopg2.Error: an error that is not about a row.
        VectrueError: the table refuses every row.
    """
    before = len(refused)
    written = _halve(cursor, work, chosen, refused)
    # A broken trigger must not fill the quarantine with a whole table.
    is_suspect = len(refused) - before == len(chosen) >= _BROKEN_TABLE_ROWS
    if not is_suspect or any(may_pass(error) for error in refused.values()):
        return written
    if takes_others(chosen):
        return written
    raise VectrueError(
        f"table {table} took none of {len(chosen)} rows; {reason(refused[chosen[0]])}",
        fix="fix its triggers or constraints",
    )


def may_pass(error: psycopg2.Error) -> bool:
    """Whether the row may be taken later."""
    # Class 40: a trigger asks for a retry of the transaction.
    is_rollback = conditions.is_raised(error) and (error.pgcode or "").startswith("40")
    # A context means that a function waited: for a lock of its own, not of the row.
    is_locked = error.pgcode == errorcodes.LOCK_NOT_AVAILABLE and bool(error.diag.context)
    return is_rollback or is_locked


def reason(error: psycopg2.Error) -> str:
    """Why the table refused a row: the kind of error and the constraint.

    The message is left out, since it may quote the row.
    """
    # A function may raise with any constraint name, the row's text included.
    constraint = None if error.diag.context else error.diag.constraint_name
    by = f" by {constraint}" if constraint else ""
    return f"the table refuses the write ({conditions.name(error.pgcode)}{by})"


def _halve(
    cursor: Cursor,
    work: Work,
    chosen: Sequence[int],
    refused: Refused,
) -> list[int]:
    if not chosen:
        return []
    # After an error the server takes no statement until a savepoint is rolled back.
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
