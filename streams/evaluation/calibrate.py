"""Thresholds for a model from pairs that a person has graded, with their uncertainty.

Each threshold is put where it separates the two grades beside it best: where the share
of the better grade above it plus the share of the worse grade below it is largest
(Youden's J). Together the two thresholds give the largest mean recall over the three
grades, however many pairs each grade has.

Intervals are a bootstrap over references, not pairs. The accuracy is measured on pairs
whose reference had no part in setting the thresholds.

Hazard: thresholds hold for the kind of answers they were set with, and for one model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.ports import Embedder
from schemas.errors import VectrueError
from schemas.reports.score import GRADES, GradeThresholds, Pair

LEAST_PAIRS = 10
"""Fewest pairs of each grade, and fewest different references. With fewer, one pair
changes a recall by more than 0.1.
"""
_DRAWS = 2000
_FOLDS = 5
_SEED = 20240501
"""Any number; fixed, so that the same file gives the same answer."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """The range in which 95 of 100 bootstrap samples put a threshold."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Proposed thresholds and their uncertainty.

    Attributes:
        name: the model's name, as in the settings.
        model: its id.
        thresholds: proposed, from all pairs.
        good: interval of the threshold above which an answer is good.
        excellent: interval of the threshold above which an answer is excellent.
        similarities: float64[n], one per pair.
        labels: int64[n], positions in GRADES.
        confusion: pairs by the person's grade (row) and by the grade of thresholds set
            without their reference (column).
        current: share of the pairs that the thresholds in force grade as the person
            did.
    """

    name: str
    model: str
    thresholds: GradeThresholds
    good: Interval
    excellent: Interval
    similarities: Floats
    labels: Labels
    confusion: tuple[tuple[int, ...], ...]
    current: float

    @property
    def accuracy(self) -> float:
        """Share of the pairs on the diagonal, 0 to 1."""
        return float(np.trace(np.array(self.confusion))) / len(self.labels)

    @property
    def chance(self) -> float:
        """Share that always saying the commonest grade would get right, 0 to 1."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def verdict(self) -> str:
        """One sentence on how far to trust the thresholds."""
        right = (
            f"{100 * self.accuracy:.0f} % of unseen pairs are graded as the person did "
            f"({100 * self.chance:.0f} % by always saying the commonest grade)"
        )
        if self.good.high >= self.excellent.low:
            return (
                "not sure: the intervals of the two thresholds overlap, more pairs are needed; "
                f"{right}"
            )
        if self.accuracy <= self.chance:
            return f"not usable: the similarity does not tell the grades apart; {right}"
        return f"the two thresholds are apart; {right}"

    @property
    def settings(self) -> str:
        """The block for vectrue.toml."""
        name = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'[score.grades."{name}"]\n'
            f"good = {self.thresholds.good:.4f}\n"
            f"excellent = {self.thresholds.excellent:.4f}"
        )

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of the command line's contract."""
        return {
            "model": self.model,
            "pairs": len(self.labels),
            "thresholds": asdict(self.thresholds),
            "intervals": {"good": asdict(self.good), "excellent": asdict(self.excellent)},
            "confidence": 0.95,
            "held_out_accuracy": self.accuracy,
            "commonest_grade": self.chance,
            "accuracy_in_force": self.current,
            "grades": [str(grade) for grade in GRADES],
            "confusion": np.array(self.confusion).tolist(),
            "verdict": self.verdict,
            "settings": self.settings,
        }


def calibrate(pairs: Sequence[Pair], embedder: Embedder, in_force: GradeThresholds) -> Calibration:
    """Propose thresholds for a model.

    Args:
        pairs: graded by a person.
        embedder: the model; each different text is embedded once.
        in_force: the model's thresholds now, for comparison.

    Raises:
        VectrueError: too few pairs of a grade, or too few different references.
    """
    check(pairs)
    similarities = _similarities(pairs, embedder)
    labels, groups = _numbered(pairs)
    good, excellent = _intervals(similarities, labels, groups)
    return Calibration(
        name=embedder.record.name,
        model=embedder.model_id,
        thresholds=separate(similarities, labels),
        good=good,
        excellent=excellent,
        similarities=similarities,
        labels=labels,
        confusion=_held_out(similarities, labels, groups),
        current=float(np.mean(_graded(similarities, in_force) == labels)),
    )


def _numbered(pairs: Sequence[Pair]) -> tuple[Labels, Labels]:
    """Return the grade and the reference of each pair, as numbers."""
    # Sorted: the draws depend on the numbers, and equal files must give equal answers.
    references = sorted({pair.reference for pair in pairs})
    labels = np.empty(len(pairs), np.int64)
    groups = np.empty(len(pairs), np.int64)
    for index, pair in enumerate(pairs):
        labels[index] = GRADES.index(pair.grade)
        groups[index] = references.index(pair.reference)
    return labels, groups


