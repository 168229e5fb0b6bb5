"""`vectrue score` on a real database and as a command: references in the answer table,
files of graded pairs.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.settings.reading import Settings
from streams.search import score
from streams.search.search import Search
from tests.conftest import MakeWorkplace
from tests.support.init import setup
from tests.support.vectors import embed_all
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

ANSWERS = """
    CREATE TABLE answers (
        id uuid DEFAULT gen_random_uuid() PRIMARY KEY, "of%" text, body text, marks int,
        embedding vector(64)
    );
    INSERT INTO answers ("of%", body, marks) VALUES
        ('17', 'a mutex that lets one thread run', 90),
        ('17', 'some lock or other, I believe', 30),
        ('18', 'containers share the kernel of their host', 90),
        ('50% x', 'percent', 90),
        ('19', NULL, 90)
"""
FOUND_BY = {"table": "answers", "question": "of%", "where": "true"}


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Answers to three questions, whose ids are texts, in a column with a % in its
    name.
    """
    made = make_workplace(tables=[{"name": "public.answers", "text": "body"}], score=FOUND_BY)
    made.execute(ANSWERS)
    setup(made.settings)
    embed_all(made)
    return made


def scored(place: Workplace, settings: Settings, answer: str, question: str) -> Any:
    session = Session(place.settings.postgres.dsn, role="test score")
    try:
        return score.against_stored(settings, Search(settings, session), answer, question)
    finally:
        session.close()


def test_an_answer_against_those_of_its_question(place: Workplace) -> None:
    """The nearest stored answer of this question alone; `where` keeps bad ones from
    being references.
    """
    settings = place.settings
    found = scored(place, settings, "some lock or other, I believe", "17")
    assert found.similarity == pytest.approx(1, abs=1e-4)
    assert found.grade == "excellent"
    assert found.reference.text == "some lock or other, I believe"
    good = place.with_settings(score={**FOUND_BY, "where": "marks >= 85 AND body LIKE '%mutex%'"})
    found = scored(place, good, "some lock or other, I believe", "17")
    assert found.reference.text == "a mutex that lets one thread run"
    assert found.similarity < 0.7
    assert scored(place, settings, "percent", "50% x").reference.text == "percent"
    for question in ("19", "404", "17' OR '1'='1"):
        with pytest.raises(VectrueError, match="has no answer"):
            scored(place, settings, "percent", question)
    for wrong, words in (
        ({"table": "other"}, "not among"),
        ({"question": "nope"}, "nope"),
        ({"where": "1"}, r"score\.where"),
    ):
        with pytest.raises(VectrueError, match=words):
            scored(
                place,
                place.with_settings(score={**FOUND_BY, "where": None, **wrong}),
                "percent",
                "17",
            )


def test_the_command(place: Workplace, tmp_path: Path) -> None:
    """With and without its name, from stdin too; JSON; usage errors; a file of pairs
    that says too little.
    """
    done = place.vectrue("score", "a mutex that lets one thread run", "--question", "17")
    assert done.stdout.startswith(
        "similarity  1.0000\nscore       100.0/100\ngrade       excellent (우수한 답변입니다)\n"
    )
    said = place.vectrue("score", "answer", "percent", "--reference", "quite another", "-o", "json")
    report = json.loads(said.stdout)
    assert (report["grade"], report["message"]) == ("to be improved", "답변을 보완해주세요")
    assert report["thresholds"] == {"good": 0.7, "excellent": 0.85}
    assert report["calibrated"] is False
    assert (
        "these thresholds are bge-m3's: vectrue score calibrate FILE" in said.stderr + done.stderr
    )
    assert report["reference"] is None
    for wrong in (["percent"], ["percent", "-r", "x", "-q", "17"]):
        assert place.vectrue("score", *wrong, check=False).returncode == 2
    file = tmp_path / "pairs.jsonl"
    for text, words in (
        ("{}\n", "line 1"),
        ("", "too few pairs"),
        ('{"answer": "a", "reference": "b", "grade": "good"}', "all 1 pairs"),
    ):
        file.write_text(text)
        refused = place.vectrue("score", "calibrate", str(file), check=False)
        assert (refused.returncode, words in refused.stderr) == (1, True), refused.stderr
    missing = place.vectrue("score", "calibrate", str(tmp_path / "none"), check=False)
    assert "No such file" in missing.stderr
