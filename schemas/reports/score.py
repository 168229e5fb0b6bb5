"""Scores of answers: similarity to a reference, grades, and graded pairs.

Hazard: two models do not share a scale. A threshold belongs to the model it was set
for; one of them calls nearly every pair excellent by the thresholds of another.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from schemas.errors import VectrueError
from schemas.reports.search import Hit
from schemas.text_lines import read_json


class Grade(StrEnum):
    """The three grades, worst first."""

    TO_BE_IMPROVED = "to be improved"
    GOOD = "good"
    EXCELLENT = "excellent"

    @property
    def message(self) -> str:
        """What the person who answered is told, as the interview application words it."""
        return _MESSAGES[self]


_MESSAGES = {
    Grade.TO_BE_IMPROVED: "답변을 보완해주세요",
    Grade.GOOD: "좋은 답변입니다",
    Grade.EXCELLENT: "우수한 답변입니다",
}
GRADES = tuple(Grade)


@dataclass(frozen=True, slots=True)
class GradeThresholds:
    """Cosine similarities above which an answer is good, or excellent.

    `good` is not above `excellent`.
    """

    good: float
    excellent: float

    def grade(self, similarity: float) -> Grade:
        """The grade of a similarity; one that equals a threshold is not above it."""
        if similarity > self.excellent:
            return Grade.EXCELLENT
        return Grade.GOOD if similarity > self.good else Grade.TO_BE_IMPROVED


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth.

    Attributes:
        similarity: cosine of the answer and its reference, -1 to 1.
        model: id of the model that embedded both.
        thresholds: those in force for this model.
        calibrated: whether they were set for it; by another model's a grade means
            little.
        reference: the stored answer it was compared with; None when the reference was
            given as a text.
    """

    similarity: float
    model: str
    thresholds: GradeThresholds
    calibrated: bool
    reference: Hit | None = None

    @property
    def score(self) -> float:
        """Similarity times 100."""
        return 100 * self.similarity

    @property
    def grade(self) -> Grade:
        """The grade by the model's thresholds."""
        return self.thresholds.grade(self.similarity)

    def to_json(self) -> dict[str, Any]:
        """The score under the names of the command line's contract."""
        return {
            "similarity": self.similarity,
            "score": self.score,
            "grade": str(self.grade),
            "message": self.grade.message,
            "model": self.model,
            "thresholds": asdict(self.thresholds),
            "calibrated": self.calibrated,
            "reference": None if self.reference is None else self.reference.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """An answer and a reference, and the grade that a person gave."""

    answer: str
    reference: str
    grade: Grade


def read_pairs(lines: Iterable[str], *, name: str) -> list[Pair]:
    """Read graded pairs from JSON Lines.

    Each line is `{"answer": ..., "reference": ..., "grade": ...}`; other fields are
    left alone.

    Args:
        lines: of the file; blank ones are passed over.
        name: the file, for messages.

    Raises:
        VectrueError: with the number of the first line that is not a pair. The line itself
            is not shown.
    """
    pairs = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                pairs.append(_pair(line))
            except ValueError as error:
                raise VectrueError(
                    f"{name} line {number} is not a graded pair ({error})",
                    fix='write {"answer": "...", "reference": "...", "grade": "excellent"} '
                    f"on one line; a grade is one of {_grades()}",
                ) from error
    return pairs


def _pair(line: str) -> Pair:
    try:
        read = read_json(line)
    except ValueError as error:
        # An answer is a person's own text, so the document is not chained.
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(read, dict):
        raise ValueError("not an object")
    for field in ("answer", "reference"):
        if not isinstance(read.get(field), str) or not read[field].strip():
            raise ValueError(f"{field} is missing or blank")
    if read.get("grade") not in GRADES:
        raise ValueError("grade is missing or unknown")
    return Pair(read["answer"], read["reference"], Grade(read["grade"]))


def _grades() -> str:
    # str() first: the repr of a member shows its class.
    return ", ".join(map(repr, map(str, reversed(GRADES))))
