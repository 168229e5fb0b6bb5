"""Start and end the parts of one stack, in the right order. The caller holds DIR/lock.

Hazard: a command may be killed at any point. Every process is in stack.json before
anything waits for it. One whose start was not recorded is found by its mark, so that
`end` and `clear_leftovers` end it too.
"""

import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from connectors.local.machine import processes
from connectors.local.machine.parts import Part, PartName, StackContext, failed
from connectors.local.machine.properties import SecondListener
from connectors.local.machine.state import Recorded, StackState, StateFile
from connectors.local.services.connect import ConnectService
from connectors.local.services.kafka import Kafka
from connectors.local.services.postgres import Postgres
from connectors.local.services.postgres_tls import PostgresTls
from connectors.ports import Clock
from schemas.errors import ConfigurationError, Stopping

ReportLine = Callable[[str], None]

ORDER: tuple[PartName, ...] = ("postgres", "postgres-tls", "kafka", "connect")

# The slowest part takes 7 s on two idle cores.
_START_SECONDS = 180.0
_STOP_SECONDS = 30.0


class Lifecycle:
    """The processes of one stack."""

    def __init__(
        self,
        directory: Path,
        state_file: StateFile,
        clock: Clock,
        second_listener: SecondListener | None = None,
    ) -> None:
        self._second_listener = second_listener
        self._directory = directory
        self._state_file = state_file
        self._clock = clock
        self._cancelled = threading.Event()

    def parts(self, state: StackState | None) -> list[Part]:
        """List the parts in the order of their start.

        Args:
            state: of the stack; None: all parts that a stack can have, only to
                recognise their processes.
        """
        known = state or StackState(0, 0, 0, 0, "", "")
        context = StackContext(
            self._directory,
            known,
            self._state_file,
            self._clock,
            self._check_cancelled,
            self._second_listener,
        )
        parts: list[Part] = [Postgres(context)]
        if state is None or state.secure:
            parts.append(PostgresTls(context))
        parts += [Kafka(context), ConnectService(context)]
        return parts

    def find(self, part: Part) -> psutil.Process | None:
        """Return the recorded process of a part, if it runs."""
        return processes.recognise(self._recorded().get(part.name))

    def not_running(self, parts: Iterable[Part]) -> list[Part]:
        """List the parts without a recorded process that runs."""
        return [part for part in parts if self.find(part) is None]

    def start_all(self, state: StackState, report: ReportLine) -> None:
        """Start the parts that do not run: Postgres and Kafka together, then Connect.

        A failure of one ends all that this call started.

        Args:
            state: of the stack.
            report: takes a line for each part that answers.

        Raises:
            VectrueError: a part died or never answered, with the end of its log.
        """
        self._cancelled.clear()
        parts = self.parts(state)
        started = self.not_running(parts)
        try:
            self._start_together(parts[:-1], report)
            report(self._bring_up(parts[-1]))
        except BaseException:
            for part in reversed(started):
                self.end(part)
            raise

    def start(self, part: Part) -> None:
        """Start one part if it does not run, and wait until it answers.

        Args:
            part: which.

        Raises:
            VectrueError: it died or never answered, with the end of its log.
        """
        self._cancelled.clear()
        self._bring_up(part)

    def end(self, part: Part, sig: signal.Signals | None = None) -> bool:
        """End a part, recorded or not.

        Args:
            part: which.
            sig: the signal; None: the one for an orderly shutdown.

        Returns:
            whether a process was running.

        Raises:
            VectrueError: it does not end, or belongs to another user.
        """
        ended = self._end_recorded(part.name, sig or part.stop_signal)
        return self._end_marked(part, sig) or ended

    def end_all(self, report: ReportLine) -> None:
        """End everything, Connect first.

        Args:
            report: takes a line for each part that was running.
        """
        self._end_tools()
        for part in reversed(self.parts(None)):
            if self.end(part):
                report(f"{part.name} stopped")

    def clear_leftovers(self, missing: Iterable[Part]) -> None:
        """End what a killed command left: its tools, and parts that it started but did
        not record.
        """
        self._end_tools()
        for part in missing:
            self._end_marked(part)

    def _start_together(self, parts: list[Part], report: ReportLine) -> None:
        with ThreadPoolExecutor(len(parts)) as pool:
            futures: list[Future[str]] = [pool.submit(self._bring_up, part) for part in parts]
            try:
                for future in as_completed(futures):
                    report(future.result())
            except BaseException:
                # Ends the wait for the other part, or the pool would wait for it.
                self._cancelled.set()
                raise

    def _bring_up(self, part: Part) -> str:
        """Start a part if it does not run, wait for it, and return a line that says so."""
        begun = self._clock.monotonic()
        # Never a second time, even if it does not answer: two servers on one data
        # folder lose data.
        if self.find(part) is None:
            part.prepare()
            self._check_cancelled()
            record = partial(self._state_file.record, part.name)
            processes.spawn(part.command(), record)
        self._await(part)
        seconds = self._clock.monotonic() - begun
        return f"{part.name} {part.version} answers at {part.where} ({seconds:.1f} s)"

    def _await(self, part: Part) -> None:
        deadline = self._clock.monotonic() + _START_SECONDS
        log = self._directory / "logs" / f"{part.name}.log"
        while not part.answers():
            self._check_cancelled()
            if self.find(part) is None:
                raise failed(f"{part.name} ended while starting", log)
            if self._clock.monotonic() > deadline:
                raise failed(
                    f"{part.name} does not answer at {part.where} after {_START_SECONDS:g} s",
                    log,
                )
            self._clock.wait(processes.POLL_SECONDS)
        part.finish()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Stopping("another part of the stack failed")

    def _recorded(self) -> dict[str, Recorded]:
        state = self._state_file.read()
        return state.processes if state else {}

    def _end_tools(self) -> None:
        # A damaged stack.json names no tools, which end without a signal anyway.
        with suppress(ConfigurationError):
            for name in self._recorded():
                if name not in ORDER:
                    self._end_recorded(name, signal.SIGKILL)

    def _end_recorded(self, name: str, sig: signal.Signals) -> bool:
        recorded: Recorded | None = None
        # With a damaged stack.json the part is still found by its mark.
        with suppress(ConfigurationError):
            recorded = self._recorded().get(name)
        process = processes.recognise(recorded)
        if process is not None:
            processes.end(process, sig, _STOP_SECONDS, self._clock)
        if recorded is not None:
            self._state_file.record(name, None)
        return process is not None

    def _end_marked(self, part: Part, sig: signal.Signals | None = None) -> bool:
        found = processes.marked(part.mark)
        for process in found:
            processes.end(process, sig or part.stop_signal, _STOP_SECONDS, self._clock)
        return bool(found)
