"""Grades, graded pairs and thresholds that are proposed from them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

from connectors.twins.model import TwinEmbedder
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.score import GRADES, Grade, GradeThresholds, Pair, Score, read_pairs
from schemas.rows.document import Vector
from schemas.settings.reading import Settings, load
from streams.evaluation import calibrate, calibrate_plot
from streams.search import score
from tests.support.root import ROOT

GUIDE = GradeThresholds(good=0.70, excellent=0.85)
FILE = ROOT / "examples" / "interview" / "graded.jsonl"


class Ruler(TwinEmbedder):
    """Texts are numbers of degrees; the vector points there."""

    def _vector(self, text: str) -> Vector:
        angle = np.deg2rad(float(text))
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


def pairs(*bands: tuple[Grade, float, float], each: int = 12) -> list[Pair]:
    """Pairs of each grade whose angles are spread over a band; one reference each,
    which is another full turn.
    """
    return [
        Pair(str(360 * i + angle), str(360 * i), grade)
        for grade, low, high in bands
        for i, angle in enumerate(np.linspace(low, high, each).round(3))
    ]


APART = pairs((Grade.EXCELLENT, 0, 20), (Grade.GOOD, 30, 40), (Grade.TO_BE_IMPROVED, 50, 80))


def test_the_grades_of_the_guide() -> None:
    """Above 0.85 excellent, above 0.70 good, else to be improved; equal is not above;
    the Korean words beside them.
    """
    grades = [GUIDE.grade(value) for value in (0.8501, 0.85, 0.7001, 0.70, -1.0)]
    assert grades == ["excellent", "good", "good", "to be improved", "to be improved"]
    assert [grade.message for grade in reversed(GRADES)] == [
        "우수한 답변입니다",
        "좋은 답변입니다",
        "답변을 보완해주세요",
    ]
    said = Score(0.9398, "m@1", GUIDE, calibrated=True).to_json()
    assert (said["score"], said["grade"], said["reference"]) == (
        pytest.approx(93.98),
        "excellent",
        None,
    )


def test_thresholds_belong_to_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's own thresholds come from the settings, by its name; another model keeps
    the guide's.
    """
    monkeypatch.setenv(
        "VECTRUE_SCORE__GRADES", json.dumps({"BAAI/bge-m3": {"good": 0.5, "excellent": 0.6}})
    )
    settings = load()
    assert score.thresholds(settings, "BAAI/bge-m3") == GradeThresholds(0.5, 0.6)
    assert score.thresholds(settings, "multilingual-e5-small") == GUIDE
    assert not score.graded(settings, 0.8, Ruler()).calibrated
    own = load(score={"grades": {Ruler().record.name: {"good": 0.5, "excellent": 0.6}}})
    assert score.graded(own, 0.8, Ruler()).calibrated
    monkeypatch.setenv("VECTRUE_SCORE__GRADES", json.dumps({"x": {"good": 0.9, "excellent": 0.6}}))
    with pytest.raises(ConfigurationError, match="good must not be above excellent"):
        load()


def test_a_text_is_scored_without_a_database() -> None:
    """The cosine of both as documents; a blank text is refused."""
    found = score.against_text(Settings(), "30", "0", Ruler(2))
    assert found.similarity == pytest.approx(np.cos(np.deg2rad(30)))
    assert (found.grade, found.model) == ("excellent", Ruler(2).model_id)
    for answer, reference in (("", "0"), ("0", " \n")):
        with pytest.raises(VectrueError, match="is blank"):
            score.against_text(Settings(), answer, reference, Ruler(2))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secret", "not JSON"),
        ("[1]", "not an object"),
        ('{"answer": "secret", "grade": "good"}', "reference is missing"),
        ('{"answer": " ", "reference": "secret", "grade": "good"}', "answer is missing or blank"),
        ('{"answer": "secret", "reference": "b", "grade": "great"}', "grade is missing or unknown"),
        (
            '{"answer": "secret", "reference": "b", "grade": ["good"]}',
            "grade is missing or unknown",
        ),
    ],
)
def test_a_line_that_is_no_pair_is_named(line: str, words: str) -> None:
    """The number of the line, blank ones counted, and what is wrong with it; not the
    line itself.
    """
    good = '{"answer": "a", "reference": "b", "grade": "to be improved", "note": 1}'
    with pytest.raises(VectrueError) as caught:
        read_pairs([good, "", line], name="f.jsonl")
    assert "f.jsonl line 3" in str(caught.value)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert read_pairs([good, "  "], name="f") == [Pair("a", "b", Grade.TO_BE_IMPROVED)]


