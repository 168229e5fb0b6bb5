"""The command line in processes that begin with everything imported: forked from one
that has done that already.

What a command imports takes a second of processor time, a worker's Faust another two,
and the tests start thousands. Every process is one of its own all the same: its
arguments, environment, folder, signals, memory and exit code. Acceptance tests start
the installed program.

Hazard: the parent must have no threads, and hold nothing that a child would share; it
imports, forks and waits.
"""

import atexit
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from tests.support import killed
from tests.support.root import ROOT

_LONGEST = 1 << 20
"""Bytes of a request: arguments and environment."""


class Forked:
    """A child: what tests use of subprocess.Popen."""

    def __init__(self, pid: int, ended: int, args: Sequence[str]) -> None:
        """Remember it; `ended` is a pipe that tells its exit code."""
        self.pid = pid
        self.args = list(args)
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the exit code.

        Raises:
            TimeoutExpired: it runs on.
        """
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ended, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(os.read(self._ended, 100) or b"-9")
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = Forked | subprocess.Popen[bytes]
"""A command that runs: forked, or the installed program."""


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    out: IO[bytes],
    err: IO[bytes],
) -> Forked:
    """Start a command in a session of its own.

    Args:
        arguments: what stands behind `vectrue`.
        folder: working directory.
        environment: all of it.
        out: takes its standard output.
        err: takes its standard error.
    """
    ended, told = os.pipe()
    request = json.dumps(
        {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
    )
    parent = _parent(os.getpid())
    socket.send_fds(parent, [request.encode()], [out.fileno(), err.fileno(), told])
    os.close(told)
    return Forked(int(parent.recv(100)), ended, ["vectrue", *arguments])


@cache
def _parent(owner: int) -> socket.socket:
    """The process that forks, one for each process of tests; it ends with its socket.
    `owner` is the pid.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for side in (ours, theirs):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    environment = {**os.environ, "NO_COLOR": "1"}  # rich reads it once
    command = [sys.executable, "-m", "tests.support.prefork", str(theirs.fileno())]
    root = ROOT
    parent = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], cwd=root, env=environment, start_new_session=True
    )
    theirs.close()

    def end() -> None:
        ours.close()
        parent.wait()

    atexit.register(end)
    return ours


class _Parent:
    """Imports, forks on request, and reports each child when it ends."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._told: dict[int, int] = {}

    def serve(self) -> None:
        """Work until the other side is gone. Returns in each child, whose request then
        stands in sys.argv.
        """
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(read, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            selector.register(read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._requests:
                        with contextlib.suppress(BlockingIOError):
                            os.read(read, 1000)
                        self._reap()
                    elif self._fork():
                        signal.set_wakeup_fd(-1)
                        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                        os.close(read)
                        os.close(write)
                        return

    def _fork(self) -> bool:
        """Do one request; returns whether this is the child."""
        request, files, *_ = socket.recv_fds(self._requests, _LONGEST, 3)
        # the process that ran the tests is gone, killed perhaps: nothing of it stays
        if not request:
            for pid in self._told:
                os.kill(pid, signal.SIGKILL)
            os._exit(0)
        out, err, told = files
        pid = os.fork()
        if not pid:
            self._become(json.loads(request), out, err)
            for descriptor in (out, err, told, *self._told.values()):
                os.close(descriptor)
            self._requests.close()
            return True
        os.close(out)
        os.close(err)
        self._told[pid] = told
        self._requests.send(str(pid).encode())
        return False

    def _become(self, request: dict[str, object], out: int, err: int) -> None:
        os.setsid()
        # As in the foreground of a shell: one of the background starts everything with
        # SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(str(request["folder"]))
        os.environ.clear()
        os.environ.update(request["environment"])  # type: ignore[call-overload]  # JSON has no types
        killed.arm(os.environ)
        time.tzset()
        sys.argv = ["vectrue", *request["arguments"]]  # type: ignore[misc]  # likewise
        sys.modules["__main__"].__package__ = None  # which usage errors would name

    def _reap(self) -> None:
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            told = self._told.pop(pid)
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


def _main() -> None:
    from streams.api import serve  # noqa: F401 - imported for the children
    from streams.cli import commands, main

    # A child finds the modules of every command already imported.
    for name in commands.COMMANDS:
        commands.read_command(name)
    gc.collect()
    gc.freeze()  # what a child collects it would have to copy first
    _Parent(socket.socket(fileno=int(sys.argv[1]))).serve()
    main.run()


if __name__ == "__main__":
    _main()
