"""Findings of `embedsync doctor`: one precondition, how it stands, and the command that mends it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from schemas.errors import EmbedsyncError


class Level(StrEnum):
    """How a precondition stands. UNKNOWN: it could not be looked at, for a reason that is a finding of its own."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it stands in a sentence, and the command or setting that mends it."""

    check: str
    level: Level
    sentence: str
    fix: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The line under the names of the command line's contract; `status` is null where it is unknown."""
        line = asdict(self)
        level = line.pop("level")
        return {"check": line["check"], "status": None if level is Level.UNKNOWN else str(level), **line}


def ok(check: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, sentence)


def warning(check: str, sentence: str, fix: str | None = None) -> Finding:
    """It works, and may stop doing so."""
    return Finding(check, Level.WARNING, sentence, fix)


def problem(check: str, sentence: str, fix: str | None = None) -> Finding:
    """It does not work like this."""
    return Finding(check, Level.PROBLEM, sentence, fix)


def unknown(check: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(check, Level.UNKNOWN, f"not checked: {why}")


def guarded(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look finds; an error of ours that it raises is a problem, in the error's own words."""
    try:
        return list(look())
    except EmbedsyncError as error:
        return [problem(check, error.message, error.fix)]
