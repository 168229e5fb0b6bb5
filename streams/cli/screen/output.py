r"""The two screens of the commands: stdout is data, stderr is the rest.

Everything that is printed passes through here, so that no text can command the
terminal: an escape is shown as `\x1b` (schemas/printable.py), and `[...]` is text,
never a style. Styles are set with `style` or `styled`.

Hazard: strings are never folded by rich but by the terminal, so that commands can be
copied; only tables and bars are laid out for the width.
"""

import codecs
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import TextColumn
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from schemas import command
from schemas.printable import json_text, one_line, visible

# A file or a pipe: nothing is folded there, each row of a table is one line.
_NO_WIDTH = 1_000_000


class Screen(Console):
    """A console that shows text from outside as it is: it obeys and cuts none of it.

    Args:
        stderr: whether it prints to stderr; it follows a redirection of the stream.
        width: in columns; the terminal's when left out.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
        # Not left to rich: it takes COLUMNS as the width of a pipe, too.
        self._width = width

    @property
    def options(self) -> ConsoleOptions:
        """Return rich's options; a file or a pipe has no width."""
        options = super().options
        if self._width is None and not self.file.isatty():
            options.max_width = _NO_WIDTH
        return options

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; commands in a string are completed so that they can be copied."""
        shown: list[Any] = []
        soft_wrap = True
        for one in objects:
            shown.append(command.completed(one) if isinstance(one, str) else one)
            soft_wrap = soft_wrap and isinstance(one, str | Text)
        if soft_wrap:
            options.setdefault("soft_wrap", True)
        super().print(*shown, **{"crop": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, which may stand in a table or a bar."""
        return super().render_str(one_line(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything; a Text may have been made elsewhere, from text from outside."""
        if isinstance(renderable, Text):
            renderable = _written_out(renderable)
        return super().render(renderable, options)


def _written_out(text: Text) -> Text:
    if visible(text.plain) == text.plain:
        return text
    shown = text.blank_copy("")
    # Character by character: the spans of the styles move with each that grows.
    for part in text.divide(range(1, len(text))):
        shown.append_text(Text(visible(part.plain), part.style, spans=part.spans))
    return shown


out = Screen()
err = Screen(stderr=True)


def styled(text: str, style: str) -> Text:
    """Return a string with a style of rich's, for a cell or for a part of a line."""
    return Text(one_line(text), style)


def label(field: str = "{task.description}") -> TextColumn:
    """Return a column of words for a row of bars; it folds what has no room."""
    return TextColumn(field, markup=False, table_column=Column(overflow="fold"))


class Format(StrEnum):
    """The form of a report."""

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
    """Print one JSON document on stdout.

    Args:
        data: what json can write; other values are shown with str().
        indent: spaces per level; None for one line.
    """
    # Korean text is readable where the encoding has it, and escaped elsewhere.
    is_unicode = codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf-")
    typer.echo(json_text(data, indent=indent, default=str, ensure_ascii=not is_unicode))


def print_lines(text: str, screen: Screen = out) -> None:
    """Print text of several lines."""
    for line in text.removesuffix("\n").split("\n"):
        screen.print(line)


def print_exactly(text: str) -> None:
    """Print a script or a path on stdout unchanged, for another program.

    On a terminal, control characters are written out.
    """
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_error(message: str, detail: str = "") -> None:
    """Print `error:` and a sentence on stderr.

    Args:
        message: its further lines are indented.
        detail: a traceback, printed before it.
    """
    if detail:
        print_lines(detail, err)
    first, *more = message.split("\n")
    err.print(styled("error:", "red"), first)
    for line in more:
        err.print(f"  {line}")


def print_warning(sentence: str) -> None:
    """Print `warning:` and a sentence on stdout, beside the report that it is about."""
    out.print(f"warning: {sentence}", style="yellow")
