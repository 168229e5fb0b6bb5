"""What a part of the local stack is: prepared, started, and checked until it answers."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from connectors.local.machine import processes
from connectors.local.machine.processes import Command
from connectors.local.machine.properties import SecondListener
from connectors.local.machine.state import StackState, StateFile
from connectors.ports import Clock
from schemas.errors import VectrueError

PartName = Literal["postgres", "postgres-tls", "kafka", "connect"]

_TOOL_SECONDS = 120.0


@dataclass(frozen=True)
class StackContext:
    """What every part of one stack needs.

    Attributes:
        directory: DIR, absolute.
        state: of the stack when the command began.
        state_file: records processes.
        clock: time.
        cancelled: raises Stopping if another part failed.
        second_listener: of the broker, if it has one.
    """

    directory: Path
    state: StackState
    state_file: StateFile
    clock: Clock
    cancelled: Callable[[], None]
    second_listener: SecondListener | None = None

    def log(self, name: str) -> Path:
        """Return the log file of a part, or of a tool that it runs."""
        return self.directory / "logs" / f"{name}.log"

    def mark(self, name: str) -> str:
        """Return the argument that identifies a process of this stack."""
        return f"vectrue.stack={self.directory}/{name}"


class Part(Protocol):
    """One process of the stack."""

    @property
    def name(self) -> PartName:
        """Name in commands and messages."""
        ...

    @property
    def version(self) -> str:
        """Version of the service."""
        ...

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports on 127.0.0.1 that it needs; the first is the one that clients use."""
        ...

    @property
    def where(self) -> str:
        """Its address, without secrets."""
        ...

    @property
    def mark(self) -> str:
        """The argument that only its process has."""
        ...

    @property
    def stop_signal(self) -> signal.Signals:
        """Asks it for an orderly shutdown."""
        ...

    def prepare(self) -> None:
        """Make what must exist before the first start; nothing the next time."""
        ...

    def command(self) -> Command:
        """Return how it is started."""
        ...

    def answers(self) -> bool:
        """Return whether it serves clients now; takes a few seconds at most."""
        ...

    def finish(self) -> None:
        """Make what can only be made once it answers; nothing the next time."""
        ...


def run_tool(context: StackContext, name: str, command: Command) -> None:
    """Run a program that ends without a signal.

    A tool that failed raises nothing here: call `require_made` after it.

    Args:
        context: of the stack.
        name: under which it is recorded, like a part, so that `down` ends it too.
        command: the program.

    Raises:
        VectrueError: it took too long.
        Stopping: another part failed.
    """
    record = partial(context.state_file.record, name)
    process = processes.spawn(command, record)
    try:
        deadline = context.clock.monotonic() + _TOOL_SECONDS
        while processes.alive(process.pid):
            context.cancelled()
            if context.clock.monotonic() > deadline:
                raise VectrueError(
                    f"{name} did not end in {_TOOL_SECONDS:g} s",
                    fix=f"look into {command.log}",
                )
            context.clock.wait(processes.POLL_SECONDS)
    finally:
        processes.end(process, signal.SIGKILL, 10.0, context.clock)
        context.state_file.record(name, None)


def failed(what: str, log: Path) -> VectrueError:
    """Return the error of a part or tool that failed, with the last lines of its log."""
    last = processes.tail(log)
    return VectrueError(what, fix=f"fix what {log} reports, which ends with\n{last}")


def require_made(made: Path, what: str, log: Path) -> None:
    """Check that a tool made its file.

    Args:
        made: the file.
        what: the error if it is missing.
        log: of the tool.

    Raises:
        VectrueError: it is missing; with the end of the log.
    """
    if not made.exists():
        raise failed(what, log)
