"""`vectrue model pull` as a process: killed in the middle, behind a proxy, offline,
with a bar on a terminal.
"""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import hub as hubs
from tests.support.hub import COMMIT, Hub
from tests.support.waiting import until

VECTRUE = str(Path(sys.executable).with_name("vectrue"))
PULL = [VECTRUE, "model", "pull", "org/small"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pull` takes for a model; it loads none. The hub's library writes ten
    million bytes at a time.
    """
    folder = tmp_path_factory.mktemp("models")
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(random.Random(7).randbytes(30_000_000))
    return folder


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    with hubs.serve(folder) as server:
        yield server


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """An empty cache, and the hub in the place of the real one."""
    mine = {
        "HF_HOME": str(tmp_path / "hf"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HF_ENDPOINT": hub.url,
    }
    kept = {
        name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")
    }
    return {**kept, **mine, "NO_COLOR": "1", "VECTRUE_LOG__LEVEL": "warning"}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def called(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PULL, *arguments],
            cwd=tmp_path,
            env={**environment, **more},
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return called


def test_a_killed_download_goes_on_where_it_stopped(
    hub: Hub, run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """Killed with half the weights on disk, the next pull asks for the other half only,
    and the model is whole.
    """
    hub.hold = "pytorch_model.bin"
    with subprocess.Popen(PULL, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as killed:
        assert hub.held.wait(60)
        blobs = tmp_path / "hf" / "hub" / "models--org--small" / "blobs"
        [begun] = _until_grown(blobs, 10_000_000)
        killed.send_signal(signal.SIGKILL)
    hub.hold = None
    kept = begun.stat().st_size
    done = run("-o", "json")
    assert done.returncode == 0, done.stderr
    assert hub.ranges == [f"bytes={kept}-"]
    report = json.loads(done.stdout)
    assert (report["name"], report["commit"], report["fetched"]) == ("org/small", COMMIT, True)
    there = Path(report["location"], "pytorch_model.bin")
    assert there.read_bytes() == hub.files["pytorch_model.bin"].read_bytes()
    again = json.loads(run("-o", "json").stdout)
    assert (again["location"], again["fetched"]) == (report["location"], False)


def _until_grown(blobs: Path, least: int) -> list[Path]:
    def grown() -> list[Path]:
        return [file for file in blobs.glob("*.incomplete") if file.stat().st_size >= least]

    until(grown, what="a part of the weights to be on disk")
    return grown()


def test_environment_is_honoured(hub: Hub, run: Run, tmp_path: Path) -> None:
    """HF_HUB_OFFLINE forbids; a proxy is asked for a hub that only it knows; HF_HOME is
    where the model lands.
    """
    offline = run(HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout) == (1, "")
    [line] = [line for line in offline.stderr.splitlines() if line.startswith("error:")]
    assert line == (
        "error: org/small at main is not here, and HF_HUB_OFFLINE does not allow a download: "
        "unset HF_HUB_OFFLINE, or set model.name to a copy of the model's folder"
    )
    done = run(HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.url)
    assert done.returncode == 0, done.stderr
    assert set(hub.hosts) == {"hub.invalid"}
    assert done.stdout.startswith(str(tmp_path / "hf"))
    assert f'model.revision = "{COMMIT}"' in done.stderr


def test_without_a_network(run: Run) -> None:
    """One sentence that says what could not be reached and both ways out; no traceback,
    exit 1.
    """
    done = run(HF_ENDPOINT="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert re.fullmatch(
        r"error: the model hub could not be reached for org/small at main \(\w+\): run it again .*",
        line,
    )


def test_a_bar_on_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    """On a terminal a bar counts the bytes; stdout stays the folder alone."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    seen = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                seen.extend(part)
        except OSError:  # what Linux answers when the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        PULL, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert "100%" in seen.decode()
    assert "MB/s" in seen.decode()
    assert Path(done.stdout.decode().strip()).is_dir()
