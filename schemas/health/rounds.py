"""Whether an installation is looked after: its keeper, watch and looks at all rows.

Pure. What heals by itself heals only while a worker looks. If none has looked for two
periods, it must be reported.

Hazard: what looks is busy now and then, with a table's rows or with a batch; that is no
reason to say anything.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.duration import show_duration

What = Literal["keeper", "watch", "rows"]
Change = Literal["origin filter"]
"""What a worker changes once, in several steps, and so is never late with."""
ALL: tuple[What, ...] = ("keeper", "watch", "rows")

# Least wait, however short the period: after an error the keeper pauses for 30 s.
_LEAST_SECONDS = 45.0
# Time for a keeper over a whole table: enough to read a hundred million rows.
_BUSY_SECONDS = 600.0
_SAID: dict[What, tuple[str, str]] = {
    "keeper": (
        "no worker has done the keeper's work",
        "see the workers' logs, and vectrue.locks for who holds it",
    ),
    "watch": (
        "no worker has compared what is configured with what is there",
        "see the workers' logs",
    ),
    "rows": (
        "no worker has looked at all rows for those that stayed stale",
        "vectrue worker --role replay",
    ),
}


@dataclass(frozen=True, slots=True)
class Round:
    """One thing that workers do again and again.

    Attributes:
        what: which.
        age_seconds: since it was last done, or a worker started that will do it.
        every_seconds: its period.
        busy_seconds: how long the worker may be busy with something else, in addition.
        doing: what the keeper has begun and not ended; None: nothing.
    """

    what: What
    age_seconds: float
    every_seconds: float
    busy_seconds: float = 0.0
    doing: str | None = None

    @property
    def allowed_seconds(self) -> float:
        """Two periods, and what may come in between."""
        busy = self.busy_seconds if self.doing is None else max(self.busy_seconds, _BUSY_SECONDS)
        # One missed round happens at every restart of a worker; two do not.
        return max(2 * self.every_seconds, _LEAST_SECONDS) + busy

    @property
    def is_late(self) -> bool:
        """Whether it has to be said."""
        return self.age_seconds > self.allowed_seconds

    @property
    def sentence(self) -> str:
        """What every command says of it."""
        words, fix = _SAID[self.what]
        doing = "" if self.doing is None else f" (the last was {self.doing})"
        return f"{words} for {show_duration(self.age_seconds)}{doing}: {fix}"

    def to_json(self) -> dict[str, object]:
        """The figures as plain data."""
        return {
            "what": self.what,
            "age_seconds": round(self.age_seconds, 3),
            "allowed_seconds": self.allowed_seconds,
            "doing": self.doing,
            "late": self.is_late,
        }
