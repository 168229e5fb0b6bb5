"""`vectrue worker` without a role: one child process per role, restarted when it ends.

A child that exits 78 is not restarted: the configuration is wrong, and the supervisor
stops the others and exits 78 itself. SIGTERM and Ctrl-C are passed on; a child that
does not exit in time is killed.

Hazards:
- Children must not outlive a supervisor that was killed with SIGKILL. On Linux the
  kernel ends them (PR_SET_PDEATHSIG). Elsewhere they have to be ended by hand.
- A signal handler must not log: it may interrupt a log line that is being written.
"""

import ctypes
import functools
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

import structlog

from connectors.ports import Clock
from schemas.errors import EXIT_CONFIGURATION

log = structlog.get_logger()

_GRACE_SECONDS = 30.0
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
"""A child that lived this long is restarted as if it had never failed."""
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
"""Looked up at import: between fork and exec nothing may be loaded."""


@dataclass
class _Child:
    """A worker process of a role; times are of a monotonic clock."""

    role: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    start_at: float = 0.0
    failures: int = 0


class Supervisor:
    """Keeps one process per role running."""

    def __init__(
        self,
        commands: dict[str, Sequence[str]],
        clock: Clock,
        *,
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        """Take what to run.

        Args:
            commands: the command line of each role.
            clock: measures back-off and grace.
            grace_seconds: how long a child may take to exit before it is killed.
        """
        self._children = [_Child(role, command) for role, command in commands.items()]
        self._clock = clock
        self._grace = grace_seconds
        self._stop = threading.Event()
        self._signal: int | None = None

    def run(self) -> int:
        """Run until asked to stop, or until a child exits 78.

        Returns:
            0 when asked to stop, 78 for a wrong configuration.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        code = 0
        while not self._stop.is_set() and code == 0:
            for child in self._children:
                if code == 0:
                    code = self._tend(child)
            self._stop.wait(_POLL_SECONDS)
        if self._signal is not None:
            log.info("stopping the workers", signal=signal.Signals(self._signal).name)
        self._end_all()
        return code

    def _asked_to_stop(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        self._stop.set()

    def _tend(self, child: _Child) -> int:
        """Start a child that is due; return the exit code of the supervisor, 0 to go on."""
        now = self._clock.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child, now)
            return 0
        code = child.process.poll()
        if code is None:
            return 0
        child.process = None
        if code == EXIT_CONFIGURATION:
            log.critical(
                "configuration is wrong; worker not restarted", role=child.role, exit_code=code
            )
            return EXIT_CONFIGURATION
        child.failures = 0 if now - child.started > _HEALTHY_SECONDS else child.failures + 1
        self._back_off(child, now, code)
        return 0

    def _back_off(self, child: _Child, now: float, code: int | None) -> None:
        # The exponent is limited too: after a night of failures 2**n would overflow.
        backoff = _FIRST_BACKOFF_SECONDS * 2 ** min(child.failures, 10)
        backoff = min(backoff, _LONGEST_BACKOFF_SECONDS)
        backoff *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not cryptography
        child.start_at = now + backoff
        log.warning(
            "worker ended; restarting it",
            role=child.role,
            exit_code=code,
            after_seconds=round(backoff, 1),
        )

    def _start(self, child: _Child, now: float) -> None:
        asks = functools.partial(_die_with_parent, os.getpid())
        child.started = now
        try:
            child.process = subprocess.Popen(child.command, preexec_fn=asks, start_new_session=True)  # noqa: PLW1509 - one thread
        except OSError as error:
            # No process or memory is left; there may be later.
            log.warning("worker could not be started", role=child.role, reason=str(error))
            child.failures += 1
            self._back_off(child, now, None)
            return
        log.info("worker started", role=child.role, pid=child.process.pid)

    def _end_all(self) -> None:
        running = []
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
                running.append(child.process)
        deadline = self._clock.monotonic() + self._grace
        for process in running:
            try:
                process.wait(max(0.1, deadline - self._clock.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker did not exit in time; killed", pid=process.pid)
                process.kill()
                process.wait()


def _die_with_parent(parent: int) -> None:
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the kernel was asked: then no signal comes.
        if os.getppid() != parent:
            os._exit(0)
