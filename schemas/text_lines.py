r"""Lines of text from outside, and JSON in them.

Anything else is refused in one sentence with the line's number.

Bytes that are not UTF-8 are refused where they are read. JSON may hold half a character
all the same (`"\ud83d"` without the other half), which neither Postgres nor a model
takes, or be too deep or its numbers too long for Python.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.errors import VectrueError


def is_text(text: str) -> bool:
    """Whether each character is a whole one, so that it can be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines as text, with their ends; a byte order mark before the first is left out.

    Args:
        lines: of a file or a pipe, as they come.
        name: where they come from, for messages.

    Raises:
        VectrueError: one is not UTF-8; with its number, from 1.
    """
    for number, line in enumerate(lines, 1):
        try:
            # Only the first line may begin with a byte order mark; elsewhere it is a character.
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise VectrueError(
                f"line {number} of {name} is not UTF-8", fix="write it in UTF-8"
            ) from error


def read_json(text: str, *, numbers: type[str] | None = None) -> Any:
    """The value of a JSON document.

    Args:
        text: the document.
        numbers: str leaves them as they are written.

    Raises:
        ValueError: it is none, or holds what no text can hold. The message says why in
            a few words, and quotes nothing.
    """
    try:
        value = json.loads(text, parse_int=numbers, parse_float=numbers)
        # Half a character can only come from an escape, so most documents need no second look.
        whole = "\\u" not in text or is_text(json.dumps(value, ensure_ascii=False))
    except json.JSONDecodeError as error:
        # The error holds the document, so it is not chained.
        raise ValueError(error.msg) from None
    except RecursionError:
        raise ValueError("too deep") from None
    # Python limits the digits of an integer that it converts (4,300).
    except ValueError:
        raise ValueError("a number is too long") from None
    if not whole:
        raise ValueError("it holds half a character")
    return value
