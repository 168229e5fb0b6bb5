"""Read keys that were written down, one row a line; they are never held together.

A line is the value of the key column as is (`17`, `abc`), or JSON: a string, or an
array with one value per key column (`["ko", 17]`). Empty lines are left out.

Hazard: a key that itself begins with `[` or `"` has to be written as JSON.
"""

from collections.abc import Iterable, Iterator

from schemas.errors import VectrueError
from schemas.rows.table import Key
from schemas.text_lines import read_json

_SHOWN = 40


def read(lines: Iterable[str], columns: int, name: str) -> Iterator[tuple[int, Key]]:
    """Yield the keys with their line numbers, from 1.

    Args:
        lines: with or without their line ends.
        columns: how many the primary key has.
        name: where the lines come from, for messages.

    Raises:
        VectrueError: a line is not a key; the message has its number.
    """
    for number, line in enumerate(lines, 1):
        # The line's end only: spaces may be part of the key.
        text = line.strip("\r\n")
        if text.strip():
            yield number, _key(text, columns, f"line {number} of {name}")


def _key(text: str, columns: int, where: str) -> Key:
    value: object = text
    # A line that begins otherwise is a plain value, not JSON.
    if text.lstrip()[0] in '["':
        try:
            # Numbers stay as written: a float would lose digits of a large key.
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
    key: list[str] = []
    for part in parts:
        # Postgres takes no NUL in a value.
        if not isinstance(part, str) or "\0" in part:
            raise VectrueError(
                f"{where} holds a value that is not a text or number: {_short(text)}",
                fix="correct the line",
            )
        key.append(part)
    return tuple(key)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
