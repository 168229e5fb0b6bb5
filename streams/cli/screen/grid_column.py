"""A column of a table: its cells, and how wide they are."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from rich.cells import cell_len
from rich.text import Text

from schemas.printable import one_line
from streams.cli.screen.folding import WORDS

NARROWEST = 16
"""Cells that a folded column of words has at least."""

_FIGURE = re.compile(
    r"[~<>+-]?\s?[\d,.]+(/[\d,.]+)?(\s?(s|ms|B|kB|MB|GB|TB|%|rows/s))?|\d+[hm]\d\d[ms]|-?"
)


@dataclass(eq=False)
class GridColumn:
    """A column; it is measured once, when it is drawn.

    Hazard: a cell that is added after that does not count.
    """

    heading: str
    cells: list[Text] = field(default_factory=list)

    def add(self, cell: str | Text) -> None:
        """Add a cell; a string is text, never markup."""
        self.cells.append(_cell(cell))

    def is_only(self, *values: str) -> bool:
        """Return whether every cell is one of these."""
        return all(cell.plain in values for cell in self.cells)

    @cached_property
    def is_figures(self) -> bool:
        """Whether all are counts, durations or sizes: right-aligned, and never folded."""
        return all(_FIGURE.fullmatch(cell.plain) for cell in self.cells)

    @cached_property
    def widest(self) -> int:
        """Cells of its widest value."""
        return max((cell_len(cell.plain) for cell in self.cells), default=0)

    @cached_property
    def longest_word(self) -> int:
        """Cells of the longest word of a value, at most a narrow column."""
        longest = 0
        for cell in self.cells:
            for word in WORDS.findall(cell.plain):
                longest = max(longest, cell_len(word.rstrip()))
        return min(longest, NARROWEST)

    @cached_property
    def heading_word(self) -> int:
        """Cells of the longest part of its heading, which folds at `-` and spaces."""
        return max(cell_len(part) for part in re.split(r"(?<=-)|\s", self.heading))


def _cell(value: str | Text) -> Text:
    if isinstance(value, str):
        return Text(_flat(value))
    flat = Text()
    # Character by character, so that each keeps its style when it grows.
    for part in value.divide(range(1, len(value))):
        flat.append(_flat(part.plain), part.style)
    return flat


def _flat(text: str) -> str:
    return one_line(text).replace("\t", "\\t")
