"""Figures of a run: a table for people, a table for a document, JSON for scripts.

A document has a place for each table, between `<!-- figures: begin NAME -->` and `<!--
figures: end NAME -->`; what stands there is replaced, so that one command repeats it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

Lines = Sequence[tuple[str, object]]


def markdown(heading: tuple[str, str], lines: Lines) -> str:
    """A table of two columns for a document; ends in a line feed."""
    rows = [
        f"| {heading[0]} | {heading[1]} |",
        "|---|---|",
        *(f"| {name.strip()} | {value} |" for name, value in lines),
    ]
    return "\n".join(rows) + "\n"


def put(file: str, name: str, text: str) -> None:
    """Write a table into its place in a document; where the file has no such place, it
    becomes the whole file.

    Args:
        file: path.
        name: which of the document's tables.
        text: the table.
    """
    begin, end = f"<!-- figures: begin {name} -->", f"<!-- figures: end {name} -->"
    path = Path(file)
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, found, rest = old.partition(begin)
    _, closed, tail = rest.partition(end)
    path.write_text(
        f"{head}{begin}\n\n{text}\n{end}{tail}" if found and closed else text, encoding="utf-8"
    )


def dump(file: str, figures: Mapping[str, object]) -> None:
    """Write the figures as JSON."""
    with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123 - a path as the user gave it, /dev/stdout included
        json.dump(figures, out, ensure_ascii=False, indent=2)
        out.write("\n")


def show(console: Console, title: str, lines: Lines) -> None:
    """Print the table."""
    table = Table("FIGURE", "VALUE", box=None, title=title, title_justify="left")
    for name, value in lines:
        table.add_row(name, str(value))
    console.print(table)
