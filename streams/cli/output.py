"""What the commands share for printing: two consoles, JSON, the `-o` option. stdout is data, stderr is the rest."""

import json
import sys
from enum import StrEnum
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

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
