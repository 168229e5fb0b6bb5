"""The `replay run` commands of a campaign: in the background, or to their end."""

import subprocess
from random import Random

from tests.soak.checker import Rows
from tests.soak.faults import Processes
from tests.soak.fleet import Fleet
from tests.soak.report import Report

_COMMAND_SECONDS = 300.0


class Replays:
    """Starts replays, and enters the exit codes of the commands in the report."""

    def __init__(
        self, random: Random, rows: Rows, fleet: Fleet, processes: Processes, report: Report
    ) -> None:
        self._random = random
        self._rows = rows
        self._fleet = fleet
        self._processes = processes
        self._report = report

    def begin(self, chance: float = 0.5) -> None:
        """Now and then, start a `replay run` in the background if none runs."""
        command = self._processes.command
        if command is not None:
            if (code := command.poll()) is None:
                return
            self._report.command_exits[str(code)] += 1
            self._processes.command = None
        if self._random.random() < chance:
            only = self.unfinished() or self._random.choice(("all", "stale"))
            self._processes.command = self._fleet.launch(
                "replay-run", "replay", "run", "--yes", "--only", only
            )

    def unfinished(self) -> str | None:
        """Scope of the run that a killed command left: only a command with the same
        scope may finish it.
        """
        found = self._rows.ask(
            "SELECT scope FROM vectrue.replays WHERE state NOT IN ('done', 'cancelled')"
        )
        return str(found[0][0]) if found else None

    def run(self, only: str) -> int:
        """Run one to its end; returns its exit code."""
        return self.wait_for(
            self._fleet.launch("replay-run", "replay", "run", "--yes", "--only", only)
        )

    def wait_for(self, command: "subprocess.Popen[bytes]") -> int:
        """Wait for a command; one that does not end is a violation (I9)."""
        try:
            code = command.wait(_COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            command.kill()
            self._report.violations.append(
                f"I9: replay run did not end within {_COMMAND_SECONDS:g} s"
            )
            code = command.wait()
        self._report.command_exits[str(code)] += 1
        return code
