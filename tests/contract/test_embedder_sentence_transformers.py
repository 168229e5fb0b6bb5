"""What only sentence-transformers models promise: identity by content, loud damage,
memory, quiet loading.
"""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.models.bge_m3 import SentenceTransformerEmbedder
from schemas.errors import ConfigurationError, ModelUnavailable, OutOfMemory, PoisonText
from schemas.settings.sections import ModelSettings
from tests.support.models import build_xlm_roberta


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xlm_roberta(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "small"))


def _open(folder: Path, **more: Any) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(
        ModelSettings(name=str(folder), **{"dimensions": 128, **more}), SystemClock()
    )


def test_id_is_of_the_content_not_of_the_place(pristine: Path, folder: Path) -> None:
    """A copied folder has the same id, as on another machine; device, batch size and
    threads leave it alone.
    """
    assert _open(pristine).model_id == _open(folder).model_id
    assert (
        _open(pristine, batch_size=7, threads=1, device="cpu").model_id == _open(pristine).model_id
    )


def test_id_changes_with_the_numbers(folder: Path, tmp_path: Path) -> None:
    """Another limit, prompt, pooling, weight or size makes another id, so no two kinds
    of vectors ever mix.
    """
    ids = [_open(folder).model_id, _open(folder, max_tokens=64).model_id]
    extra = folder / "config_sentence_transformers.json"
    extra.write_text(json.dumps({"prompts": {"query": "query: "}}), encoding="utf-8")
    ids.append(_open(folder).model_id)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(
        json.dumps({"word_embedding_dimension": 128, "pooling_mode_mean_tokens": True}),
        encoding="utf-8",
    )
    ids.append(_open(folder).model_id)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ids.append(_open(folder).model_id)
    ids.append(
        _open(build_xlm_roberta(tmp_path / "wide" / "small", hidden=192), dimensions=192).model_id
    )
    assert len(set(ids)) == len(ids)


def test_own_limit_written_out_is_the_same_model(pristine: Path) -> None:
    """Setting max_tokens to the model's own limit changes no number, so no id."""
    assert _open(pristine, max_tokens=512).model_id == _open(pristine).model_id


def test_limit_beyond_the_model_is_refused(pristine: Path) -> None:
    """More tokens than the network has positions would fail in the middle of a batch;
    it fails at once instead.
    """
    with pytest.raises(ConfigurationError, match=r"model\.max_tokens is 600.*at most 512"):
        _open(pristine, max_tokens=600).load()


def test_texts_are_cut_at_the_limit(pristine: Path) -> None:
    """What stands behind the limit does not count; what stands before it does."""
    start = "가 " * 40
    short = _open(pristine, max_tokens=16)
    a, b = short.encode_documents([start + "나 다 라", start + "마 바 사"])
    np.testing.assert_allclose(a, b, atol=1e-6)
    whole = _open(pristine)
    a, b = whole.encode_documents([start + "나 다 라", start + "마 바 사"])
    assert np.abs(a - b).max() > 1e-4


def test_prompts_of_the_model_are_used(folder: Path) -> None:
    """Queries and documents get the prompts that the model was trained with."""
    plain = _open(folder)
    document, query = plain.encode_documents(["인덱스"])[0], plain.encode_query("인덱스")
    np.testing.assert_allclose(document, query, atol=1e-6)
    prompts = {"query": "질문 ", "document": "글 "}
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": prompts}), encoding="utf-8"
    )
    prompted = _open(folder)
    np.testing.assert_allclose(
        prompted.encode_query("인덱스"), plain.encode_query("질문 인덱스"), atol=1e-6
    )
    np.testing.assert_allclose(
        prompted.encode_documents(["인덱스"])[0],
        plain.encode_documents(["글 인덱스"])[0],
        atol=1e-6,
    )


def test_pickle_weights_at_full_width(tmp_path: Path) -> None:
    """The only weights in the repository of bge-m3 are pytorch_model.bin: they load
    too, to the same vectors.
    """
    pickled = build_xlm_roberta(tmp_path / "pickled", layers=1, hidden=1024, weights="bin")
    safe = build_xlm_roberta(tmp_path / "safe", layers=1, hidden=1024)
    a, b = (_open(f, dimensions=1024).encode_documents(["인덱스"]) for f in (pickled, safe))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_missing_weight_is_an_error(folder: Path) -> None:
    """The library would fill it with random numbers and only log that; it is found at
    any level of its logger.
    """
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    library = logging.getLogger("transformers")
    before = library.level
    library.setLevel(logging.CRITICAL)
    try:
        with pytest.raises(
            ModelUnavailable, match=r"lacks 1 weights \(encoder\.layer\.1\.output\.dense\.weight\)"
        ):
            _open(folder).load()
        assert library.level == logging.CRITICAL
    finally:
        library.setLevel(before)


