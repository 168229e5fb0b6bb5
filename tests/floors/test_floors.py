"""What pyproject.toml allows at the least is enough: installed apart, it passes the
tests that need no services.

Hazard: what the lowest versions need themselves is taken as new as there is, so a
release of somebody else's may make this fail. It is not part of `make test` for that,
and for the download of a second PyTorch.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.root import ROOT

HOME = ROOT / ".vectrue" / "floors"
TESTS = (
    "tests/unit",
    "tests/contract/test_embedder_sentence_transformers.py",
    "tests/contract/test_embedding_model.py",
    "tests/contract/test_model_code.py",
    "tests/contract/test_model_pull.py",
)


@pytest.mark.timeout(3600)
def test_the_lowest_versions_keep_the_promises() -> None:
    """In an environment of their own, in `.vectrue/floors`, which is kept for the next
    time.
    """
    python = HOME / "venv" / "bin" / "python"
    lowest = HOME / "lowest.txt"
    HOME.mkdir(parents=True, exist_ok=True)
    _uv("venv", "--allow-existing", "--python", sys.executable, HOME / "venv")
    compiled = (
        "--no-header",
        "--no-annotate",
        "--all-extras",
        "--resolution",
        "lowest-direct",
        "--output-file",
        lowest,
    )
    _uv("pip", "compile", "--python", python, *compiled, ROOT / "pyproject.toml")
    _uv("pip", "sync", "--python", python, lowest)
    _uv("pip", "install", "--python", python, "--constraint", lowest, "--group", "dev")
    _uv(
        "pip",
        "install",
        "--python",
        python,
        "--no-deps",
        "--no-build-isolation",
        "--editable",
        ROOT,
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    command = [str(python), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *TESTS]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def _uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], cwd=ROOT, check=True)
