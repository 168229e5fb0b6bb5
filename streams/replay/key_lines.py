"""Keys that somebody wrote down, one row a line, read as they come and never held
together.

A line is the value of the key column as it stands (`17`, `abc`), or JSON: a string, or
an array with one value per key column (`["ko", 17]`). Empty lines are left out.

Hazard: a key that itself begins with `[` or `"` has to be written as JSON.
"""

from collections.abc import Iterable, Iterator

from schemas.errors import VectrueError
from schemas.rows.table import Key
from schemas.text_lines import read_json

_SHOWN = 40


def read(lines: Iterable[str], columns: int, name: str) -> Iterator[tuple[int, Key]]:
    """The keys with their line numbers, from 1.

    Args:
        lines: with or without their line ends.
        columns: of the primary key.
        name: where the lines come from, for messages.

    Raises:
        VectrueError: a line is no key; the message has its number.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip("\r\n")
        if text.strip():
            yield number, _key(text, columns, f"line {number} of {name}")


def _key(text: str, columns: int, where: str) -> Key:
    value: object = text
    if text.lstrip()[0] in '["':
        try:
            value = read_json(text, numbers=str)
        except ValueError as error:
            raise VectrueError(
                f"{where} is not JSON ({error}): {_short(text)}",
                fix="write a value, or a JSON array",
            ) from error
    parts = tuple(value) if isinstance(value, list) else (value,)
    if len(parts) != columns:
        raise VectrueError(
            f"{where} has {len(parts)} values, the primary key has {columns} columns",
            fix="write a JSON array with one value per key column",
        )
    if not all(isinstance(part, str) and "\0" not in part for part in parts):
        raise VectrueError(
            f"{where} holds a value that is no text or number: {_short(text)}",
            fix="correct the line",
        )
    return tuple(str(part) for part in parts)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
