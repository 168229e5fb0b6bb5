"""What the commands share for printing: two consoles, JSON, the `-o` option. stdout is data, stderr is the rest."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


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
