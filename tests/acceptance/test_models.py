"""The whole path with real networks: a bge-m3-shaped one, a pretrained English one, a
pretrained multilingual one.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from connectors.models import open_model
from connectors.ports import Embedder
from examples.interview.overlap import shared
from schemas.reports.score import read_pairs
from schemas.reports.search import SearchRequest
from schemas.settings.reading import load
from streams.evaluation import calibrate
from streams.operations.interview import load as interview
from streams.search import score
from streams.search.search import Search
from tests.conftest import MakeWorkplace
from tests.support.models import build_xlm_roberta, minilm_folder
from tests.support.root import ROOT
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

ENGLISH = [
    "How does a hash map resolve collisions?",
    "What is the difference between a process and a thread?",
    "Explain how HTTPS protects data in transit.",
    "When would you choose a message queue over a direct call?",
    "What does an index on a database column cost?",
    "How do you find a memory leak in a long-running service?",
    "What happens when two people edit the same file in git?",
    "Why should passwords be salted before they are stored?",
]

REFERENCE = (
    "GIL(Global Interpreter Lock)은 Python 인터프리터가 한 번에 하나의 스레드만 "
    "Python 바이트코드를 실행할 수 있도록 제한하는 뮤텍스입니다. "
    "이는 멀티코어 CPU에서도 CPU-bound 작업의 병렬 처리를 제한합니다."
)


def synced(place: Workplace, texts: list[str]) -> Workplace:
    """The texts in `questions`, one by one through the live lane."""
    place.vectrue("init")
    place.start_worker("live")
    for text in texts:
        place.execute("INSERT INTO questions (question) VALUES (%s)", (text,))
    place.wait_current()
    return place


def top(place: Workplace, query: str, count: int = 3) -> list[int]:
    """Keys that `vectrue search` finds, best first."""
    done = place.vectrue("search", query, "-n", str(count), "-t", "public.questions", "-o", "json")
    return [int(hit["key"][0]) for hit in json.loads(done.stdout)["hits"]]


def best(place: Workplace, embedder: Embedder, query: str, count: int = 1) -> list[int]:
    """The same in this process, for many queries of one model: loading it takes
    seconds.
    """
    found = Search(place.settings, place.session, embedder).find(
        SearchRequest(query, ("public.questions",), count)
    )
    return [int(hit.key[0]) for hit in found.hits]


def stored(place: Workplace) -> dict[int, np.ndarray]:
    """The vectors in the table."""
    lines = place.execute("SELECT id, embedding::text FROM questions ORDER BY id")
    return {key: np.array(json.loads(text), np.float32) for key, text in lines}


def test_a_network_of_bge_m3s_shape(make_workplace: MakeWorkplace, tmp_path: Path) -> None:
    """XLM-RoBERTa, first token, normalised, 1024 dimensions: what is stored is what the
    model makes of the text.
    """
    folder = build_xlm_roberta(tmp_path / "shape", layers=2, hidden=1024)
    place = make_workplace(model={"name": str(folder), "dimensions": 1024})
    place.execute(CREATE_QUESTIONS.format(dimensions=1024))
    texts = [*ENGLISH, "파이썬의 GIL은 무엇인가요?"]
    synced(place, texts)
    again = open_model(place.settings.model).encode_documents(texts)
    for vector, expected in zip(stored(place).values(), again, strict=True):
        assert float(vector @ expected) > 0.999
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-3
    assert top(place, texts[-1], 1) == [len(texts)]


def test_a_pretrained_english_model_finds_paraphrases(make_workplace: MakeWorkplace) -> None:
    """all-MiniLM-L6-v2: questions are found by what they mean."""
    place = make_workplace(model={"name": str(minilm_folder()), "dimensions": 384})
    place.execute(CREATE_QUESTIONS.format(dimensions=384))
    synced(place, ENGLISH)
    embedder = open_model(place.settings.model)
    assert best(place, embedder, "protecting login secrets at rest against rainbow tables") == [8]
    assert best(place, embedder, "two keys end up in the same bucket") == [1]
    assert best(place, embedder, "TLS encryption between browser and server") == [3]


def test_korean_paraphrases_are_found_in_the_interview_example(
    make_workplace: MakeWorkplace,
) -> None:
    """multilingual-e5-small, ten queries without a content word of their question: at
    least eight in the top three.
    """
    place = make_workplace(model={"name": "multilingual-e5-small", "dimensions": 384})
    place.execute(CREATE_QUESTIONS.format(dimensions=384))
    questions = {int(str(q["id"])): str(q["question"]) for q in interview.read_questions()}
    place.vectrue("init")
    for key, text in questions.items():
        place.execute("INSERT INTO questions (id, question) VALUES (%s, %s)", (key, text))
    place.start_worker("live")
    place.wait_current(timeout=240)
    embedder = open_model(place.settings.model)
    found = 0
    for judged in interview.read_queries()[:10]:
        query, relevant = str(judged["query"]), judged["relevant"]
        assert isinstance(relevant, list)
        assert not any(shared(query, questions[key]) for key in relevant)
        found += bool(set(best(place, embedder, query, 3)) & set(relevant))
    assert found >= 8
    # The guide's own search, as a person types it.
    assert 1 in top(place, "파이썬 멀티스레딩 제약사항")


def test_thresholds_are_calibrated_for_the_model(tmp_path: Path) -> None:
    """multilingual-e5-small: the guide's thresholds fail it; the proposed ones tell the
    example's grades apart.
    """
    settings = load(model={"name": "multilingual-e5-small", "dimensions": 384})
    model = open_model(settings.model)
    file = ROOT / "examples" / "interview" / "graded.jsonl"
    pairs = read_pairs(file.read_text(encoding="utf-8").splitlines(), name=file.name)
    found = calibrate.calibrate(pairs, model, score.thresholds(settings, model.record.name))
    assert found.current < 0.5
    assert found.accuracy > 0.55
    assert found.verdict.startswith("the two thresholds are apart")
    (tmp_path / "vectrue.toml").write_text(f"{found.settings}\n", encoding="utf-8")
    pasted = load(tmp_path / "vectrue.toml")
    wrong = "컴퓨터의 휴지통을 비우는 것입니다."
    right = (
        "GIL은 한 번에 한 스레드만 바이트코드를 실행하게 하는 락이라서, "
        "멀티코어에서도 계산이 나란히 못 돕니다."
    )
    assert score.against_text(pasted, wrong, REFERENCE, model).grade == "to be improved"
    assert score.against_text(pasted, right, REFERENCE, model).grade != "to be improved"
