"""Thresholds for a model, from pairs that a person has graded, and how sure they are.

Each threshold is put where it parts the two grades beside it best: where the share of
the better grade above it plus the share of the worse grade below it is largest
(Youden's J). Together they make the mean recall over the three grades as large as two
thresholds can, however many pairs each grade has.

How sure: the references are drawn again with replacement, whole, since pairs of one
reference are not independent; and the accuracy is that of pairs whose reference had no
part in setting the thresholds.

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
"""Pairs of each grade, and different references: with fewer, a recall moves by more
than 0.1 with each pair.
"""
_DRAWS = 2000
_FOLDS = 5
_SEED = 20240501
"""Any; fixed, so that the same file gives the same answer."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where 95 of 100 draws of the references put a threshold."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Proposed thresholds and how sure they are.

    Attributes:
        name: the model's name, by which the settings know it.
        model: its id.
        thresholds: proposed, from all pairs.
        good: interval of the threshold above which an answer is good.
        excellent: likewise.
        similarities: float64[n], one per pair.
        labels: int64[n], positions in GRADES.
        confusion: pairs by grade given (row) and grade by thresholds set without their
            reference (column).
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
        """Share of the pairs on the diagonal."""
        return sum(row[i] for i, row in enumerate(self.confusion)) / len(self.labels)

    @property
    def chance(self) -> float:
        """Share that the commonest grade alone would get right."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def verdict(self) -> str:
        """One sentence on how far to trust the thresholds."""
        right = (
            f"{self.accuracy:.0%} of unseen pairs are graded as the person did "
            f"({self.chance:.0%} by always "
        )
        right += "saying the commonest grade)"
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
        lines = (f"{field} = {value:.4f}" for field, value in asdict(self.thresholds).items())
        return f'[score.grades."{name}"]\n' + "\n".join(lines)

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
            "confusion": [list(row) for row in self.confusion],
            "verdict": self.verdict,
            "settings": self.settings,
        }


def calibrate(pairs: Sequence[Pair], embedder: Embedder, in_force: GradeThresholds) -> Calibration:
    """Propose thresholds for a model.

    Args:
        pairs: graded by a person.
        embedder: the model; every different text is embedded once.
        in_force: the model's thresholds now, for comparison.

    Raises:
        VectrueError: too few pairs of a grade, or too few different references.
    """
    check(pairs)
    similarities = _similarities(pairs, embedder)
    labels = np.array([GRADES.index(pair.grade) for pair in pairs], np.int64)
    references = sorted({pair.reference for pair in pairs})
    groups = np.array([references.index(pair.reference) for pair in pairs], np.int64)
    good, excellent = _intervals(similarities, labels, groups)
    now = np.array([GRADES.index(in_force.grade(value)) for value in similarities])
    return Calibration(
        embedder.record.name,
        embedder.model_id,
        separate(similarities, labels),
        good,
        excellent,
        similarities,
        labels,
        _held_out(similarities, labels, groups),
        float(np.mean(now == labels)),
    )


def check(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that can say nothing.

    Raises:
        VectrueError: with the counts.
    """
    counts = {grade: sum(pair.grade is grade for pair in pairs) for grade in GRADES}
    if sum(count > 0 for count in counts.values()) == 1:
        (only,) = (grade for grade, count in counts.items() if count)
        raise VectrueError(
            f"all {len(pairs)} pairs are of the grade {only}: nothing tells where another begins",
            fix=f"add at least {LEAST_PAIRS} pairs of each other grade",
        )
    shown = ", ".join(f"{count} {grade}" for grade, count in counts.items())
    if min(counts.values()) < LEAST_PAIRS:
        raise VectrueError(
            f"there are too few pairs ({shown})", fix=f"give at least {LEAST_PAIRS} of each grade"
        )
    references = len({pair.reference for pair in pairs})
    if references < LEAST_PAIRS:
        raise VectrueError(
            (
                f"the pairs have only {references} different references, which says little about "
                "others"
            ),
            fix=f"give at least {LEAST_PAIRS}",
        )


def separate(similarities: Floats, labels: Labels) -> GradeThresholds:
    """The two thresholds that part the grades best; in the middle of the gap where
    several do so equally.

    Args:
        similarities: float64[n].
        labels: int64[n], positions in GRADES, each at least once.
    """
    values = np.unique(similarities)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2, [values[-1]]])
    below = [
        np.searchsorted(np.sort(similarities[labels == k]), cuts, side="right")
        / np.sum(labels == k)
        for k in range(len(GRADES))
    ]
    low, high = below[0] - below[1], below[1] - below[2]
    # The best lower cut at or under each upper one, since `good` may not be above
    # `excellent`.
    best = np.maximum.accumulate(low)
    upper = _middle(best + high)
    lower = _middle(low[: upper + 1])
    return GradeThresholds(good=float(cuts[lower]), excellent=float(cuts[upper]))


def _middle(quality: Floats) -> int:
    best = np.flatnonzero(quality >= quality.max() - 1e-12)
    return int(best[len(best) // 2])


def _similarities(pairs: Sequence[Pair], embedder: Embedder) -> Floats:
    texts = sorted({text for pair in pairs for text in (pair.answer, pair.reference)})
    vectors = dict(zip(texts, embedder.encode_documents(texts), strict=True))
    return np.array(
        [float(vectors[pair.answer] @ vectors[pair.reference]) for pair in pairs], np.float64
    )


def _intervals(similarities: Floats, labels: Labels, groups: Labels) -> tuple[Interval, Interval]:
    random = np.random.default_rng(_SEED)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    found: list[tuple[float, float]] = []
    while len(found) < _DRAWS:
        drawn = np.concatenate(
            [members[i] for i in random.integers(len(members), size=len(members))]
        )
        if len(np.unique(labels[drawn])) == len(GRADES):
            thresholds = separate(similarities[drawn], labels[drawn])
            found.append((thresholds.good, thresholds.excellent))
    (good_low, excellent_low), (good_high, excellent_high) = np.percentile(
        found, [2.5, 97.5], axis=0
    ).tolist()
    return Interval(good_low, good_high), Interval(excellent_low, excellent_high)


def _held_out(similarities: Floats, labels: Labels, groups: Labels) -> tuple[tuple[int, ...], ...]:
    """Every pair graded by thresholds from the other folds; a reference is in one fold
    only.
    """
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedGroupKFold

    given = np.empty_like(labels)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=_SEED)
    for rest, held in folds.split(similarities, labels, groups):
        if lost := set(labels) - set(labels[rest]):
            raise VectrueError(
                (
                    f"the pairs of the grade {GRADES[min(lost)]} share so few references that none "
                    "is left to test with"
                ),
                fix=f"give each grade at least {LEAST_PAIRS} pairs of several references",
            )
        thresholds = separate(similarities[rest], labels[rest])
        given[held] = [GRADES.index(thresholds.grade(value)) for value in similarities[held]]
    table = confusion_matrix(labels, given, labels=range(len(GRADES)))
    return tuple(tuple(int(count) for count in row) for row in table)
