"""The interview backend's own module, on tables that vectrue fills."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from sqlmodel import Session, create_engine

from connectors.models import singleton
from examples.interview import vector_utils
from streams.operations.interview import load
from tests.conftest import MakeWorkplace
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack
TABLES = [
    {"name": "public.questions", "text": "question"},
    {"name": "public.answer_bank", "text": "answer"},
]
SCHEMA = Path(load.__file__).with_name("schema.sql")


@pytest.fixture
def place(make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The interview tables at 1024 dimensions, a few rows in step, and a program that
    stands in that folder.
    """
    made = make_workplace(tables=TABLES, model={"name": "lexical", "dimensions": 1024})
    made.execute(SCHEMA.read_text(encoding="utf-8"))
    made.vectrue("init")
    made.start_worker("live")
    with closing(psycopg2.connect(made.settings.postgres.dsn)) as connection:
        load.load(connection)
    for table in TABLES:
        made.wait_current(table["name"])
    made.write_config()
    monkeypatch.chdir(made.directory)
    monkeypatch.setattr(singleton, "_model", None)
    yield made
    singleton._model = None


def test_the_backend_after_the_move(place: Workplace) -> None:
    """It searches and scores with the vectors that vectrue keeps; rows of another model
    do not take part.
    """
    questions = {int(str(q["id"])): str(q["question"]) for q in load.read_questions()}
    answers = [a for a in load.read_answers() if a["question_id"] == 1]
    best = max(answers, key=lambda a: int(str(a["score"])))
    vectors = vector_utils.create_embeddings([questions[1], questions[2]])
    assert (vectors.shape[1], vector_utils.get_embedding_model().dimensions) == (1024, 1024)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(place.settings.postgres.dsn)
    )
    with Session(engine) as session:
        found = vector_utils.search_questions(session, questions[1], limit=3)
        assert found[0][0].id == 1
        assert found[0][1] == pytest.approx(1, abs=1e-5)
        assert [similarity for _, similarity in found] == sorted(
            (s for _, s in found), reverse=True
        )
        assert len(vector_utils.search_questions(session, questions[1], min_similarity=0.999)) == 1

        same = vector_utils.evaluate_answer(session, 1, str(best["answer"]))
        assert same is not None
        assert (same.reference, same.message) == (best["answer"], "우수한 답변입니다")
        assert same.score == pytest.approx(100, abs=0.01)
        off = vector_utils.evaluate_answer(session, 1, "잘 모르겠습니다.")
        assert off is not None
        assert (off.similarity < 0.7, off.message) == (True, "답변을 보완해주세요")
        assert vector_utils.evaluate_answer(session, 10**9, "답변") is None

        for worker in place.processes:  # it would have the row in step again in no time
            worker.terminate()
            worker.wait()
        place.execute(
            "UPDATE public.questions SET embedding_model = 'another@1+00000000' WHERE id = 1"
        )
        session.rollback()
        assert 1 not in [
            question.id for question, _ in vector_utils.search_questions(session, questions[1])
        ]
    engine.dispose()


@pytest.mark.parametrize(
    ("similarity", "words"), [(0.86, "우수한"), (0.85, "좋은"), (0.71, "좋은"), (0.70, "보완")]
)
def test_grades_are_those_of_the_guide(similarity: float, words: str) -> None:
    """Above 0.85 excellent, above 0.70 good, else to be improved; the limits themselves
    belong below.
    """
    assert words in vector_utils.grade(similarity)
