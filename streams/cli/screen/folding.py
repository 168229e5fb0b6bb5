"""Text folded to a width in cells: a Korean character has two, and none is split.

Hazard: a character is what rich calls a grapheme, that is with its marks and joiners.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from rich.cells import cell_len, split_graphemes
from rich.text import Text

# Neither `[0.441 0.580]` nor `1.2 s` is folded at its space.
WORDS = re.compile(r"\[[^\[\]]{1,24}\]\s*|[+-]?\d[\d,.]*\s(?:m?s|[kMGT]?B)\b\S*\s*|\S+\s*|\s+")
_PARTS = re.compile(r"[^-./_,:@=+]*[-./_,:@=+]+\s*|[^-./_,:@=+]+")


def fold(text: str, width: int) -> list[str]:
    """Fold text after a space where it can, then after a sign, then between characters.

    Args:
        text: of one line.
        width: in cells.

    Returns:
        Pieces of at most `width` cells, which make the text again when they are joined.
        A space at the end of a piece may stand beyond the width; a character wider than
        that has a piece to itself.
    """
    if cell_len(text) <= width:
        return [text]
    characters: list[str] = []
    for start, end, _ in split_graphemes(text)[0]:
        characters.append(text[start:end])
    pieces, piece = [], ""
    for part in _parts(characters, width):
        if piece and cell_len((piece + part).rstrip()) > width:
            pieces.append(piece)
            piece = ""
        piece += part
    return [*pieces, piece]


def folded(text: Text, width: int) -> list[Text]:
    """Fold text with styles; the pieces have no spaces at their ends."""
    # A table on a screen that is too narrow may leave a column no cell at all.
    ends = list(accumulate(map(len, fold(text.plain, max(width, 1)))))
    pieces = list(text.divide(ends[:-1]))
    for piece in pieces:
        piece.rstrip()
    return pieces


def line(text: str) -> Text:
    """Return a line that rich neither wraps nor cuts."""
    return Text(text, no_wrap=True, overflow="ignore")


def _parts(characters: Sequence[str], width: int) -> Iterator[str]:
    """Yield words, or parts of words, or characters: the largest that fit the width."""
    for word in _grouped(WORDS, characters):
        if _fits(word, width):
            yield "".join(word)
            continue
        for part in _grouped(_PARTS, word):
            if _fits(part, width):
                yield "".join(part)
            else:
                yield from part


def _grouped(pattern: re.Pattern[str], characters: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the groups of characters that a pattern finds."""
    # The first code point stands for a character, so that a match is never inside one.
    beginnings = "".join(character[0] for character in characters)
    for found in pattern.finditer(beginnings):
        yield characters[found.start() : found.end()]


def _fits(characters: Sequence[str], width: int) -> bool:
    return cell_len("".join(characters).rstrip()) <= width
