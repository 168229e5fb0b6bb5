"""How bad something is, and what is to be said about a hop.

Pure. The hops are those of the data: source (Postgres), capture (slot and connector),
live, replay.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Hop = Literal["source", "capture", "live", "replay"]


class Severity(StrEnum):
    """States of a monitoring plugin, worst first (CRITICAL, WARNING, UNKNOWN, OK)."""

    CRITICAL = "CRITICAL"
    WARNING = "WARNING"
    UNKNOWN = "UNKNOWN"
    OK = "OK"

    @property
    def exit_code(self) -> int:
        """Exit code of `--check`."""
        return {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth saying about a hop. OK findings only inform."""

    severity: Severity
    hop: Hop
    sentence: str

    def __str__(self) -> str:
        """`hop: sentence`."""
        return f"{self.hop}: {self.sentence}"