def check(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that are too few to set thresholds.

    Raises:
        VectrueError: with the counts.
    """
    counts = dict.fromkeys(GRADES, 0)
    references: set[str] = set()
    for pair in pairs:
        counts[pair.grade] += 1
        references.add(pair.reference)
    if pairs and counts[pairs[0].grade] == len(pairs):
        only = pairs[0].grade
        raise VectrueError(
            f"all {len(pairs)} pairs are of the grade {only}: nothing tells where another begins",
            fix=f"add at least {LEAST_PAIRS} pairs of each other grade",
        )
    parts: list[str] = []
    for grade, count in counts.items():
        parts.append(f"{count} {grade}")
    shown = ", ".join(parts)
    if min(counts.values()) < LEAST_PAIRS:
        raise VectrueError(
            f"there are too few pairs ({shown})", fix=f"give at least {LEAST_PAIRS} of each grade"
        )
    if len(references) < LEAST_PAIRS:
        raise VectrueError(
            f"the pairs have only {len(references)} different references, which says little "
            "about others",
            fix=f"give at least {LEAST_PAIRS}",
        )


def separate(similarities: Floats, labels: Labels) -> GradeThresholds:
    """Find the two thresholds that separate the grades best.

    If several are equally good, the middle one is taken.

    Args:
        similarities: float64[n].
        labels: int64[n], positions in GRADES, each at least once.
    """
    values = np.unique(similarities)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2, [values[-1]]])
    below = []
    for grade in range(len(GRADES)):
        values_of_grade = np.sort(similarities[labels == grade])
        counts = np.searchsorted(values_of_grade, cuts, side="right")
        below.append(counts / len(values_of_grade))
    low, high = below[0] - below[1], below[1] - below[2]
    # The best lower cut at or under each upper one, since `good` may not be above
    # `excellent`.
    best = np.maximum.accumulate(low)
    upper = _middle(best + high)
    lower = _middle(low[: upper + 1])
    return GradeThresholds(good=float(cuts[lower]), excellent=float(cuts[upper]))


def _middle(quality: Floats) -> int:
    # Sums of shares that are equal differ by rounding.
    best = np.flatnonzero(quality >= quality.max() - 1e-12)
    return int(best[len(best) // 2])


def _similarities(pairs: Sequence[Pair], embedder: Embedder) -> Floats:
    different: set[str] = set()
    for pair in pairs:
        different.update((pair.answer, pair.reference))
    texts = sorted(different)
    vectors = dict(zip(texts, embedder.encode_documents(texts), strict=True))
    similarities = np.empty(len(pairs), np.float64)
    for index, pair in enumerate(pairs):
        similarities[index] = vectors[pair.answer] @ vectors[pair.reference]
    return similarities


def _graded(similarities: Floats, thresholds: GradeThresholds) -> Labels:
    labels = np.empty(len(similarities), np.int64)
    for index, similarity in enumerate(similarities):
        labels[index] = GRADES.index(thresholds.grade(similarity))
    return labels


def _intervals(similarities: Floats, labels: Labels, groups: Labels) -> tuple[Interval, Interval]:
    random = np.random.default_rng(_SEED)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    found: list[tuple[float, float]] = []
    while len(found) < _DRAWS:
        # Whole references: the pairs of one are not independent.
        drawn_groups = random.integers(len(members), size=len(members))
        drawn = np.concatenate([members[group] for group in drawn_groups])
        # A sample without some grade sets no thresholds.
        if len(np.unique(labels[drawn])) == len(GRADES):
            thresholds = separate(similarities[drawn], labels[drawn])
            found.append((thresholds.good, thresholds.excellent))
    low, high = np.percentile(found, [2.5, 97.5], axis=0).tolist()
    return Interval(low[0], high[0]), Interval(low[1], high[1])


def _held_out(similarities: Floats, labels: Labels, groups: Labels) -> tuple[tuple[int, ...], ...]:
    """Grade each pair by thresholds from the other folds, and count by both grades.

    A reference is in one fold only.
    """
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedGroupKFold

    given = np.empty_like(labels)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=_SEED)
    for rest, held in folds.split(similarities, labels, groups):
        lost = set(labels) - set(labels[rest])
        if lost:
            raise VectrueError(
                f"the pairs of the grade {GRADES[min(lost)]} share so few references that "
                "none is left to test with",
                fix=f"give each grade at least {LEAST_PAIRS} pairs of several references",
            )
        thresholds = separate(similarities[rest], labels[rest])
        given[held] = _graded(similarities[held], thresholds)
    table = confusion_matrix(labels, given, labels=range(len(GRADES)))
    return tuple(map(tuple, table.tolist()))
