"""Commands that are forked instead of started: processes of their own, with the exit
codes and output of any other.
"""

import os
import signal
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from tests.support import prefork


def run(*arguments: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given = {**os.environ, **environment}
        process = prefork.start(arguments, folder=folder, environment=given, out=out, err=err)
        code = process.wait(60)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return code, said[0], said[1]


def test_output_exit_code_and_name(tmp_path: Path) -> None:
    """As of the installed program."""
    assert run("--version", folder=tmp_path) == (0, f"vectrue {version('vectrue')}\n", "")
    code, _, said = run("nosuch", folder=tmp_path)
    assert code == 2
    assert said.startswith("Usage: vectrue ")


def test_folder_and_environment_are_its_own(tmp_path: Path) -> None:
    """Settings of the folder, and of its own environment alone."""
    (tmp_path / "vectrue.toml").write_text(
        "[kafka]\ntopic_prefix = 'of_the_file'\n", encoding="utf-8"
    )
    assert "of_the_file" in run("config", "show", folder=tmp_path)[1]
    assert (
        "of_a_variable"
        in run("config", "show", folder=tmp_path, VECTRUE_KAFKA__TOPIC_PREFIX="of_a_variable")[1]
    )
    assert "of_the_file" in run("config", "show", folder=tmp_path)[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Its code is minus the signal, as subprocess has it, and it leaves no zombie."""
    with tempfile.TemporaryFile() as out:
        process = prefork.start(
            ["--version"], folder=tmp_path, environment=dict(os.environ), out=out, err=out
        )
        os.kill(process.pid, signal.SIGSTOP)
        if process.poll() is None:  # it may have been faster
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0)
            process.send_signal(number)
            os.kill(process.pid, signal.SIGCONT)
            assert process.wait(60) in (-number, 0)
    assert not psutil.pid_exists(process.pid)
