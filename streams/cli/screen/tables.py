"""Tables for a screen of any width: nothing is cut, no two headings become alike.

What does not fit is folded, or left out by name: columns without a value always, then
counts that are 0 in every row, then those that the table says `-o wide` shows. Where
that is not enough, each row becomes a block of `HEADING  value` lines. A pipe has no
width, so each row is one line there.

Hazard: how many cells a character takes is rich's opinion (rich.cells); a terminal may
think otherwise of an emoji.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import ConsoleOptions
from rich.text import Text

from schemas.printable import one_line
from streams.cli.screen.folding import fold, folded, line
from streams.cli.screen.grid_column import NARROWEST, GridColumn

_GAP = 2
# A folded column of words has at least this many cells while columns can be left out;
# NARROWEST when none is left to.
_COMFORTABLE = 32


@dataclass(frozen=True)
class _GridLayout:
    """What fits: columns, the cells of each, and the headings that were left out."""

    columns: Sequence[GridColumn]
    widths: Sequence[int]
    zeros: Sequence[str]
    hidden: Sequence[str]


@dataclass(frozen=True)
class _Trial:
    """A layout to try.

    Attributes:
        columns: that are shown.
        narrowest: cells that a column of words has at least; None: all it needs.
        fold_headings: whether headings may be folded.
    """

    columns: Sequence[GridColumn]
    narrowest: int | None
    fold_headings: bool


class Grid:
    """A table that is printed with `out.print(grid)`, on whatever is there.

    Args:
        headings: of the columns, all different. The first says what a row is about.
        keep: of columns that are shown even where none of their cells has a value.
        zeros: of counts that are left out where all are 0 and the width is scarce; a
            line below names them.
        last: of columns that only `-o wide` shows where the width is scarce, the first
            to go first.
        whole: of columns that are never folded, since their values are typed again.
        wide: whether everything was asked for.
    """

    def __init__(
        self,
        *headings: str,
        keep: Collection[str] = (),
        zeros: Collection[str] = (),
        last: Sequence[str] = (),
        whole: Collection[str] = (),
        wide: bool = False,
    ) -> None:
        self._columns = [GridColumn(one_line(heading)) for heading in headings]
        self._keep = keep
        self._zeros = zeros
        self._last = last
        self._whole = whole
        self._wide = wide

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, with a cell for each heading."""
        for column, cell in zip(self._columns, cells, strict=True):
            column.add(cell)

    def __bool__(self) -> bool:
        """Whether there is a row."""
        return bool(self._columns[0].cells)

    def __rich_console__(self, _console: object, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines, as rich asks for them; none of a table without rows."""
        if not self:
            return
        shown = self._shown()
        layout = self._fit(shown, options.max_width)
        if layout is None:
            yield from _blocks(shown, self._whole, options.max_width)
            return
        yield from _lines(layout)
        for words, headings in (("0 in every row", layout.zeros), ("with -o wide", layout.hidden)):
            if headings:
                for piece in fold(f"{words}: {', '.join(headings)}", options.max_width):
                    yield line(piece)

    def _shown(self) -> list[GridColumn]:
        first, *others = self._columns
        shown = [first]
        for column in others:
            if column.heading in self._keep or not column.is_only("", "-"):
                shown.append(column)
        return shown

    def _fit(self, shown: Sequence[GridColumn], width: int) -> _GridLayout | None:
        """Return the best layout that fits; None where only blocks do."""
        for attempt in self._attempts(shown):
            least = [self._least(column, attempt) for column in attempt.columns]
            spare = width - sum(least) - _GAP * (len(least) - 1)
            if spare >= 0:
                return self._layout(shown, attempt.columns, least, spare)
        return None

    def _layout(
        self,
        shown: Sequence[GridColumn],
        columns: Sequence[GridColumn],
        least: Sequence[int],
        spare: int,
    ) -> _GridLayout:
        most = []
        for low, column in zip(least, columns, strict=True):
            most.append(max(low, column.widest))
        zeros: list[str] = []
        hidden: list[str] = []
        for column in shown:
            if column not in columns:
                left_out = zeros if column.heading in self._zeros else hidden
                left_out.append(column.heading)
        return _GridLayout(columns, _shared(least, most, spare), zeros, hidden)

    def _attempts(self, shown: Sequence[GridColumn]) -> Iterator[_Trial]:
        """Yield the layouts to try, best first."""
        yield _Trial(shown, None, fold_headings=False)
        yield _Trial(shown, None, fold_headings=True)
        some = list(shown)
        if not self._wide:
            some = [column for column in shown if not self._is_zero(column)]
            yield _Trial(some, None, fold_headings=True)
        yield _Trial(some, _COMFORTABLE, fold_headings=True)
        if not self._wide:
            for heading in self._last:
                some = [column for column in some if column.heading != heading]
                yield _Trial(some, _COMFORTABLE, fold_headings=True)
        yield _Trial(some, NARROWEST, fold_headings=True)

    def _is_zero(self, column: GridColumn) -> bool:
        return column.heading in self._zeros and column.is_only("0")

    def _least(self, column: GridColumn, attempt: _Trial) -> int:
        """Return the fewest cells that a column may have in an attempt."""
        heading = column.heading_word if attempt.fold_headings else cell_len(column.heading)
        is_whole = column.heading in self._whole or column.is_figures
        if attempt.narrowest is None or is_whole:
            return max(heading, column.widest)
        if attempt.narrowest == NARROWEST and column.widest <= _COMFORTABLE:
            return max(heading, column.longest_word)
        return max(heading, min(column.widest, attempt.narrowest))


def _shared(least: Sequence[int], most: Sequence[int], spare: int) -> list[int]:
    """Return the cells of each column: spare cells are shared by those that want more."""
    widths = list(least)
    while spare > 0:
        wanting = [i for i, width in enumerate(widths) if width < most[i]]
        if not wanting:
            break
        # Those that want little come first, so that what they leave goes to the others.
        wanting.sort(key=lambda i: most[i] - widths[i])
        for i in wanting[:spare]:
            share = max(spare // len(wanting), 1)
            more = min(share, most[i] - widths[i])
            widths[i] += more
            spare -= more
    return widths


def _lines(layout: _GridLayout) -> Iterator[Text]:
    """Yield the lines of a table that fits."""
    heads = []
    for column, width in zip(layout.columns, layout.widths, strict=True):
        heads.append(folded(Text(column.heading, "bold"), width))
    tallest = _height(heads)
    # Headings stand on the bottom line.
    raised = [[Text()] * (tallest - len(head)) + head for head in heads]
    yield from _rows(layout, raised)
    for row in zip(*[column.cells for column in layout.columns], strict=True):
        cells = []
        for cell, width in zip(row, layout.widths, strict=True):
            cells.append(folded(cell, width))
        yield from _rows(layout, cells)


def _rows(layout: _GridLayout, cells: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """Yield the lines of one row, from the pieces of each of its cells."""
    for number in range(_height(cells)):
        row = line("")
        for i, (column, width) in enumerate(zip(layout.columns, layout.widths, strict=True)):
            piece = cells[i][number] if number < len(cells[i]) else Text()
            room = " " * (width - cell_len(piece.plain))
            row.append(" " * _GAP if i else "")
            if column.is_figures:
                row.append_text(Text.assemble(room, piece))
            else:
                row.append_text(Text.assemble(piece, room))
        row.rstrip()
        yield row


def _height(cells: Sequence[Sequence[Text]]) -> int:
    return max((len(pieces) for pieces in cells), default=0)


def _blocks(columns: Sequence[GridColumn], whole: Collection[str], width: int) -> Iterator[Text]:
    """Yield a line for each value of each row, with an empty line between rows."""
    label = max(cell_len(column.heading) for column in columns) + _GAP
    for number in range(len(columns[0].cells)):
        # A row without its first value goes on with the row before.
        if number and columns[0].cells[number].plain:
            yield line("")
        for column in columns:
            value = column.cells[number]
            room = max(width - label, 2)
            if column.heading in whole:
                room = cell_len(value.plain)
            if value.plain:
                yield from _block(column.heading, label, folded(value, room))


def _block(heading: str, label: int, pieces: Sequence[Text]) -> Iterator[Text]:
    for piece in pieces:
        head = (heading, "bold")
        room = " " * (label - cell_len(heading))
        yield Text.assemble(head, room, piece, no_wrap=True, overflow="ignore")
        heading = ""  # only on the first line
