"""The replay worker's nice value, and that of its session's group."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.common import niceness

GROUP = "/proc/self/autogroup"
SHOW_GROUP = f"from pathlib import Path; print(Path('{GROUP}').read_text().split()[-1:])"
STEP_BACK = (
    "import os; from streams.common.niceness import lower_priority; "
    f"lower_priority(7); print(os.nice(0));{SHOW_GROUP}"
)
# A shell's script: the worker is not the leader of the session, and what comes after it
# is in the same session.
SCRIPT = (
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STEP_BACK!r}], check=True)"
)


def run(program: str) -> list[str]:
    """What a program printed, run as the leader of a session of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def fresh_group() -> str:
    """The nice value of a session's group that nobody changed, skipping where sessions
    have none.
    """
    if not Path(GROUP).exists() or run(SHOW_GROUP) == ["[]"]:
        pytest.skip("this kernel does not group processes by session")
    return run(SHOW_GROUP)[0]


def test_the_process_gets_the_nice_value() -> None:
    """With groups or without."""
    assert run(STEP_BACK)[0] == str(min(19, os.nice(0) + 7))


def test_a_session_of_its_own_gets_the_nice_value_too() -> None:
    """Without it the kernel would give two sessions the same share, whatever their
    processes' nice values.
    """
    assert fresh_group() == "['0']"
    nice = str(min(19, os.nice(0) + 7))
    assert run(STEP_BACK) == [nice, f"['{nice}']"]


def test_a_session_shared_with_others_is_left_alone() -> None:
    """A worker started from a shell's script does not slow down all that the shell
    runs.
    """
    before = fresh_group()
    assert run(SCRIPT) == [str(min(19, os.nice(0) + 7)), before]


def test_a_session_without_a_group_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that a container began with has none: its file is empty, and the
    kernel would refuse a value.
    """
    none = tmp_path / "autogroup"
    none.write_text("", encoding="ascii")
    monkeypatch.setattr(niceness, "_AUTOGROUP", none)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    niceness.lower_priority(0)
    assert none.read_text(encoding="ascii") == ""
