"""The one progress bar: drawn on stderr, and only on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID

from streams.cli.screen.output import err, label

# In columns, of the bar itself.
_WIDTH = 24


class ProgressBars:
    """A bar for each name that is shown.

    Args:
        transient: whether the bars vanish at the end.
    """

    def __init__(self, *, transient: bool = False) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            label(),
            BarColumn(bar_width=_WIDTH),
            label("{task.fields[figures]}"),
            console=err,
            disable=not err.is_terminal,
            transient=transient,
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def show(
        self,
        name: str,
        done: int,
        total: int | None,
        figures: str | None = None,
        *,
        title: str | None = None,
    ) -> None:
        """Draw a bar, or move it.

        Args:
            name: tells the bars apart.
            done: steps done.
            total: steps in all; None when it is not known.
            figures: stand behind the bar; `done/total` when left out.
            title: stands before the bar; the name when left out.
        """
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, figures="")
        if figures is None:
            figures = f"{done:,}/{total:,}" if total is not None else f"{done:,}"
        self._progress.update(
            self._tasks[name],
            completed=done,
            total=total,
            figures=figures,
            description=title or name,
        )

    def remove(self, name: str) -> None:
        """Take a bar off the screen, if it is there."""
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


@contextmanager
def counting_bars(
    verb: str = "", *, transient: bool = False
) -> Iterator[Callable[[str, int, int], None]]:
    """Draw one bar for each name.

    Args:
        verb: stands before each name.
        transient: whether the bars vanish at the end.

    Yields:
        A function of name, rows done and rows to do.
    """
    with ProgressBars(transient=transient) as bars:

        def show(name: str, done: int, total: int) -> None:
            bars.show(f"{verb} {name}".strip(), done, total)

        yield show
