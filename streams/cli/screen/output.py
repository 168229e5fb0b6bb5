r"""What the commands share: two screens, JSON, bars, questions, the `-o` option. stdout
is data, stderr is the rest.

Everything that is printed passes through here, and no text can command the terminal: an
escape is shown as `\x1b` (schemas/printable.py), and `[...]` is text, never a style.
What has a style says so with `style` or `styled`.
"""

import codecs
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from schemas import command
from schemas.printable import json_text, one_line, visible

_NO_WIDTH = 1_000_000
"""Columns of a file or a pipe: nothing is folded there, each row of a table is a line.
"""


class Screen(Console):
    """A console that shows text from outside as it is, obeys none of it, and cuts
    nothing.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        """Take stdout or stderr, whatever they are when something is printed; `width`
        in columns, else theirs.
        """
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
        self._width = width  # rich takes COLUMNS here, and keeps it for a pipe too

    @property
    def options(self) -> ConsoleOptions:
        """As rich has them; what is no terminal has no width."""
        options = super().options
        if self._width is None and not self.file.isatty():
            options.max_width = _NO_WIDTH
        return options

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does, but what is copied from a sentence works: the terminal alone
        folds it, commands are whole.
        """
        if all(isinstance(one, str | Text) for one in objects):
            options.setdefault("soft_wrap", True)
        said = (command.completed(one) if isinstance(one, str) else one for one in objects)
        super().print(*said, **{"crop": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich does: what becomes of a string, also of one in a table or a bar."""
        return super().render_str(one_line(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As rich does: everything that is printed, also what was made a Text
        elsewhere.
        """
        return super().render(
            _written_out(renderable) if isinstance(renderable, Text) else renderable, options
        )


def _written_out(text: Text) -> Text:
    shown = visible(text.plain)
    if shown == text.plain:
        return text
    return text.blank_copy("").join(
        Text(visible(part.plain), part.style, spans=part.spans)
        for part in text.divide(range(1, len(text)))
    )


out = Screen()
err = Screen(stderr=True)


def styled(text: str, style: str) -> Text:
    """A string with a style of rich's, for a cell of a table or a part of a line."""
    return Text(one_line(text), style)


def label(field: str = "{task.description}") -> TextColumn:
    """A column of words in a row of bars; what has no room there is folded."""
    return TextColumn(field, markup=False, table_column=Column(overflow="fold"))


class Format(StrEnum):
    """Forms of a report."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


OutputOption = Annotated[
    Format,
    typer.Option(
        "--output", "-o", help="table for people; wide: all of its columns; json for scripts"
    ),
]


def print_json(data: Any, *, indent: int | None = 2) -> None:
    """One JSON document on stdout, Korean text readable where stdout can; on one line
    where there is no indent.
    """
    is_unicode = codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf-")
    typer.echo(json_text(data, indent=indent, default=str, ensure_ascii=not is_unicode))


def print_lines(text: str, screen: Screen = out) -> None:
    """Text of several lines, none of them folded."""
    for line in text.removesuffix("\n").split("\n"):
        screen.print(line, soft_wrap=True)


def print_exactly(text: str) -> None:
    """What another program reads, a script or a path: on stdout as it is, but for a
    terminal.
    """
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_error(message: str, detail: str = "") -> None:
    """`error:` and one sentence on stderr, what stands on further lines of it moved in;
    before it, a traceback.
    """
    if detail:
        print_lines(detail, err)
    first, *more = message.split("\n")
    err.print(styled("error:", "red"), first, soft_wrap=True)
    for line in more:
        err.print(f"  {line}", soft_wrap=True)


def confirm(question: str, *, abort: bool = False) -> bool:
    """Ask on stderr; with `abort`, a no ends the command."""
    return typer.confirm(one_line(question), abort=abort, err=True)


def number(value: int | None) -> str:
    """A count with thousands; `-` when unknown."""
    return "-" if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """A duration for people: `0.4 s`, `1m05s`, `2h10m`; `-` when unknown."""
    if value is None:
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def count_or_all(text: str, option: str) -> int | None:
    """A number of rows, or None for `all`.

    Raises:
        BadParameter: it is neither.
    """
    if text == "all":
        return None
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) == 0:
        raise typer.BadParameter(
            f"{text[:40]!r} is neither a number of rows nor all", param_hint=option
        )
    return int(text)


@contextmanager
def counting_bars(verb: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """One bar per name on stderr, on a terminal only; yields what is told of name, rows
    done and rows to do.
    """
    columns = (label(), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, wanted: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(f"{verb} {name}".strip(), total=wanted)
            progress.update(tasks[name], completed=done)

        yield show
