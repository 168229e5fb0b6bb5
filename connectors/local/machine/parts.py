"""What a part of the local stack is: how it is prepared, started and asked whether it
answers.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from connectors.local.machine import processes
from connectors.local.machine.processes import Command
from connectors.local.machine.properties import SideDoor
from connectors.local.machine.state import Memory, StackState
from connectors.ports import Clock
from schemas.errors import VectrueError

PartName = Literal["postgres", "postgres-tls", "kafka", "connect"]

_TOOL_SECONDS = 120.0


@dataclass(frozen=True)
class Workshop:
    """What every part is given.

    Attributes:
        directory: DIR, absolute.
        state: of the stack, as it was when the command began.
        memory: where processes are recorded.
        clock: time.
        cancelled: raises Stopping when another part failed.
        side_door: a second listener of the broker, if there is one.
    """

    directory: Path
    state: StackState
    memory: Memory
    clock: Clock
    cancelled: Callable[[], None]
    side_door: SideDoor | None = None

    def log(self, name: str) -> Path:
        """Log file of a part or of a tool it runs."""
        return self.directory / "logs" / f"{name}.log"

    def mark(self, name: str) -> str:
        """The argument by which a process of this stack is recognised."""
        return f"vectrue.stack={self.directory}/{name}"


class Part(Protocol):
    """One process of the stack."""

    @property
    def name(self) -> PartName:
        """Name in commands and messages."""
        ...

    @property
    def version(self) -> str:
        """What runs."""
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
        """What asks it to end in order."""
        ...

    def prepare(self) -> None:
        """Make what must exist before the first start; does nothing the next time."""
        ...

    def command(self) -> Command:
        """How it is started."""
        ...

    def answers(self) -> bool:
        """Whether it serves clients now; returns within a few seconds."""
        ...

    def finish(self) -> None:
        """Make what can only be made once it answers; does nothing the next time."""
        ...


def run_tool(shop: Workshop, name: str, command: Command) -> None:
    """Run a program that ends by itself, recorded like a part so that `down` ends it
    too.

    A tool that failed raises nothing here: follow with `require_made`.

    Raises:
        VectrueError: it took too long.
        Stopping: another part failed.
    """
    process = processes.spawn(command, lambda recorded: shop.memory.record(name, recorded))
    try:
        deadline = shop.clock.monotonic() + _TOOL_SECONDS
        while processes.alive(process.pid):
            shop.cancelled()
            if shop.clock.monotonic() > deadline:
                raise VectrueError(
                    f"{name} did not end in {_TOOL_SECONDS:g} s", fix=f"look into {command.log}"
                )
            shop.clock.wait(processes.POLL_SECONDS)
    finally:
        processes.end(process, signal.SIGKILL, 10.0, shop.clock)
        shop.memory.record(name, None)


def failed(what: str, log: Path) -> VectrueError:
    """The error of a part or tool that ended when it should not have, with the last
    lines of its log.
    """
    return VectrueError(what, fix=f"mend what {log} says, which ends with\n{processes.tail(log)}")


def require_made(made: Path, what: str, log: Path) -> None:
    """Check what a tool should have made.

    Raises:
        VectrueError: it is not there; with the end of the tool's log.
    """
    if not made.exists():
        raise failed(what, log)
