"""Scans that survive any row: they are repeated around rows whose text raises an error.

Hazard: the second scan evaluates each text in a function call, which takes several
times as long (Target).
"""

from collections.abc import Callable
from typing import TypeVar

from connectors.postgres.errors import over_rows
from schemas.errors import RowRefused
from schemas.rows.target import Target

T = TypeVar("T")


def around(target: Target, work: Callable[[Target], T]) -> T:
    """Do the work for a column, and for the guarded column if a row's text cannot be made.

    Args:
        target: the column, not guarded.
        work: runs a query about the column it gets.

    Returns:
        what `work` returned.

    Raises:
        RowRefused: also from the guarded column, so another expression of the query is
            to blame.
    """
    try:
        with over_rows():
            return work(target)
    except RowRefused:
        with over_rows():
            return work(target.guard())
