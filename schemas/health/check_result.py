"""Findings of `vectrue doctor`: one precondition, how it stands, and its fix.

One cause is said once. A finding names the parts whose trouble would explain it
(`follows`); where one of them is a problem, it is shown with that cause, and not
counted (`settle`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from schemas.errors import VectrueError


class Level(StrEnum):
    """How a precondition stands.

    UNKNOWN: it could not be looked at, for a reason that is a finding of its own.
    """

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: what was looked at, how it stands, and what fixes it.

    Attributes:
        cause: check of the problem that it follows from; None while it stands for
            itself.
        part: what is in trouble where this is a problem; the check when it is empty.
        follows: parts whose trouble would explain it.
    """

    check: str
    level: Level
    sentence: str
    fix: str | None = None
    cause: str | None = None
    part: str = field(default="", compare=False)
    follows: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """The line under the names of the command line's contract.

        `status` is null where it is unknown, or follows from a problem, whose check
        then is `cause`.
        """
        status = None if self.level is Level.UNKNOWN else str(self.level)
        line = {"check": self.check, "status": status, "sentence": self.sentence, "fix": self.fix}
        return line if self.cause is None else {**line, "cause": self.cause}


def ok(check: str, sentence: str) -> CheckResult:
    """All is well."""
    return CheckResult(check, Level.OK, sentence)


def warning(
    check: str, sentence: str, fix: str | None = None, *, follows: Sequence[str] = ()
) -> CheckResult:
    """It works, and may stop doing so."""
    return CheckResult(check, Level.WARNING, sentence, fix, follows=tuple(follows))


def problem(
    check: str,
    sentence: str,
    fix: str | None = None,
    *,
    part: str = "",
    follows: Sequence[str] = (),
) -> CheckResult:
    """It does not work like this."""
    return CheckResult(check, Level.PROBLEM, sentence, fix, part=part, follows=tuple(follows))


def unknown(check: str, why: str, *, follows: Sequence[str] = ()) -> CheckResult:
    """It could not be looked at."""
    return CheckResult(check, Level.UNKNOWN, f"not checked: {why}", follows=tuple(follows))


def guarded(
    check: str, look: Callable[[], Iterable[CheckResult]], *, follows: Sequence[str] = ()
) -> list[CheckResult]:
    """What a look finds; an error of ours is a problem, in the error's own words."""
    try:
        return list(look())
    except VectrueError as error:
        return [problem(check, error.message, error.fix, follows=follows)]


def settle(findings: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the same results, each with the problem that it follows from.

    Such a result is not counted as a problem or warning.

    Of two that would explain each other, one stays: no trouble explains itself.
    """
    found = list(findings)
    roots: set[int] = set()
    settled = []
    for place, one in enumerate(found):
        root = None if place in roots or one.level is Level.OK else _root(found, place, {place})
        if root is None:
            settled.append(one)
            continue
        # A root stands for itself from here on, even if another problem would explain it.
        roots.add(root)
        settled.append(replace(one, level=Level.UNKNOWN, fix=None, cause=found[root].check))
    shown: list[CheckResult] = []
    said: set[tuple[str, str]] = set()
    for one in settled:
        if one.cause is not None:
            # A check with several lines that follow from one cause is shown once.
            if (one.check, one.cause) in said:
                continue
            said.add((one.check, one.cause))
        shown.append(one)
    return shown


def _root(found: Sequence[CheckResult], place: int, passed: set[int]) -> int | None:
    """The place of the problem that explains a finding, or of what explains that."""
    for part in found[place].follows:
        for other, cause in enumerate(found):
            if (
                other in passed
                or cause.level is not Level.PROBLEM
                or (cause.part or cause.check) != part
            ):
                continue
            # Two parts may follow from each other: each place is visited once.
            passed.add(other)
            further = _root(found, other, passed)
            return other if further is None else further
    return None
