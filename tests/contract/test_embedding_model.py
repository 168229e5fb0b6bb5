"""The model of a program: one per process, any number of threads, any number of texts,
little memory.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.models import EmbeddingModel, get_embedding_model, open_model, singleton
from connectors.models.choice import choose
from connectors.models.loading import load_network
from connectors.twins.model import TwinEmbedder
from schemas.errors import ConfigurationError, ModelUnavailable, OutOfMemory, PoisonText
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings
from tests.support.models import build_xlm_roberta

TEXTS = [f"{n}번째 질문입니다. " * (1 + n % 7) for n in range(100)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xlm_roberta(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def settings(folder: Path) -> ModelSettings:
    return ModelSettings(name=str(folder), dimensions=128)


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """As if the model had not been asked for yet, before and after."""
    singleton._model = None
    yield
    singleton._model = None


def test_twenty_threads_load_it_once(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All get the same object and right vectors, and the weights were read once."""
    loads: list[str] = []

    def counted(*arguments: Any) -> Any:
        loads.append(threading.current_thread().name)
        return load_network(*arguments)

    monkeypatch.setattr("connectors.models.bge_m3.load_network", counted)
    together = threading.Barrier(20)

    def ask(number: int) -> tuple[EmbeddingModel, Vector]:
        together.wait()
        model = get_embedding_model(settings)
        return model, model.encode(TEXTS[number : number + 3], batch_size=2)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))
    assert len(loads) == 1
    assert len({id(model) for model, _ in answers}) == 1
    alone = open_model(settings).encode_documents(TEXTS[:22])
    for number, (_, vectors) in enumerate(answers):
        assert (np.einsum("ij,ij->i", vectors, alone[number : number + 3]) > 0.9999).all()


@pytest.mark.parametrize("batch_size", [1, 8, 32, 1000])
def test_vectors_are_those_of_the_texts_in_their_order(
    settings: ModelSettings, batch_size: int
) -> None:
    """float32[n, dimensions] of unit length, whatever the batches; none for no texts; a
    query is one vector.
    """
    model = get_embedding_model(settings)
    vectors = model.encode(TEXTS, batch_size=batch_size)
    assert vectors.shape == (100, 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1.0, atol=1e-5)
    expected = open_model(settings).encode_documents(TEXTS)
    assert (np.einsum("ij,ij->i", vectors, expected) > 0.9999).all()
    assert model.encode([]).shape == (0, 128)
    query = model.encode_query(TEXTS[7])
    assert query.shape == (128,)
    assert float(query @ vectors[7]) > 0.9999


