"""What green is judged by (I11): nothing says that all is well without something that would be missing if it were not.

Pure. Read by `connectors.postgres`, judged by `schemas.verdict`.
"""

from dataclasses import dataclass
from datetime import datetime

from schemas.table import TableName


@dataclass(frozen=True, slots=True)
class Look:
    """A table of which changes may have been missed, and that the keeper has not looked at yet.

    Attributes:
        table: which.
        reason: why, one clause.
        asked_at: when it was asked for, by the database's clock; ends the look that was taken up.
        age_seconds: since then.
    """

    table: TableName
    reason: str
    asked_at: datetime
    age_seconds: float

    @property
    def sentence(self) -> str:
        """What every command says of it."""
        return f"the rows of {self.table} are yet to be looked at: {self.reason}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something configured that is not what is there: one sentence without a full stop, and what to do about it."""

    sentence: str
    fix: str
