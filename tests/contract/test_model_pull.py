"""Fetching a model from a hub that speaks the real one's protocol, on loopback; and a hub that does not answer."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from connectors.models import describe_model, fetch_model, open_model
from schemas.errors import ConfigurationError, EmbedsyncError
from schemas.sections import ModelSettings
from tests.support.models import build_xlm_roberta

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = ModelSettings(name="org/small", dimensions=128)


class Hub(ThreadingHTTPServer):
    """One public repository, `org/small`, with one commit on `main`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
        self.sent: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        kind, _, rest = path.removeprefix("/api/models/org/small/").partition("/")
        if path.startswith("/org/small/resolve/"):
            self._file()
        elif not path.startswith("/api/models/org/small/"):
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif rest not in ("main", COMMIT):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            tree = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": "0"} for n, f in self.server.files.items()
            ]
            self._answer(200, json.dumps(tree).encode())
        else:
            siblings = [{"rfilename": name} for name in self.server.files]
            self._answer(200, json.dumps({"id": "org/small", "sha": COMMIT, "siblings": siblings}).encode())

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _file(self) -> None:
        name = self.path.split("/", 5)[5]
        content = self.server.files[name].read_bytes()
        if self.command == "GET":
            self.server.sent.append(name)
        self._answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


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

    server = Hub(folder)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_pulled_model_is_used_at_its_commit(hub: Hub, folder: Path, revision: str | None) -> None:
    """Only the files that loading needs are fetched, once; the model then loads, and its id names the commit."""
    settings = SETTINGS.model_copy(update={"revision": revision})
    assert not describe_model(settings).present
    location, fetched = fetch_model(settings)
    assert fetched
    assert location is not None
    assert "pytorch_model.bin" in hub.sent
    assert not {"onnx/model.onnx", "README.md"} & set(hub.sent)
    facts = describe_model(settings)
    assert (facts.present, facts.location) == (True, location)
    assert fetch_model(settings) == (location, False)
    model = open_model(settings)
    assert model.model_id.startswith("org/small@0123456+")
    by_folder = open_model(SETTINGS.model_copy(update={"name": str(folder)}))
    assert abs(model.encode_query("인덱스") @ by_folder.encode_query("인덱스") - 1.0) < 1e-5


def test_a_name_that_the_hub_does_not_have(hub: Hub) -> None:
    """A wrong name is a matter of the configuration: one sentence with the setting."""
    with pytest.raises(ConfigurationError, match=r"no public model org/nothing: correct model\.name"):
        fetch_model(ModelSettings(name="org/nothing"))


def test_a_revision_that_the_hub_does_not_have(hub: Hub) -> None:
    """So is a wrong revision."""
    with pytest.raises(ConfigurationError, match=r"no revision org/small at v9: correct model\.revision"):
        fetch_model(SETTINGS.model_copy(update={"revision": "v9"}))


def test_a_repository_without_weights(hub: Hub) -> None:
    """A repository that has only other runtimes' files is refused, not stored as if it were a model."""
    del hub.files["pytorch_model.bin"]
    with pytest.raises(ConfigurationError, match="holds no PyTorch weights"):
        fetch_model(SETTINGS)


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the sentence names both ways out, and the exit code is that of a failure, not of a setting."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(EmbedsyncError, match=r"could not be reached.*set model\.name to its path") as caught:
        fetch_model(SETTINGS)
    assert caught.value.exit_code == 1


def test_offline_mode(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE is obeyed."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EmbedsyncError, match="could not be reached"):
        fetch_model(SETTINGS)
    assert hub.sent == []
