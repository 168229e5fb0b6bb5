"""Tables for a screen of any width: nothing is cut, no two headings become alike.

What does not fit is folded, by cells (a Korean character has two) and never inside a character, or left out by name:
columns without a value always, then counts that are 0 in every row, then those that the table says `-o wide` shows.
Where that is not enough each row becomes a block of `HEADING  value` lines. A pipe has no width: a line for each row.

Hazard: how many cells a character takes is rich's opinion (rich.cells); a terminal may
think otherwise of an emoji.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from rich.cells import cell_len, split_graphemes
from rich.console import ConsoleOptions
from rich.text import Text

from schemas.printable import one_line

_GAP = 2
_COMFORTABLE, _NARROWEST = 32, 16
"""Cells that a folded column of words has at least: while columns can be left out, and
when none is left to.
"""

_WORDS = re.compile(r"\[[^\[\]]{1,24}\]\s*|[+-]?\d[\d,.]*\s(?:m?s|[kMGT]?B)\b\S*\s*|\S+\s*|\s+")
"""Neither `[0.441 0.580]` nor `1.2 s` is folded at its space."""
_PARTS = re.compile(r"[^-./_,:@=+]*[-./_,:@=+]+\s*|[^-./_,:@=+]+")
_FIGURE = re.compile(
    r"[~<>+-]?\s?[\d,.]+(/[\d,.]+)?(\s?(s|ms|B|kB|MB|GB|TB|%|rows/s))?|\d+[hm]\d\d[ms]|-?"
)


def fold(text: str, width: int) -> list[str]:
    """Pieces of at most `width` cells, which make the text again when they are joined.

    Folds after a space where it can, then after a sign that parts a name, then between
    two characters. A space at the end of a piece may stand beyond the width; a
    character wider than that has a piece to itself.
    """
    if cell_len(text) <= width:
        return [text]
    pieces, piece = [], ""
    for part in _parts([text[start:end] for start, end, _ in split_graphemes(text)[0]], width):
        if piece and cell_len((piece + part).rstrip()) > width:
            pieces.append(piece)
            piece = ""
        piece += part
    return [*pieces, piece]


def _parts(characters: Sequence[str], width: int) -> Iterator[str]:
    """Words, else parts of words, else characters (each with its marks) that fit into
    the width.
    """
    for word in _grouped(_WORDS, characters):
        for part in [word] if _fits(word, width) else _grouped(_PARTS, word):
            yield from ["".join(part)] if _fits(part, width) else part


def _grouped(pattern: re.Pattern[str], characters: Sequence[str]) -> Iterator[Sequence[str]]:
    """Groups of characters as a pattern finds them; what begins a character stands for
    it.
    """
    for found in pattern.finditer("".join(character[0] for character in characters)):
        yield characters[found.start() : found.end()]


def _fits(characters: Sequence[str], width: int) -> bool:
    return cell_len("".join(characters).rstrip()) <= width


@dataclass(eq=False)
class _GridColumn:
    """A column; its measures are taken once, when it is drawn."""

    heading: str
    cells: list[Text] = field(default_factory=list)

    def is_only(self, *values: str) -> bool:
        """Whether every cell is one of these."""
        return all(cell.plain in values for cell in self.cells)

    @cached_property
    def is_figures(self) -> bool:
        """Counts, durations, sizes: to the right, and never folded."""
        return all(_FIGURE.fullmatch(cell.plain) for cell in self.cells)

    @cached_property
    def widest(self) -> int:
        """Cells of its widest value."""
        return max((cell_len(cell.plain) for cell in self.cells), default=0)

    @cached_property
    def longest_word(self) -> int:
        """Cells of the longest word of a value, at most a narrow column."""
        words = (word.rstrip() for cell in self.cells for word in _WORDS.findall(cell.plain))
        return min(max(map(cell_len, words), default=0), _NARROWEST)

    @cached_property
    def word(self) -> int:
        """Cells of the longest part of its heading, which folds at `-` and spaces."""
        return max(map(cell_len, re.split(r"(?<=-)|\s", self.heading)))


@dataclass(frozen=True)
class _Layout:
    """What fits: the columns, the cells that each has, the headings that were left out."""

    columns: Sequence[_GridColumn]
    widths: Sequence[int]
    zeros: Sequence[str]
    hidden: Sequence[str]


class Grid:
    """A table that is printed with `out.print(grid)`, on whatever is there."""

    def __init__(
        self,
        *headings: str,
        keep: Collection[str] = (),
        zeros: Collection[str] = (),
        last: Sequence[str] = (),
        whole: Collection[str] = (),
        wide: bool = False,
    ) -> None:
        """Begin a table.

        Args:
            headings: of the columns, all different.
            keep: of columns that stay where none has a value.
            zeros: of counts that are left out where all are 0 and the width is scarce;
                a line below names them.
            last: of columns that only `-o wide` shows where the width is scarce, the
                first to go first.
            whole: of columns that are never folded, since their values are typed again.
            wide: whether everything was asked for.
        """
        self._columns = [_GridColumn(one_line(heading)) for heading in headings]
        self._keep, self._zeros, self._last, self._whole, self._wide = (
            keep,
            zeros,
            last,
            whole,
            wide,
        )

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, with a cell for each heading; a string is text, whatever stands in
        it.
        """
        for column, cell in zip(self._columns, cells, strict=True):
            column.cells.append(_cell(cell))

    def __bool__(self) -> bool:
        """Whether there is a row."""
        return bool(self._columns[0].cells)

    def __rich_console__(self, _console: object, options: ConsoleOptions) -> Iterator[Text]:
        """As rich asks for it: the lines; none of a table without rows."""
        if not self:
            return
        first, *others = self._columns  # the first says what a row is about
        shown = [first, *(c for c in others if c.heading in self._keep or not c.is_only("", "-"))]
        found = self._fit(shown, options.max_width)
        if found is None:
            yield from _blocks(shown, self._whole, options.max_width)
            return
        yield from _lines(found)
        for words, left_out in (("0 in every row", found.zeros), ("with -o wide", found.hidden)):
            if left_out:
                yield from map(_line, fold(f"{words}: {', '.join(left_out)}", options.max_width))

    def _fit(self, shown: Sequence[_GridColumn], width: int) -> _Layout | None:
        for columns, narrowest, heads in self._attempts(shown):
            least = [self._least(column, narrowest, fold_heading=heads) for column in columns]
            spare = width - sum(least) - _GAP * (len(columns) - 1)
            if spare >= 0:
                most = [max(low, column.widest) for low, column in zip(least, columns, strict=True)]
                gone = [column.heading for column in shown if column not in columns]
                zeros = [heading for heading in gone if heading in self._zeros]
                hidden = [heading for heading in gone if heading not in self._zeros]
                return _Layout(columns, _shared(least, most, spare), zeros, hidden)
        return None

    def _attempts(
        self, shown: Sequence[_GridColumn]
    ) -> Iterator[tuple[Sequence[_GridColumn], int | None, bool]]:
        """Columns, the cells that words have at least (None: all they need), whether
        headings fold: best first.
        """
        yield shown, None, False
        yield shown, None, True
        some = shown
        if not self._wide:
            some = [
                column
                for column in shown
                if column.heading not in self._zeros or not column.is_only("0")
            ]
            yield some, None, True
        yield some, _COMFORTABLE, True
        for heading in () if self._wide else self._last:
            some = [column for column in some if column.heading != heading]
            yield some, _COMFORTABLE, True
        yield some, _NARROWEST, True

    def _least(self, column: _GridColumn, narrowest: int | None, *, fold_heading: bool) -> int:
        heading = column.word if fold_heading else cell_len(column.heading)
        if narrowest is None or column.heading in self._whole or column.is_figures:
            return max(heading, column.widest)
        if narrowest == _NARROWEST and column.widest <= _COMFORTABLE:
            return max(heading, column.longest_word)
        return max(heading, min(column.widest, narrowest))


