"""The core, installed by itself: it is small, its commands work, and a command that
needs an extra names it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeWorkplace
from tests.support.root import ROOT
from tests.support.workplace import CREATE_QUESTIONS, Workplace

LARGEST_BYTES = 150_000_000
"""Of the files that are installed; pip adds a quarter of that in bytecode."""
NEEDED = {
    ("search", "text"): "models",
    ("worker", "--role", "live"): "models",
    ("model", "check"): "models",
    ("serve",): "serve",
    ("local", "status"): "local",
    ("demo",): "local",
    ("compare", "lexical", "multilingual-e5-small", "-q", "queries.jsonl"): "report",
    ("quality",): "report",
}
"""Commands that do not work in the core, and the extra that each of them names."""

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in which the wheel is installed without extras, at the
    versions of requirements.lock.
    """
    folder = tmp_path_factory.mktemp("core")
    python = sys.executable
    build = [python, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([python, "-m", "uv", "-q", "venv", str(folder / "venv")], check=True)
    install = [python, "-m", "uv", "-q", "pip", "install", "--python", str(folder / "venv")]
    constraint = ["--constraint", str(ROOT / "requirements.lock")]
    subprocess.run([*install, *constraint, str(wheel)], check=True)
    return folder / "venv"


@pytest.fixture
def call(core: Path, tmp_path: Path) -> Call:
    """Run the core's own command line."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "NO_COLOR": "1"}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [str(core / "bin" / "vectrue"), *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )

    return run


def test_the_core_is_small(core: Path) -> None:
    """No PyTorch, and at most 150 MB of files."""
    files = [file for file in core.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert not list(core.rglob("torch"))
    assert sum(file.stat().st_size for file in files) <= LARGEST_BYTES


@pytest.mark.stack
def test_the_core_sets_up_and_watches(make_workplace: MakeWorkplace, call: Call) -> None:
    """`init`, `lag`, `status`, `replay`, `dlq`, `doctor` and `migrate` work with
    BAAI/bge-m3, whose weights are nowhere.
    """
    place = make_workplace(model={"name": "BAAI/bge-m3", "dimensions": 1024})
    place.execute(CREATE_QUESTIONS.format(dimensions=1024))
    place.execute("INSERT INTO public.questions (question) VALUES ('text')")
    config = ("--config", str(place.write_config()))
    for command in (
        ["init"],
        ["lag"],
        ["status"],
        ["replay", "plan"],
        ["replay", "run", "--detach", "--yes"],
        ["replay", "status"],
        ["replay", "pause"],
        ["dlq", "list"],
        ["migrate", "status"],
        ["config", "show"],
    ):
        done = call(*config, *command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    # It finds that no worker runs, and says so instead of a traceback.
    found = call(*config, "doctor")
    assert (found.returncode, "Traceback" in found.stderr) == (1, False), found.stderr


@pytest.mark.stack
def test_a_command_names_the_extra_it_needs(make_workplace: MakeWorkplace, call: Call) -> None:
    """One sentence with the command that installs the extra, and exit code 78."""
    place = make_workplace(model={"name": "BAAI/bge-m3", "dimensions": 1024})
    place.execute(CREATE_QUESTIONS.format(dimensions=1024))
    place.vectrue("init")
    config = ("--config", str(place.write_config()))
    for command, extra in NEEDED.items():
        done = call(*config, *command)
        assert done.returncode == 78, f"{command}: {done.stdout}{done.stderr}"
        assert f"pip install 'vectrue[{extra}]'" in done.stderr, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.stack
def test_the_lexical_stand_in_needs_no_extra(ready: Workplace, call: Call) -> None:
    """A path can be tried with the core alone."""
    ready.execute("INSERT INTO questions (question) VALUES ('one')")
    ready.start_worker("live")
    ready.wait_current()
    found = call("--config", str(ready.write_config()), "search", "one", "-o", "json")
    assert json.loads(found.stdout)["hits"][0]["text"] == "one", found.stderr
