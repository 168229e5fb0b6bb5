"""The supervisor with small programs as its children: how it treats children that misbehave."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.waiting import until

SUPERVISE = """
import sys
from connectors.clock import SystemClock
from streams.worker.supervisor import Supervisor
children = {str(number): [sys.executable, "-c", code] for number, code in enumerate(sys.argv[2:])}
sys.exit(Supervisor(children, SystemClock(), grace_seconds=float(sys.argv[1])).run())
"""


def supervise(log: Path, *children: str, grace: float = 30) -> "subprocess.Popen[bytes]":
    """A supervisor in a process of its own; what it and its children say goes to `log`."""
    with log.open("ab") as output:
        command = [sys.executable, "-c", SUPERVISE, str(grace), *children]
        return subprocess.Popen(command, stdout=output, stderr=output)


def said(log: Path, words: str, times: int = 1) -> bool:
    return log.read_text(encoding="utf-8").count(words) >= times


def test_sigterm_during_back_off_ends_it_with_zero(tmp_path: Path) -> None:
    """A child that fails again and again is waiting for its next start: nothing is
    started any more.
    """
    log = tmp_path / "log"
    supervisor = supervise(log, "raise SystemExit(70)")
    until(lambda: said(log, "restarting it", 3), what="a few restarts")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0
    assert "stopping the workers" in log.read_text(encoding="utf-8").splitlines()[-1]


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """It gets SIGTERM, also when the supervisor is interrupted by Ctrl-C twice, and then
    SIGKILL; no process is left.
    """
    log = tmp_path / "log"
    deaf = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN); print('pid', os.getpid(), "
        "flush=True)"
    )
    supervisor = supervise(log, f"{deaf}; time.sleep(600)", grace=1)
    until(lambda: said(log, "pid "), what="the child")
    children = psutil.Process(supervisor.pid).children()
    supervisor.send_signal(signal.SIGINT)
    until(lambda: said(log, "stopping the workers"), what="the first Ctrl-C")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(120) == 0
    assert said(log, "did not exit in time; killed")
    assert len(children) == 1
    assert not any(child.is_running() for child in children)


def test_exit_78_ends_all_and_is_passed_on(tmp_path: Path) -> None:
    """A wrong configuration is said once; the other child is asked to stop, and
    finishes what it has in hand.
    """
    log = tmp_path / "log"
    leave = "lambda *_: (time.sleep(.3), print('finished', flush=True), sys.exit(0))"
    busy = f"import signal, sys, time; signal.signal(15, {leave}); time.sleep(600)"
    supervisor = supervise(log, busy, "import time; time.sleep(1); raise SystemExit(78)")
    assert supervisor.wait(120) == 78
    assert said(log, "not restarted")
    assert said(log, "finished")


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """Neither a missing program nor a lack of processes ends the supervisor with its
    other children.
    """
    log = tmp_path / "log"
    code = SUPERVISE.replace("[sys.executable, ", "['/nowhere/python', ")
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", code, "1", "pass"], stdout=output, stderr=output
        )
    until(lambda: said(log, "could not be started", 2), what="a second try")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(120) == 0


def test_a_child_whose_parent_died_before_it_could_ask_ends_by_itself(tmp_path: Path) -> None:
    """The kernel reports only deaths after PR_SET_PDEATHSIG: a child that finds another
    parent exits.
    """
    code = (
        "from streams.worker.supervisor import _die_with_parent; _die_with_parent(1 << 30); "
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_back_off_survives_a_night_of_failures(tmp_path: Path) -> None:
    """The pause stays within 30 s after thousands of failures, when a doubled number would
    overflow a float.
    """
    log = tmp_path / "log"
    made = (
        "supervisor = Supervisor(children, SystemClock(), grace_seconds=1); "
        "supervisor._children[0].failures = 5000"
    )
    code = [*SUPERVISE.splitlines()[:-1], made, "sys.exit(supervisor.run())"]
    with log.open("ab") as output:
        command = [sys.executable, "-c", "\n".join(code), "1", "raise SystemExit(70)"]
        supervisor = subprocess.Popen(command, stdout=output, stderr=output)
    until(lambda: said(log, "restarting it"), what="the pause")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0  # and does not sit the pause out