def test_the_settings_of_the_program_are_the_workers(
    settings: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments it is the model of vectrue.toml, so its vectors may be compared
    with the stored ones.
    """
    (tmp_path / "vectrue.toml").write_text(f'[model]\nname = "{settings.name}"\ndimensions = 128\n')
    monkeypatch.chdir(tmp_path)
    model = get_embedding_model()
    assert model.model_id == open_model(settings).model_id
    assert (model.dimensions, model.max_tokens) == (128, 512)
    assert get_embedding_model() is model
    with pytest.raises(ConfigurationError, match=r"has loaded .* with other settings"):
        get_embedding_model(ModelSettings(name="lexical"))


def test_a_failed_load_is_tried_again(settings: ModelSettings, tmp_path: Path) -> None:
    """A model that was fetched after the first call is there for the second."""
    link = tmp_path / "later"
    later = settings.model_copy(update={"name": str(link)})
    with pytest.raises(ModelUnavailable, match="there is no folder"):
        get_embedding_model(later)
    link.symlink_to(settings.name)
    assert get_embedding_model(later).encode(["글"]).shape == (1, 128)


class _Model(TwinEmbedder):
    """A twin that remembers its batches, and has room for so many texts at a time."""

    kind = "twin"
    max_tokens = None

    def __init__(self, room: int = 1000) -> None:
        super().__init__(8)
        self.room = room
        self.batches: list[int] = []

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        self.batches.append(len(texts))
        if len(texts) > self.room:
            raise MemoryError
        return super().encode_documents(texts)


def _wrapped(model: _Model, **more: Any) -> EmbeddingModel:
    wrapped: Any = model
    return EmbeddingModel(ModelSettings(name="twin", dimensions=8, **more), wrapped)


def test_little_memory_means_small_batches() -> None:
    """32 texts at a time, 8 with low_memory, even for a caller who asks for more; fewer
    for one who asks for fewer.
    """
    for more, asked, largest in (({}, 32, 32), ({"low_memory": True}, 32, 8), ({}, 5, 5)):
        model = _Model()
        _wrapped(model, **more).encode(TEXTS, batch_size=asked)
        assert max(model.batches) == largest
        assert sum(model.batches) == 100


def test_a_batch_without_room_is_halved_and_the_rest_goes_on() -> None:
    """Down to one text at a time if need be, and every text has its own vector in the
    end.
    """
    for room in (1, 5, 31):
        model = _Model(room)
        np.testing.assert_array_equal(
            _wrapped(model).encode(TEXTS), TwinEmbedder(8).encode_documents(TEXTS)
        )


def test_the_text_that_cannot_be_taken_is_named() -> None:
    """By the index that the caller knows it by, and never by its words; for want of
    memory it is OutOfMemory.
    """
    model = _Model()
    model.fails = lambda text: text == TEXTS[41]
    with pytest.raises(PoisonText, match=r"text 41 of 100 \(\d+ characters\)") as caught:
        _wrapped(model).encode(TEXTS)
    assert TEXTS[41] not in str(caught.value)
    with pytest.raises(OutOfMemory, match=r"text 0 of 1 .*no memory"):
        _wrapped(_Model(room=0)).encode(["글"])


def test_one_text_instead_of_a_list(settings: ModelSettings) -> None:
    """A string is a sequence of strings too, and would be embedded letter by letter."""
    with pytest.raises(TypeError, match="encode takes a list of texts"):
        _wrapped(_Model()).encode("글자 하나하나")
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        _wrapped(_Model()).encode(["글"], batch_size=0)


def test_a_bar_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar goes to stderr; without it nothing is printed at all."""
    model = _wrapped(_Model())
    model.encode(TEXTS)
    assert capsys.readouterr() == ("", "")
    model.encode(TEXTS, show_progress_bar=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "100%" in err


def test_a_program_that_chose_no_logs_has_none_of_them_on_stdout(folder: Path) -> None:
    """What it prints is its own: the line that the model is being loaded goes to
    stderr.
    """
    program = (
        "import sys\n"
        "from connectors.models import get_embedding_model\n"
        "from schemas.settings.sections import ModelSettings\n"
        "print(get_embedding_model(ModelSettings(name=sys.argv[1], dimensions=128, "
        "threads=1)).dimensions)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    assert done.stdout == "128\n"
    assert "loading model" in done.stderr


def test_memory_that_really_runs_out(folder: Path) -> None:
    """A process that may have 60 MB beyond its model halves its batches and embeds all
    of its long texts.
    """
    program = (
        "import resource, sys\n"
        "from structlog.testing import capture_logs\n"
        "from connectors.models import get_embedding_model\n"
        "from schemas.settings.sections import ModelSettings\n"
        "model = get_embedding_model(ModelSettings(name=sys.argv[1], dimensions=128, threads=1))\n"
        "texts = ['격리 수준과 잠금 ' * 200] * 64\n"
        "right = model.encode(texts[:1])\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000,) * 2)\n"
        "with capture_logs() as lines:\n"
        "    vectors = model.encode(texts)\n"
        "assert (vectors @ right[0] > 0.9999).all()\n"
        "print([line['batch_size'] for line in lines if 'batch_size' in line])\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("this system has no such limit")
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    halves = [int(size) for size in done.stdout.splitlines()[-1].strip("[]").split(", ")]
    assert halves[0] == 16
    assert halves == sorted(halves, reverse=True)


def test_low_memory_never_mixes_vectors(folder: Path, settings: ModelSettings) -> None:
    """Where it cuts texts shorter than the model would, the id is another; where it
    does not, the same.
    """
    longer = folder.parent / "longer"
    if not longer.exists():
        build_xlm_roberta(longer, layers=1, max_tokens=1024)
    for name, same in ((longer, False), (folder, True)):
        ids = {
            choose(settings.model_copy(update={"name": str(name), **changed})).model_id
            for changed in ({}, dict(ModelSettings(low_memory=True).model_dump(include=_PRESET)))
        }
        assert (len(ids) == 1) == same


_PRESET = {"low_memory", "dtype", "max_tokens", "batch_size"}
