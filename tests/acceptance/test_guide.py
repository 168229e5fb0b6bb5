"""The session of docs/guide.md and docs/guide-search.md runs as printed, on a stack of its
own, with a network of bge-m3's shape in place of its weights.
"""

import socket
from pathlib import Path

import pytest

from connectors.models.files.hub import KNOWN
from tests.support import hub
from tests.support.console import hold
from tests.support.models import build_xlm_roberta
from tests.support.root import ROOT

GUIDE = [ROOT / "docs/guide.md", ROOT / "docs/guide-search.md"]
_PORT = 8000


@pytest.mark.stack
@pytest.mark.timeout(3600)
def test_the_session_prints_what_the_guide_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the Korean guide's sections, typed into one shell, prints what
    stands below it.

    The hub's library fetches BAAI/bge-m3 at its pinned commit from a server here:
    bge-m3's architecture, width and limit in two layers, whose vectors mean nothing.
    What is shown of it is only what holds for the real one too.
    """
    shape = build_xlm_roberta(tmp_path / "shape", hidden=1024, vocab=4000, max_tokens=8192)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in (
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "HF_TOKEN",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("VECTRUE_MODEL__DEVICE", "cpu")
    monkeypatch.setenv("VECTRUE_SERVE__PORT", str(port))
    # the restart of a worker takes less
    monkeypatch.setenv("VECTRUE_KAFKA__SESSION_TIMEOUT_SECONDS", "6")
    folder = tmp_path / "guide"
    folder.mkdir()
    with hub.serve(shape, "BAAI/bge-m3", KNOWN["BAAI/bge-m3"].commit) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        hold(
            GUIDE,
            folder,
            seconds=3400,
            edit=lambda script: script.replace(f"127.0.0.1:{_PORT}", f"127.0.0.1:{port}"),
        )
