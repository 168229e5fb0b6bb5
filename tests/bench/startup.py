"""How long the program takes to start: what every command pays, and a worker before it
consumes.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.workplace import Workplace

VECTRUE = str(Path(sys.executable).with_name("vectrue"))
GOALS = {"--version": 0.5, "--help": 0.5, "worker ready": 2.0}
"""Seconds on a quiet machine; printed beside what was measured, not asserted."""
_TIMES = 5


def fastest(action: Callable[[], None]) -> float:
    """Seconds of the fastest of several: what other processes took is left out."""
    seconds = []
    for _ in range(_TIMES):
        started = time.monotonic()
        action()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def command(option: str) -> None:
    """Run the installed program with one option."""
    subprocess.run([VECTRUE, option], check=True, stdout=subprocess.DEVNULL)


def worker(place: Workplace) -> None:
    """Start a live worker until it says that it is ready, and kill it."""
    process = place.start_worker("live")
    process.kill()
    process.wait()


def run(place: Workplace, say: Callable[[str], None]) -> None:
    """Print the fastest start of each kind.

    Args:
        place: a workplace after `init`, in which no worker runs.
        say: prints a line.
    """
    measured = {
        "--version": fastest(lambda: command("--version")),
        "--help": fastest(lambda: command("--help")),
        "worker ready": fastest(lambda: worker(place)),
    }
    for name, seconds in measured.items():
        say(f"start-up, {name}: {seconds:.2f} s (goal: {GOALS[name]:.1f} s)")