def test_a_missing_pooler_is_none(folder: Path) -> None:
    """Many checkpoints come without the pooler, which sentence-transformers does not
    use.
    """
    from safetensors.torch import load_file, save_file

    weights = {
        name: w
        for name, w in load_file(folder / "model.safetensors").items()
        if "pooler" not in name
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert _open(folder).encode_documents(["인덱스"]).shape == (1, 128)


def test_damaged_files_are_one_sentence(folder: Path) -> None:
    """A truncated weight file ends in ModelUnavailable, not in a library's traceback."""
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        _open(folder).load()


def test_a_folder_that_changes_under_the_process(folder: Path) -> None:
    """After unloading, other weights are not taken under the old id."""
    model = _open(folder)
    assert model.model_id
    model.load()
    model.unload()
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has changed since this process started"):
        model.encode_query("인덱스")


def test_loading_is_quiet_and_offline(pristine: Path) -> None:
    """In a fresh process, loading and encoding print nothing but two log lines, and
    never open a connection.
    """
    program = (
        "import socket, sys, structlog\n"
        "from structlog.testing import capture_logs\n"
        "def refuse(*_): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "from connectors.models import open_model\n"
        "from schemas.settings.reading import ModelSettings\n"
        "with capture_logs() as logs:\n"
        "    open_model(ModelSettings(name=sys.argv[1], "
        "dimensions=128)).encode_documents(['인덱스'])\n"
        "assert [line['event'] for line in logs] == ['loading model', 'model loaded'], logs\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(pristine)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_unload_gives_memory_back(tmp_path: Path) -> None:
    """Most of the weights' memory leaves the process; an unused model costs
    nothing.
    """
    from connectors.models.process_memory import resident_bytes

    model = _open(
        build_xlm_roberta(tmp_path / "big", layers=2, hidden=1024, vocab=60_000), dimensions=1024
    )
    model.encode_query("인덱스")
    weights = (tmp_path / "big" / "model.safetensors").stat().st_size
    before = resident_bytes()
    model.unload()
    after = resident_bytes()
    if before is None or after is None:
        pytest.skip("this system does not tell the resident memory of a process")
    assert before - after > weights / 2


class _Network:
    """Stands in for a network: fails above a number of texts at a time, or returns what
    it is told.
    """

    device = "cuda:0"

    def __init__(self, room: int = 1000, rows: Any = None) -> None:
        self.room, self.rows = room, rows
        self.sizes: list[int] = []

    def encode_document(self, texts: Sequence[str], *, batch_size: int, **_: bool) -> Any:
        self.sizes.append(batch_size)
        if min(batch_size, len(texts)) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.rows if self.rows is not None else np.ones((len(texts), 128), np.float32)


def test_out_of_memory_halves_the_batch_for_good(pristine: Path) -> None:
    """The batch size falls until a batch fits, all texts are embedded, and the next
    call starts with what fitted.
    """
    model = _open(pristine)
    model._network = network = _Network(room=5)  # type: ignore[assignment]  # a stand-in
    assert model.encode_documents(["글"] * 20).shape == (20, 128)
    assert network.sizes == [32, 16, 8, 4]
    model.encode_documents(["글"] * 20)
    assert network.sizes[-1] == 4


def test_no_room_for_one_text(pristine: Path) -> None:
    """A text that does not fit by itself is named as such, and the batches after it are
    as large as before.
    """
    model = _open(pristine, batch_size=4)
    model._network = network = _Network(room=0)  # type: ignore[assignment]  # a stand-in
    for texts in (["글"], ["글"] * 4):
        with pytest.raises(OutOfMemory, match=r"cuda:0.*model\.max_tokens = 512"):
            model.encode_documents(texts)
    assert network.sizes == [4, 4, 2, 1]
    network.room = 4
    model.encode_documents(["글"] * 4)
    assert network.sizes[-1] == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_that_is_none(pristine: Path, value: float) -> None:
    """NaN, infinity and zero are never returned; the error names the text's place and
    length, not its words.
    """
    rows = np.ones((3, 128), np.float32)
    rows[1] = value
    model = _open(pristine)
    model._network = _Network(rows=rows)  # type: ignore[assignment]  # a stand-in
    with pytest.raises(PoisonText) as caught:
        model.encode_documents(["하나", "비밀입니다", "셋"])
    assert "text 1 (5 characters)" in str(caught.value)
    assert "비밀" not in str(caught.value)


def test_lower_precision_is_normalised_in_float32(pristine: Path) -> None:
    """Rows whose length is off by bfloat16's rounding leave with unit length."""
    rows = (
        torch.nn.functional.normalize(torch.randn(3, 128), dim=1).to(torch.bfloat16).float().numpy()
    )
    model = _open(pristine)
    model._network = _Network(rows=rows)  # type: ignore[assignment]  # a stand-in
    lengths = np.linalg.norm(model.encode_documents(["가", "나", "다"]).astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


def test_a_network_in_half_precision(pristine: Path) -> None:
    """What a GPU does, on the CPU: bfloat16 weights give float32 unit vectors close to
    those of float32 weights.
    """
    exact = _open(pristine).encode_documents(["인덱스", "트랜잭션 격리 수준"])
    model = _open(pristine, dtype="bfloat16")
    assert model.model_id == _open(pristine).model_id
    half = model.encode_documents(["인덱스", "트랜잭션 격리 수준"])
    assert model._network is not None
    assert next(model._network.parameters()).dtype == torch.bfloat16
    assert half.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(half.astype(np.float64), axis=1), 1.0, atol=1e-6)
    assert (np.einsum("ij,ij->i", exact, half) > 0.999).all()


@pytest.mark.parametrize("device", ["cuda:99", "warp", "mps"])
def test_a_device_that_is_not_there(
    pristine: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that PyTorch does not have is named with the setting; it never falls
    back to the slow CPU unasked.
    """
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match=rf"model\.device is {device}"):
        _open(pristine, device=device).load()


def test_threads_are_those_of_the_setting(pristine: Path) -> None:
    """`model.threads` bounds PyTorch in this process."""
    before = torch.get_num_threads()
    try:
        _open(pristine, threads=1).load()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    """An empty folder and a wrong path are told apart from a model that was never
    fetched.
    """
    with pytest.raises(ModelUnavailable, match=r"holds no complete model.*correct model\.name"):
        open_model(ModelSettings(name=str(tmp_path))).load()
    with pytest.raises(ModelUnavailable, match=r"there is no folder.*correct model\.name"):
        open_model(ModelSettings(name=str(tmp_path / "nowhere"))).load()
