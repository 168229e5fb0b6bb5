"""What the documents say is what happens: the README's console session, and the settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readme import README, ROOT, SETTINGS, matches, session, settings_document


def test_the_settings_document_is_that_of_the_code() -> None:
    """docs/settings.md names every setting with its default; `python -m tests.support.readme` renews it."""
    assert SETTINGS.read_text(encoding="utf-8") == settings_document()


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_the_console_session_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """Every command of the quickstart, typed into one shell in a fresh folder, prints what stands below it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "embedsync.toml", tmp_path)
    commands = session(README.read_text(encoding="utf-8"))
    marker = "--- end of command"
    script = "".join(f"{command}\necho '{marker}' $?\n" for command, _ in commands)
    # `status` is asked right after the INSERT: a person takes longer to type it than the vector takes to come.
    script = script.replace(
        "embedsync status\n", "until embedsync status | grep -q 'are current'; do :; done; embedsync status\n"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    shell = ["bash", "-c", f"set -m\n{script}"]
    try:
        done = subprocess.run(
            shell, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=500, check=False,
        )  # fmt: skip
    finally:
        subprocess.run(
            [str(Path(sys.executable).with_name("embedsync")), "local", "reset", "--yes"], cwd=tmp_path, check=True
        )
    blocks = done.stdout.split(marker)
    assert len(blocks) == len(commands) + 1, done.stdout
    for number, ((command, expected), block) in enumerate(zip(commands, blocks, strict=False)):
        # All blocks but the first begin with the exit code of the command before.
        printed = block.split("\n", 1)[1] if number else block
        shown = [line for line in printed.splitlines() if not line.startswith('{"')]  # without the worker's log
        assert matches(expected, "\n".join(shown)), f"$ {command}\n{printed}"
    codes = [block.split("\n", 1)[0].strip() for block in blocks[1:]]
    assert codes == ["0"] * len(commands), done.stdout
