r"""Text from outside, as it may be shown to people.

What would command a terminal is written out, an escape as `\x1b`.

Rows, keys, names, settings and whatever a server says may hold escape sequences, which
move the cursor, rename the window or fill the clipboard, and marks that turn the
direction of what follows. Everything that is printed or logged passes through here, in
streams/cli/screen/output.py and streams/common/logs.py.

Hazard: written out, not left out, so that no text is taken for another one. A text
that has the backslash in it already looks the same.
"""

import json
import re
from typing import Any

# C0 and C1 but tab and line feed, the bidirectional controls and other marks of that
# block, the separators of lines and paragraphs, half characters.
_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with each control character written out; tabs and line feeds stay."""
    return _COMMANDS.sub(_written, text)


def one_line(text: str) -> str:
    r"""The same on one line: with `\n` for a line feed no text looks like two messages."""
    return visible(text).replace("\n", "\\n")


def beginning(text: str, most: int = 100) -> str:
    """A text on one line, cut after so many characters.

    What is cut ends with a mark that more follows.
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"


def json_text(data: Any, **options: Any) -> str:
    r"""A JSON document of the same value, with these characters as `\u009b`.

    Everything else stays readable.

    Args:
        data: what json.dumps takes; half characters as well.
        options: of json.dumps.
    """
    # JSON without ASCII escapes leaves the C1 controls and the bidirectional marks as they are.
    return _COMMANDS.sub(_escaped, json.dumps(data, **{"ensure_ascii": False, **options}))


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
