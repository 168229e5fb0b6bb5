"""Start, recognise and end the processes of a stack.

A process is ended by its id, after it was recognised: its start time is the recorded
one, and the mark, an argument with the stack's folder in it, is among its arguments.

Hazards:
- Process ids are reused, so an id alone is never signalled.
- A part outlives the command that started it. It has its own session, so that Ctrl-C in
  the terminal does not reach it, and a log file for its output, since a pipe would
  block its reader.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors.local.machine.account import Account
from connectors.local.machine.state import Recorded
from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.settings.reading import child_environment

POLL_SECONDS = 0.05

# Variables that would change what a part does. Its settings never come from outside.
_FOREIGN = frozenset(
    {
        "CLASSPATH",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "JAVA_OPTIONS",
        "KAFKA_OPTS",
    }
)

# The boot time is rounded, so the start of a process may differ between two readings.
_SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """How a process is started.

    Attributes:
        argv: the program's absolute path and its arguments.
        mark: the argument that no other stack's process has.
        log: for its output; the previous log is kept as `.1`.
        cwd: working directory.
        account: the user to switch to.
        environment: variables on top of this process's.
    """

    argv: tuple[str, ...]
    mark: str
    log: Path
    cwd: Path
    account: Account | None = None
    environment: Mapping[str, str] | None = None


def spawn(command: Command, record: Callable[[Recorded], None]) -> psutil.Process:
    """Start a process in its own session, and record it at once.

    Args:
        command: what to start.
        record: takes the process before anything else can fail.

    Raises:
        VectrueError: the program cannot be started.
    """
    _rotate(command.log)
    more = dict(command.environment or {})
    environment = child_environment(**more)
    for name in _FOREIGN.difference(more):
        environment.pop(name, None)
    options = command.account.options() if command.account else {}
    with command.log.open("ab") as log:
        try:
            child = subprocess.Popen(  # type: ignore[call-overload]  # the options differ with the account
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env=environment,
                start_new_session=True,
                **options,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise VectrueError(
                f"cannot start {command.argv[0]} ({error})",
                fix="build vectrue's environment again: make clean env",
            ) from error
    # The part should outlive this process. Without a return code Popen would warn about
    # that.
    child.returncode = 0
    process = psutil.Process(child.pid)
    record(Recorded(child.pid, process.create_time(), command.mark))
    return process


def recognise(recorded: Recorded | None) -> psutil.Process | None:
    """Return the recorded process if it runs, never another one with the same id."""
    if recorded is None or not alive(recorded.pid):
        return None
    try:
        process = psutil.Process(recorded.pid)
        if abs(process.create_time() - recorded.created) > _SAME_START_SECONDS:
            return None
        arguments = process.cmdline()
        # During exec the system shows no arguments for a moment.
        return process if recorded.mark in arguments or not any(arguments) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def marked(mark: str) -> list[psutil.Process]:
    """List the processes that have the mark among their arguments, recorded or not."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if mark in (process.info["cmdline"] or []) and alive(process.pid):
            found.append(process)
    return found


def inside(folder: Path) -> list[psutil.Process]:
    """List the processes whose working directory is the folder, as the backends of a
    killed Postgres.
    """
    found = []
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(folder) and alive(process.pid):
            found.append(process)
    return found


def alive(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    # A part that ended is a zombie until its parent, perhaps this process, asks for its
    # exit status.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        process = psutil.Process(pid)
        # While other threads of a zombie run, its ports are in use.
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    """List the process and everything it started."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def end(process: psutil.Process, sign: signal.Signals, seconds: float, clock: Clock) -> bool:
    """Ask a process to end, wait for it and all it started, and kill what is left.

    Args:
        process: with its children.
        sign: the request.
        seconds: longest wait before SIGKILL.
        clock: for the wait.

    Returns:
        whether it ended without being killed.

    Raises:
        VectrueError: it still runs after SIGKILL, or belongs to another user.
    """
    members = family(process)
    # SIGKILL cannot be caught and passed on: the children of a killed Postgres would
    # stay.
    _signal(members if sign == signal.SIGKILL else members[:1], sign)
    # A stopped process would not see the request.
    _signal(members[:1], signal.SIGCONT)
    if gone(members, seconds, clock):
        return True
    _signal(members, signal.SIGKILL)
    if not gone(members, 10.0, clock):
        left = ", ".join(str(member.pid) for member in members if alive(member.pid))
        raise VectrueError(
            f"process {left} does not end after SIGKILL",
            fix="look at it with ps: it may wait for a disk",
        )
    return False


def gone(members: Iterable[psutil.Process], seconds: float, clock: Clock) -> bool:
    """Wait until none of them runs; return False if some still do after the seconds."""
    deadline = clock.monotonic() + seconds
    left = _running(members)
    while left and clock.monotonic() < deadline:
        clock.wait(POLL_SECONDS)
        left = _running(left)
    return not left


def _running(members: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [member for member in members if member.is_running() and alive(member.pid)]


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, without Java's stack frames."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    # A stack trace is longer than the tail: its frames would push the cause out.
    kept = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return "\n".join(kept[-lines:])


def _signal(members: Iterable[psutil.Process], sign: signal.Signals) -> None:
    for member in members:
        try:
            # psutil checks the start time again, so a reused id is never signalled.
            member.send_signal(sign)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise VectrueError(
                f"process {member.pid} belongs to another user",
                fix="run the command as that user",
            ) from error


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        log.replace(log.with_name(log.name + ".1"))
