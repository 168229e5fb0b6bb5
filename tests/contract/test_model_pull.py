"""Fetching a model from a hub that speaks the real one's protocol, on loopback; and a
hub that does not answer.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.models import describe_model, fetch_model, open_model
from connectors.models.files import disk_room
from schemas.errors import ConfigurationError, VectrueError
from schemas.settings.sections import ModelSettings
from tests.support import hub as hubs
from tests.support.hub import COMMIT, Hub
from tests.support.models import build_xlm_roberta

SETTINGS = ModelSettings(name="org/small", dimensions=128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_xlm_roberta(tmp_path_factory.mktemp("models") / "small", weights="bin")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x")
    (folder / "README.md").write_text("x")
    return folder


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, and an empty cache."""
    import huggingface_hub.constants

    with hubs.serve(folder) as server:
        resolve = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", resolve)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server
        huggingface_hub.close_session()


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_pulled_model_is_used_at_its_commit(hub: Hub, folder: Path, revision: str | None) -> None:
    """Only the files that loading needs are fetched, once; the model then loads, and
    its id names the commit.
    """
    settings = SETTINGS.model_copy(update={"revision": revision})
    assert not describe_model(settings).present
    got = fetch_model(settings)
    location = got.location
    assert (got.fetched, got.commit) == (True, COMMIT)
    assert location is not None
    assert "pytorch_model.bin" in hub.sent
    assert not {"onnx/model.onnx", "README.md"} & set(hub.sent)
    facts = describe_model(settings)
    assert (facts.present, facts.location) == (True, location)
    again = fetch_model(settings)
    assert (again.location, again.commit, again.fetched) == (location, COMMIT, False)
    model = open_model(settings)
    assert model.model_id.startswith("org/small@0123456+")
    by_folder = open_model(SETTINGS.model_copy(update={"name": str(folder)}))
    assert abs(model.encode_query("인덱스") @ by_folder.encode_query("인덱스") - 1.0) < 1e-5


def test_a_name_that_the_hub_does_not_have(hub: Hub) -> None:
    """A wrong name is a matter of the configuration: one sentence with the setting."""
    with pytest.raises(
        ConfigurationError, match=r"no public model org/nothing: correct model\.name"
    ):
        fetch_model(ModelSettings(name="org/nothing"))


def test_a_revision_that_the_hub_does_not_have(hub: Hub) -> None:
    """So is a wrong revision."""
    with pytest.raises(
        ConfigurationError, match=r"no revision org/small at v9: correct model\.revision"
    ):
        fetch_model(SETTINGS.model_copy(update={"revision": "v9"}))


def test_a_repository_without_weights(hub: Hub) -> None:
    """A repository that has only other runtimes' files is refused, not stored as if it
    were a model.
    """
    del hub.files["pytorch_model.bin"]
    with pytest.raises(ConfigurationError, match="holds no PyTorch weights"):
        fetch_model(SETTINGS)


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the sentence names both ways out, and the exit code is that of
    a failure, not of a setting.
    """
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(
        VectrueError, match=r"could not be reached.*set model\.name to a copy"
    ) as caught:
        fetch_model(SETTINGS)
    assert caught.value.exit_code == 1


def test_offline_mode(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE is obeyed."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        VectrueError, match="HF_HUB_OFFLINE does not allow a download: unset HF_HUB_OFFLINE"
    ):
        fetch_model(SETTINGS)
    assert hub.sent == []


def test_a_disk_without_room(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not fit is not begun: the sentence has the bytes needed, those free,
    and the folder.
    """
    needed = sum(
        file.stat().st_size
        for name, file in hub.files.items()
        if name not in ("onnx/model.onnx", "README.md")
    )
    monkeypatch.setattr(disk_room, "free_bytes", lambda _: needed - 1)
    with pytest.raises(VectrueError) as caught:
        fetch_model(SETTINGS)
    assert str(caught.value) == (
        f"org/small needs {needed:,} bytes in {tmp_path / 'cache'}, and {needed - 1:,} are free: "
        "make room there, or set HF_HOME to a folder on a larger disk"
    )
    assert hub.sent == []
    monkeypatch.setattr(disk_room, "free_bytes", lambda _: needed)
    assert fetch_model(SETTINGS).fetched


def test_what_is_there_already_needs_no_room(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files in the cache, and the beginning of one, are not counted again: an almost
    full disk can be filled.
    """
    got = fetch_model(SETTINGS)
    assert got.location is not None
    weights = got.location / "pytorch_model.bin"
    blob = weights.resolve()
    size = blob.stat().st_size
    weights.unlink()
    blob.rename(blob.with_name(f"{blob.name}.incomplete"))
    with blob.with_name(f"{blob.name}.incomplete").open("r+b") as begun:
        begun.truncate(size - 1000)
    for free, enough in ((999, False), (1000, True)):
        monkeypatch.setattr(disk_room, "free_bytes", lambda _, free=free: free)
        if enough:
            assert fetch_model(SETTINGS).fetched
        else:
            with pytest.raises(VectrueError, match="needs 1,000 bytes"):
                fetch_model(SETTINGS)
    assert hub.ranges == [f"bytes={size - 1000}-"]
