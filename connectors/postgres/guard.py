"""Scans that survive any row: once as they are, and where a row's text raises an error,
once more around such rows.

Hazard: the second scan evaluates each text in a function of its own, which takes
several times as long (Target).
"""

from collections.abc import Callable
from typing import TypeVar

from connectors.postgres.errors import over_rows
from schemas.errors import RowRefused
from schemas.rows.target import Target

T = TypeVar("T")


def around(target: Target, work: Callable[[Target], T]) -> T:
    """What `work` makes of a column; of the guarded one where it met a row whose text
    cannot be made.

    Raises:
        RowRefused: it was not the text, so another expression of the query is to blame.
    """
    try:
        with over_rows():
            return work(target)
    except RowRefused:
        with over_rows():
            return work(target.guard())
