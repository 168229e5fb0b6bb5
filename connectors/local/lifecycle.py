"""Starting and ending the parts of one stack, in the right order. Whoever calls holds
DIR/lock.

Hazards:
- A command may be killed at any point. Every process is in stack.json before it is
  waited for, and one whose start was not written down any more is found by its mark;
  `end` and `clear_leftovers` end those too.
- A part that runs is never started again, also when it does not answer: two servers on
  one data folder lose data.
"""

import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

import psutil

from connectors.local.machine import processes
from connectors.local.machine.parts import Part, PartName, Workshop, failed
from connectors.local.machine.properties import SideDoor
from connectors.local.machine.state import Memory, Recorded, StackState
from connectors.local.services.connect import ConnectService
from connectors.local.services.kafka import Kafka
from connectors.local.services.postgres import Postgres
from connectors.local.services.postgres_tls import PostgresTls
from connectors.ports import Clock
from schemas.errors import ConfigurationError, Stopping

Report = Callable[[str], None]

ORDER: tuple[PartName, ...] = ("postgres", "postgres-tls", "kafka", "connect")

_START_SECONDS = 180.0  # the slowest part takes 7 s on two idle cores
_STOP_SECONDS = 30.0


class Lifecycle:
    """The processes of one stack."""

    def __init__(
        self, directory: Path, memory: Memory, clock: Clock, side_door: SideDoor | None = None
    ) -> None:
        self._side_door = side_door
        self._directory = directory
        self._memory = memory
        self._clock = clock
        self._cancelled = threading.Event()

    def parts(self, state: StackState | None) -> list[Part]:
        """The parts in the order of their start; without a state all that a stack can
        have, to be recognised only.
        """
        known = state or StackState(0, 0, 0, 0, "", "")
        shop = Workshop(
            self._directory,
            known,
            self._memory,
            self._clock,
            self._check_cancelled,
            self._side_door,
        )
        tls = [PostgresTls(shop)] if state is None or state.secure else []
        return [Postgres(shop), *tls, Kafka(shop), ConnectService(shop)]

    def find(self, part: Part) -> psutil.Process | None:
        """The recorded process of a part, if it runs."""
        return processes.recognise(self._recorded().get(part.name))

    def start_all(self, state: StackState, report: Report) -> None:
        """Start what does not run: Postgres and Kafka together, then Connect. One
        failure ends what this call started.

        Raises:
            VectrueError: a part died or never answered, with the end of its log.
        """
        self._cancelled.clear()
        parts = self.parts(state)
        started = [part for part in parts if self.find(part) is None]
        try:
            self._start_together(parts[:-1], report)
            report(self._bring_up(parts[-1]))
        except BaseException:
            for part in reversed(started):
                self.end(part)
            raise

    def start(self, part: Part) -> None:
        """Start one part if it does not run, and wait until it answers.

        Raises:
            VectrueError: it died or never answered, with the end of its log.
        """
        self._cancelled.clear()
        self._bring_up(part)

    def end(self, part: Part, sig: signal.Signals | None = None) -> bool:
        """End a part, with its own signal for an orderly end when `sig` is None;
        whether there was anything to end.

        Raises:
            VectrueError: it does not end, or belongs to another user.
        """
        ended = self._end_recorded(part.name, sig or part.stop_signal)
        return self._end_marked(part, sig) or ended

    def end_all(self, report: Report) -> None:
        """End everything, Connect first."""
        self._end_tools()
        for part in reversed(self.parts(None)):
            if self.end(part):
                report(f"{part.name} stopped")

    def clear_leftovers(self, missing: Iterable[Part]) -> None:
        """End what a killed command left: its tools, and parts whose start it could not
        write down.
        """
        self._end_tools()
        for part in missing:
            self._end_marked(part)

    def _start_together(self, parts: list[Part], report: Report) -> None:
        with ThreadPoolExecutor(len(parts)) as pool:
            futures: list[Future[str]] = [pool.submit(self._bring_up, part) for part in parts]
            try:
                for future in as_completed(futures):
                    report(future.result())
            except BaseException:
                self._cancelled.set()  # the other part's wait ends too
                raise

    def _bring_up(self, part: Part) -> str:
        """Start a part if need be and wait for it; the line that says so."""
        begun = self._clock.monotonic()
        if self.find(part) is None:
            part.prepare()
            self._check_cancelled()
            processes.spawn(
                part.command(), lambda recorded: self._memory.record(part.name, recorded)
            )
        self._await(part)
        return (
            f"{part.name} {part.version} answers at {part.where} "
            f"({self._clock.monotonic() - begun:.1f} s)"
        )

    def _await(self, part: Part) -> None:
        deadline = self._clock.monotonic() + _START_SECONDS
        log = self._directory / "logs" / f"{part.name}.log"
        while not part.answers():
            self._check_cancelled()
            if self.find(part) is None:
                raise failed(f"{part.name} ended while starting", log)
            if self._clock.monotonic() > deadline:
                raise failed(
                    f"{part.name} does not answer at {part.where} after {_START_SECONDS:g} s", log
                )
            self._clock.wait(processes.POLL_SECONDS)
        part.finish()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Stopping("another part of the stack failed")

    def _recorded(self) -> dict[str, Recorded]:
        state = self._memory.read()
        return state.processes if state else {}

    def _end_tools(self) -> None:
        # stack.json is damaged; tools end by themselves
        with suppress(ConfigurationError):
            for name in self._recorded():
                if name not in ORDER:
                    self._end_recorded(name, signal.SIGKILL)

    def _end_recorded(self, name: str, sig: signal.Signals) -> bool:
        recorded: Recorded | None = None
        # stack.json is damaged; the marks still tell what is ours
        with suppress(ConfigurationError):
            recorded = self._recorded().get(name)
        process = processes.recognise(recorded)
        if process is not None:
            processes.end(process, sig, _STOP_SECONDS, self._clock)
        if recorded is not None:
            self._memory.record(name, None)
        return process is not None

    def _end_marked(self, part: Part, sig: signal.Signals | None = None) -> bool:
        found = processes.marked(part.mark)
        for process in found:
            processes.end(process, sig or part.stop_signal, _STOP_SECONDS, self._clock)
        return bool(found)
