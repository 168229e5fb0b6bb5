"""The copy of the weights in bfloat16: the same numbers and the same id as without it,
whole or not there at all.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from connectors.clock import SystemClock
from connectors.models import describe_model, half_copy, place_model, store_half_copy
from connectors.models.bge_m3 import SentenceTransformerEmbedder
from connectors.models.files import disk_room
from schemas.errors import ModelUnavailable, VectrueError
from schemas.settings.sections import ModelSettings
from tests.support.models import build_xlm_roberta

TEXTS = ["파이썬의 GIL", "트랜잭션 격리 수준을 설명해 주세요.", "index"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xlm_roberta(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of vectrue's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _settings(folder: Path, **more: Any) -> ModelSettings:
    return ModelSettings(name=str(folder), dimensions=128, device="cpu", **more)


def _vectors(settings: ModelSettings, *, from_copy: bool) -> np.ndarray:
    model = SentenceTransformerEmbedder(settings, SystemClock())
    with capture_logs() as lines:
        vectors = model.encode_documents(TEXTS)
    assert [line["bf16_copy"] for line in lines if line["event"] == "loading model"] == [from_copy]
    model.unload()
    return vectors


def _as_pickle(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _in_shards(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {
        "model-00001-of-00002.safetensors": names[::2],
        "model-00002-of-00002.safetensors": names[1::2],
    }
    for file, keys in shards.items():
        save_file({key: weights[key] for key in keys}, folder / file, metadata={"format": "pt"})
    places = {key: file for file, keys in shards.items() for key in keys}
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(index)


@pytest.mark.parametrize("stored", ["safetensors", "pickle", "shards"])
def test_the_copy_makes_the_same_vectors_under_the_same_id(
    pristine: Path, tmp_path: Path, stored: str
) -> None:
    """Bit for bit those of bfloat16 without it; made once, half the size; float32 is
    loaded from the original.
    """
    folder = Path(shutil.copytree(pristine, tmp_path / "small"))
    {"safetensors": lambda _: None, "pickle": _as_pickle, "shards": _in_shards}[stored](folder)
    half, whole = _settings(folder, dtype="bfloat16"), _settings(folder)
    before = _vectors(half, from_copy=False)
    ids = {describe_model(settings).model_id for settings in (half, whole)}
    copy, made = store_half_copy(half)
    assert made
    assert store_half_copy(whole) == (copy, False)
    assert describe_model(half).bf16_copy == copy
    assert ids == {describe_model(half).model_id}
    np.testing.assert_array_equal(_vectors(half, from_copy=True), before)
    assert np.einsum("ij,ij->i", _vectors(whole, from_copy=False), before).min() > 0.99
    sizes = [
        sum(f.stat().st_size for f in place.glob("*.safetensors")) for place in (pristine, copy)
    ]
    assert 0.49 < sizes[1] / sizes[0] < 0.51
    assert _peak(half) < _peak(whole)


def _peak(settings: ModelSettings) -> int:
    peak = place_model(settings)[1].load_peak_bytes
    assert peak is not None
    return peak


def test_a_copy_that_has_changed_is_refused_and_made_anew(pristine: Path) -> None:
    """One bit that flipped in it would be vectors under the name of a model that never
    made them.
    """
    settings = _settings(pristine, dtype="bfloat16")
    copy, _ = store_half_copy(settings)
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        ModelUnavailable,
        match=r"the bfloat16 copy in .* is damaged: run `vectrue model pull --bf16`",
    ):
        SentenceTransformerEmbedder(settings, SystemClock()).load()
    assert store_half_copy(settings) == (copy, True)
    _vectors(settings, from_copy=True)


def test_other_weights_have_another_copy(pristine: Path, tmp_path: Path) -> None:
    """A folder that changed under its name does not get the copy of what it was."""
    folder = Path(shutil.copytree(pristine, tmp_path / "small"))
    store_half_copy(_settings(folder))
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert describe_model(_settings(folder)).bf16_copy is None
    assert describe_model(_settings(pristine)).bf16_copy is not None


def test_what_is_half_done_is_no_copy(
    pristine: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption while it is written leaves nothing that could be loaded, and
    nothing on the disk.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(half_copy, "_convert", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_half_copy(_settings(pristine))
    assert describe_model(_settings(pristine)).bf16_copy is None
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_what_cannot_be_converted(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room, no float32 weights, no weights at all: one sentence each."""
    with pytest.raises(
        VectrueError, match="lexical has no weights that could be converted: leave out --bf16"
    ):
        store_half_copy(ModelSettings(name="lexical"))
    copy, _ = store_half_copy(_settings(pristine))
    with pytest.raises(VectrueError, match="the weights of model are in bfloat16 already"):
        store_half_copy(_settings(copy))
    monkeypatch.setattr(disk_room, "free_bytes", lambda _: 1000)
    other = Path(shutil.copytree(pristine, tmp_path / "other"))
    with pytest.raises(
        VectrueError,
        match=r"the bfloat16 copy of other needs [\d,]+ bytes in .* and 1,000 are free",
    ):
        store_half_copy(_settings(other))
