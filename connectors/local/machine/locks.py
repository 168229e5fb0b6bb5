"""One process at a time: a lock on a file, which the operating system releases when its
holder dies.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.ports import Clock
from schemas.errors import VectrueError


@contextmanager
def locked(
    file: Path, clock: Clock, seconds: float, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing.

    Args:
        file: in a folder that exists.
        clock: for the wait.
        seconds: longest wait for another holder.
        waiting: called once if there is a wait.

    Raises:
        VectrueError: another process held the lock all the time.
    """
    deadline = clock.monotonic() + seconds
    reported = False
    while True:
        with file.open("a", encoding="ascii") as handle:
            if _try(handle.fileno(), file):
                yield
                return
        if clock.monotonic() > deadline:
            raise VectrueError(
                f"another command has held {file} for {seconds:g} s",
                fix="wait for it, or end it",
            )
        if not reported:
            waiting()
            reported = True
        clock.wait(0.1)


def _try(descriptor: int, file: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # The last holder may have deleted the file (`local reset`). Then this lock is of a
    # file that is gone, and the lock of the new file is needed.
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
