"""Starting, recognising and ending the processes of a stack.

A process is ended by its id, and only after it was recognised: its start time is the
recorded one and its arguments hold the mark, an argument with the stack's folder in it.
Process ids are used again; names are never looked at.

Hazards:
- A part outlives the command that started it: it has a session of its own, so Ctrl-C in
  the terminal does not reach it, and a log file for its output, since a pipe would keep
  its reader waiting for ever.
- A part that ended is a zombie until its parent, which may be this process, asks for
  its exit status.
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

# Variables that would change what a part does: none of its settings come from outside.
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

# The recorded start and the one asked for later may differ by the rounding of the boot
# time.
_SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """How a process is started.

    Attributes:
        argv: the program's absolute path and its arguments.
        mark: the one of the arguments that no other stack's process has.
        log: where its output goes; an earlier log is kept once, as `.1`.
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
    """Start a process in a session of its own and record it at once.

    Raises:
        VectrueError: the program cannot be started.
    """
    _rotate(command.log)
    more = dict(command.environment or {})
    environment = {
        name: value
        for name, value in child_environment(**more).items()
        if name not in _FOREIGN or name in more
    }
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
                fix="make vectrue's environment again: make clean env",
            ) from error
    # The part is meant to outlive this process; without a return code Popen would
    # complain about that.
    child.returncode = 0
    process = psutil.Process(child.pid)
    record(Recorded(child.pid, process.create_time(), command.mark))
    return process


def recognise(recorded: Recorded | None) -> psutil.Process | None:
    """The recorded process if it still runs, else None; never another one with the same
    id.
    """
    if recorded is None or not alive(recorded.pid):
        return None
    try:
        process = psutil.Process(recorded.pid)
        if abs(process.create_time() - recorded.created) > _SAME_START_SECONDS:
            return None
        arguments = process.cmdline()
        # The system shows no arguments for a moment while a program takes the place of
        # its starter.
        return process if recorded.mark in arguments or not any(arguments) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def marked(mark: str) -> list[psutil.Process]:
    """Every process that has the mark among its arguments: also one whose start was
    never recorded.
    """
    found = psutil.process_iter(["cmdline"])
    return [
        process
        for process in found
        if mark in (process.info["cmdline"] or []) and alive(process.pid)
    ]


def inside(folder: Path) -> list[psutil.Process]:
    """Every process whose working directory is the folder: the back ends of a Postgres
    that was killed.
    """
    found = psutil.process_iter(["cwd"])
    return [
        process for process in found if process.info["cwd"] == str(folder) and alive(process.pid)
    ]


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie does not, unless other threads of it, and so
    its ports, are still there.
    """
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and everything it started."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def end(process: psutil.Process, sign: signal.Signals, seconds: float, clock: Clock) -> bool:
    """Ask a process to end, wait for it and all it started, and kill what is left.

    Returns:
        whether it ended without being killed.

    Raises:
        VectrueError: it is still there after SIGKILL, or we may not signal it.
    """
    members = family(process)
    # At once for all where it cannot be caught: the children of a killed Postgres would
    # linger.
    _signal(members if sign == signal.SIGKILL else members[:1], sign)
    _signal(members[:1], signal.SIGCONT)  # a stopped process would not see the request
    if gone(members, seconds, clock):
        return True
    _signal(members, signal.SIGKILL)
    if not gone(members, 10.0, clock):
        left = ", ".join(str(member.pid) for member in members if alive(member.pid))
        raise VectrueError(
            f"process {left} does not end after SIGKILL",
            fix="look at it with ps; it may wait for a disk",
        )
    return False


def gone(members: Iterable[psutil.Process], seconds: float, clock: Clock) -> bool:
    """Wait until none of them runs; False when some still do after that many seconds."""
    deadline = clock.monotonic() + seconds
    left = [member for member in members if member.is_running() and alive(member.pid)]
    while left and clock.monotonic() < deadline:
        clock.wait(POLL_SECONDS)
        left = [member for member in left if member.is_running() and alive(member.pid)]
    return not left


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, without Java's stack frames, which would push the
    cause out.
    """
    try:
        everything = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in everything if not line.startswith("\tat ")][-lines:])


def _signal(members: Iterable[psutil.Process], sign: signal.Signals) -> None:
    for member in members:
        try:
            # psutil checks the start time again, so a used-again id is never signalled
            member.send_signal(sign)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise VectrueError(
                f"process {member.pid} belongs to another user", fix="run the command as that user"
            ) from error


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        log.replace(log.with_name(log.name + ".1"))