def test_grades_that_are_apart_are_told_apart() -> None:
    """Thresholds lie in the gaps, every unseen pair is graded right, and the block can
    be pasted.
    """
    found = calibrate.calibrate(APART, Ruler(2), GUIDE)
    assert np.cos(np.deg2rad(30)) < found.thresholds.excellent < np.cos(np.deg2rad(20))
    assert np.cos(np.deg2rad(50)) < found.thresholds.good < np.cos(np.deg2rad(40))
    assert found.confusion == ((12, 0, 0), (0, 12, 0), (0, 0, 12))
    assert found.good.low <= found.thresholds.good <= found.good.high < found.excellent.low
    assert found.verdict.startswith("the two thresholds are apart; 100 %")
    assert re.fullmatch(
        r'\[score\.grades\."twin"\]\ngood = 0\.\d{4}\nexcellent = 0\.\d{4}', found.settings
    )
    assert calibrate.calibrate(APART, Ruler(2), GUIDE).to_json() == found.to_json()


def test_it_says_when_it_is_not_sure() -> None:
    """Grades that lie over each other: the intervals overlap, or the accuracy is that
    of a guess, and it says so.
    """
    mixed = pairs((Grade.EXCELLENT, 0, 60), (Grade.GOOD, 2, 58), (Grade.TO_BE_IMPROVED, 1, 59))
    found = calibrate.calibrate(mixed, Ruler(2), GUIDE)
    assert found.verdict.startswith("not ")
    assert found.accuracy < 0.6
    assert found.good.high - found.good.low > 0.1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "too few pairs"),
        (APART[:12], "all 12 pairs are of the grade excellent"),
        (APART[:-4], "too few pairs (8 to be improved, 12 good, 12 excellent)"),
        ([Pair(pair.answer, "0", pair.grade) for pair in APART], "only 1 different references"),
        (
            [*pairs((Grade.EXCELLENT, 0, 20), each=1) * 12, *APART[12:]],
            "of the grade excellent share so few references",
        ),
    ],
)
def test_pairs_that_say_nothing_are_refused(given: list[Pair], words: str) -> None:
    """Too few of a grade, one grade only, too few references: counts, and how many are
    needed.
    """
    with pytest.raises(VectrueError, match=re.escape(words)) as caught:
        calibrate.calibrate(given, Ruler(2), GUIDE)
    assert "at least 10" in str(caught.value)


@options(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=3, max_size=40))
def test_no_other_thresholds_part_the_grades_better(points: list[tuple[int, int]]) -> None:
    """Against all pairs of cuts: the mean recall is the largest there is, and good is
    not above excellent.
    """
    labels = np.array([label for _, label in points] + [0, 1, 2])
    values = np.array([value for value, _ in points] + [0, 1, 2], np.float64)

    def recall(low: float, high: float) -> float:
        given = (values > low).astype(int) + (values > high)
        return float(np.mean([np.mean(given[labels == k] == k) for k in range(3)]))

    found = calibrate.separate(values, labels)
    cuts = np.arange(values.min(), values.max() + 1, 0.5)
    assert found.good <= found.excellent
    best = max(recall(low, high) for low in cuts for high in cuts if low <= high)
    assert recall(found.good, found.excellent) == pytest.approx(best)


def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture in the format of its ending; a wrong ending, folder or missing
    matplotlib is said beforehand.
    """
    found = calibrate.calibrate(APART, Ruler(2), GUIDE)
    for name, head in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        calibrate_plot.check(tmp_path / name)
        calibrate_plot.write(found, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    for name, words in (("a.txt", "cannot write a.txt"), ("no/a.png", "there is no folder")):
        with pytest.raises(VectrueError, match=words):
            calibrate_plot.check(tmp_path / name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(VectrueError, match="pip install"):
        calibrate_plot.check(tmp_path / "a.png")


def test_the_examples_pairs_are_enough() -> None:
    """The file of the interview example: as many pairs of each grade, each reference
    once with every grade.
    """
    read = read_pairs(FILE.read_text(encoding="utf-8").split("\n"), name="graded.jsonl")
    calibrate.check(read)
    for reference in {pair.reference for pair in read}:
        assert sorted(pair.grade for pair in read if pair.reference == reference) == sorted(GRADES)
