"""The replay worker's nice value, and that of its session's group."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

needs_autogroup = pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel does not group processes by session"
)
SHOW = (
    "import os; from pathlib import Path; from streams.niceness import step_back; "
    "step_back(7); print(os.nice(0), Path('/proc/self/autogroup').read_text())"
)


def after_stepping_back(*, own_session: bool) -> tuple[int, int]:
    """Nice values of a process and of its session's group."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW], start_new_session=own_session, capture_output=True, text=True, check=True
    )
    found = re.fullmatch(r"(\d+) .*nice (-?\d+)\s*", done.stdout)
    assert found, done.stdout
    return int(found[1]), int(found[2])


@needs_autogroup
def test_a_session_of_its_own_gets_the_nice_value_too() -> None:
    """Without it the kernel would give two sessions the same share, whatever their processes' nice values."""
    expected = min(19, os.nice(0) + 7)
    assert after_stepping_back(own_session=True) == (expected, expected)


@needs_autogroup
def test_a_session_shared_with_others_is_left_alone() -> None:
    """A worker started from a shell's script does not slow down all that the shell runs."""
    before = re.search(r"nice (-?\d+)", Path("/proc/self/autogroup").read_text(encoding="ascii"))
    assert before
    assert after_stepping_back(own_session=False) == (min(19, os.nice(0) + 7), int(before[1]))
