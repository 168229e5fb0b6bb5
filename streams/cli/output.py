"""What the commands share: two consoles, JSON, bars, the `-o` option. stdout is data, stderr is the rest."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

_PIPE_WIDTH = 200
"""Columns of a table that goes to a file or a pipe: nothing is cut there for want of a terminal's width."""


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else _PIPE_WIDTH


out = Console(highlight=False, width=_width(sys.stdout))
err = Console(stderr=True, highlight=False, width=_width(sys.stderr))


class Format(StrEnum):
    """Forms of a report."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Format, typer.Option("--output", "-o", help="table for people, json for scripts")]


def print_json(data: Any) -> None:
    """One JSON document on stdout, Korean text readable."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


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
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise typer.BadParameter(f"{text!r} is neither a number of rows nor all", param_hint=option)
    return int(text)


@contextmanager
def counting_bars(verb: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """One bar per name on stderr, on a terminal only; yields what is told of name, rows done and rows to do."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, wanted: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(f"{verb} {name}".strip(), total=wanted)
            progress.update(tasks[name], completed=done)

        yield show
