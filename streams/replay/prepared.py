"""A replay request that was checked, with the rows behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.reports.replay import Request, Run, Survey
from schemas.rows.target import Target


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was checked.

    Attributes:
        request: what is asked for.
        targets: its columns.
        surveys: the rows of each; none when an interrupted run is continued, or for
            keys.
        unfinished: the interrupted run that it continues; None for a new one.
    """

    request: Request
    targets: Sequence[Target]
    surveys: Sequence[Survey]
    unfinished: Run | None = None
