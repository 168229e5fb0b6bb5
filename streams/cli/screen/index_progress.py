"""The progress of `vectrue migrate index`."""

from types import TracebackType
from typing import Self

from streams.cli.formatting import completion
from streams.cli.screen.bars import ProgressBars
from streams.cli.screen.output import err
from streams.migration.build import BuildProgress


class IndexProgress:
    """Progress of an index on stderr: a bar on a terminal, a line per phase elsewhere."""

    def __init__(self) -> None:
        self._phase = ""
        self._bars = ProgressBars()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._bars.__exit__(kind, error, trace)

    def show(self, built: BuildProgress) -> None:
        """Draw one look at the build."""
        phase = f"{built.index}: {built.phase}"
        # Only the pid: who it is, is printed once on a line of its own.
        blocker = f" (pid {built.waits_for[0].pid})" if built.waits_for else ""
        self._bars.show(
            "index",
            built.done,
            built.total or None,
            completion(built.done, built.total),
            title=f"{phase}{blocker}",
        )
        if phase != self._phase and not err.is_terminal:
            err.print(phase)
        self._phase = phase