def _cell(value: str | Text) -> Text:
    if isinstance(value, str):
        return Text(_flat(value))
    return Text.assemble(
        *((_flat(part.plain), part.style) for part in value.divide(range(1, len(value))))
    )


def _flat(text: str) -> str:
    return one_line(text).replace("\t", "\\t")


def _shared(least: Sequence[int], most: Sequence[int], spare: int) -> list[int]:
    """The cells of each column: `spare` given to those that want more, the same to each
    as far as it wants it.
    """
    widths = list(least)
    while spare > 0 and (wanting := [i for i, width in enumerate(widths) if width < most[i]]):
        for i in sorted(wanting, key=lambda i: most[i] - widths[i])[:spare]:
            more = min(max(spare // len(wanting), 1), most[i] - widths[i])
            widths[i] += more
            spare -= more
    return widths


def _lines(layout: _Layout) -> Iterator[Text]:
    heads = [
        _folded(Text(c.heading, "bold"), width)
        for c, width in zip(layout.columns, layout.widths, strict=True)
    ]
    tallest = max(map(len, heads), default=0)
    yield from _rows(layout, [[Text()] * (tallest - len(head)) + head for head in heads])
    for cells in zip(*(column.cells for column in layout.columns), strict=True):
        yield from _rows(
            layout, [_folded(cell, width) for cell, width in zip(cells, layout.widths, strict=True)]
        )


def _rows(layout: _Layout, cells: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """The lines of one row, from the pieces of each of its cells."""
    for number in range(max(map(len, cells), default=0)):
        line = _line("")
        for i, (column, width, pieces) in enumerate(
            zip(layout.columns, layout.widths, cells, strict=True)
        ):
            piece = pieces[number] if number < len(pieces) else Text()
            room = " " * (width - cell_len(piece.plain))
            line.append(" " * _GAP if i else "")
            line.append_text(
                Text.assemble(room, piece) if column.is_figures else Text.assemble(piece, room)
            )
        line.rstrip()
        yield line


def _blocks(columns: Sequence[_GridColumn], whole: Collection[str], width: int) -> Iterator[Text]:
    """A line for each value of a row; a row that does not say its first value goes on
    with the row before.
    """
    label = max(cell_len(column.heading) for column in columns) + _GAP
    for number in range(len(columns[0].cells)):
        if number and columns[0].cells[number].plain:
            yield _line("")
        for column in columns:
            value, heading = column.cells[number], column.heading
            room = cell_len(value.plain) if heading in whole else max(width - label, 2)
            for i, piece in enumerate(_folded(value, room) if value.plain else ()):
                head = heading if i == 0 else ""
                yield Text.assemble(
                    (head, "bold"),
                    " " * (label - cell_len(head)),
                    piece,
                    no_wrap=True,
                    overflow="ignore",
                )


def _folded(text: Text, width: int) -> list[Text]:
    ends = accumulate(map(len, fold(text.plain, max(width, 1))))
    pieces = list(text.divide([*ends][:-1]))
    for piece in pieces:
        piece.rstrip()
    return pieces


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ignore")
