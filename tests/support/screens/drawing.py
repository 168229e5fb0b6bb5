"""How a page is drawn: at a width of columns, or into a pipe."""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest.mock import patch

from streams.cli.screen import (
    output,
)

WIDTHS = (80, 120)


@dataclass(frozen=True, slots=True)
class Page:
    """What draws a page, and whether `-o wide` shows more; it is told whether
    everything is wanted.
    """

    draw: Callable[[bool], object]
    has_more: bool = False


@contextlib.contextmanager
def drawn(width: int | None) -> Iterator[io.StringIO]:
    """Both screens with a width of columns; None is a pipe. Yields what is printed on
    either.
    """
    written = io.StringIO()
    with (
        contextlib.redirect_stdout(written),
        contextlib.redirect_stderr(written),
        patch.object(output.out, "_width", width),
        patch.object(output.err, "_width", width),
    ):
        yield written


def screen(page: Page, width: int | None, *, wide: bool = False) -> str:
    """A page as it looks."""
    with drawn(width) as written:
        page.draw(wide)
    return written.getvalue()


def document(page: Page) -> str:
    """All looks of a page under headings of their own."""
    looks: list[tuple[str, int | None, bool]] = [
        (f"{width} columns", width, False) for width in WIDTHS
    ]
    looks += [("80 columns, -o wide", 80, True)] if page.has_more else []
    looks += [("no terminal", None, False)]
    return "\n".join(f"=== {name}\n{screen(page, width, wide=wide)}" for name, width, wide in looks)
