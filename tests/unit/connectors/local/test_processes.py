"""Recognising and ending processes: nothing but our own is ever signalled."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from connectors.clock import SystemClock
from connectors.local.machine import processes
from connectors.local.machine.processes import Command
from connectors.local.machine.state import Recorded
from schemas.errors import VectrueError
from tests.support.waiting import until

# Ends only when killed: SIGTERM is ignored.
STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', "
    "flush=True); signal.pause()"
)
WILLING = (
    "import signal, sys; signal.signal(15, lambda *_: sys.exit()); print('ready', flush=True); "
    "signal.pause()"
)


class _Started:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recorded: list[Recorded] = []

    def __call__(self, program: str) -> psutil.Process:
        mark = f"vectrue.stack={self.folder}/{len(self.recorded)}"
        log = self.folder / "part.log"
        process = processes.spawn(
            Command((sys.executable, "-c", program, mark), mark, log, self.folder),
            self.recorded.append,
        )
        until(lambda: "ready" in processes.tail(log), timeout=10, what="the process to be ready")
        return process


@pytest.fixture
def started(tmp_path: Path) -> Iterator[_Started]:
    make = _Started(tmp_path)
    yield make
    for recorded in make.recorded:
        process = processes.recognise(recorded)
        if process is not None:
            processes.end(process, signal.SIGKILL, 5.0, SystemClock())


def test_our_process_is_recognised(started: _Started) -> None:
    """A process is known again by its record, and by its mark alone when the record is
    missing.
    """
    process = started(WILLING)
    recorded = started.recorded[0]
    assert processes.recognise(recorded) == process
    assert processes.marked(recorded.mark) == [process]
    assert processes.inside(started.folder) == [process]


def test_another_process_with_the_same_id_is_not_ours(started: _Started) -> None:
    """A recorded id that now belongs to a process with another start, or without the
    mark, is nobody of ours.
    """
    started(WILLING)
    recorded = started.recorded[0]
    assert processes.recognise(replace(recorded, created=recorded.created - 60)) is None
    assert processes.recognise(replace(recorded, mark="vectrue.stack=/another/stack")) is None
    assert processes.recognise(None) is None


def test_a_process_that_ended_is_gone(started: _Started) -> None:
    """A part that died, a zombie of this process included, counts as gone."""
    process = started(WILLING)
    process.kill()
    until(lambda: not processes.alive(process.pid), timeout=10, what="the process to be gone")
    assert processes.recognise(started.recorded[0]) is None


def test_a_willing_process_ends_in_order(started: _Started) -> None:
    """A process that ends on the signal it is sent is not killed; neither is one that
    was stopped.
    """
    process = started(WILLING)
    process.suspend()
    assert processes.end(process, signal.SIGTERM, 10.0, SystemClock())
    assert not processes.alive(process.pid)


def test_a_stubborn_process_is_killed(started: _Started) -> None:
    """A process that ignores the signal is killed after the deadline."""
    process = started(STUBBORN)
    assert not processes.end(process, signal.SIGTERM, 0.2, SystemClock())
    assert not processes.alive(process.pid)


def test_a_killed_process_takes_its_children_along(started: _Started) -> None:
    """SIGKILL reaches what the process started, which could not notice its parent's end
    otherwise.
    """
    child = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); "
        "import signal; signal.pause()"
    )
    process = started(child)
    members = processes.family(process)
    assert len(members) == 2
    assert processes.end(process, signal.SIGKILL, 5.0, SystemClock())
    assert not any(processes.alive(member.pid) for member in members)


def test_the_terminal_does_not_reach_a_part(started: _Started) -> None:
    """A part has a session of its own, so Ctrl-C in the terminal of `up` does not end
    it.
    """
    process = started(WILLING)
    shown = subprocess.run(
        ["ps", "-o", "sid=", "-p", str(process.pid)], capture_output=True, text=True, check=True
    )
    assert int(shown.stdout) == process.pid


def test_the_log_starts_anew_and_keeps_one(started: _Started) -> None:
    """Each start begins a log; the one before is kept as `.1`."""
    for _ in range(3):
        processes.end(started(WILLING), signal.SIGKILL, 5.0, SystemClock())
    assert sorted(path.name for path in started.folder.iterdir()) == ["part.log", "part.log.1"]
    assert processes.tail(started.folder / "part.log") == "ready"


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    """A program that is not there is an error, not a traceback."""
    command = Command((str(tmp_path / "nothing"), "x"), "x", tmp_path / "log", tmp_path)
    with pytest.raises(VectrueError, match="cannot start"):
        processes.spawn(command, lambda _recorded: None)
