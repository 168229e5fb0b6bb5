"""The README's tested console session, and the generated table of settings.

`python -m tests.support.readme` writes docs/settings.md anew.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.sections import TableSettings
from schemas.settings import Settings

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
_HEAD = """# Settings

Every setting with its default. Each is set in `embedsync.toml`, by its variable (`EMBEDSYNC_POSTGRES__DSN` is
`postgres.dsn`), or by a flag where a command has one; flags win over variables, variables over the file.
Made from `schemas/sections.py` by `python -m tests.support.readme`; a test keeps it true.

"""


def settings_document() -> str:
    """docs/settings.md as it follows from the code."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for section, field in Settings.model_fields.items():
        model: Any = TableSettings if section == "tables" else field.annotation
        if not issubclass(model, BaseModel):
            raise TypeError(f"section {section} is no model")
        for name, inner in model.model_fields.items():
            default = "" if inner.is_required() else _shown(inner.get_default(call_default_factory=True))
            prefix = "[[tables]]" if section == "tables" else section
            lines.append(f"| `{prefix}.{name}` | {default} | {inner.description} |")
    return _HEAD + "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return "" if value in (None, {}) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def session(text: str) -> list[tuple[str, list[str]]]:
    """Commands of the README's console block, each with the lines it is said to print."""
    block = re.search(r"```console\n(.*?)```", text, re.DOTALL)
    if block is None:
        raise ValueError("README.md has no console block")
    commands: list[tuple[str, list[str]]] = []
    for line in block[1].splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def matches(expected: list[str], printed: str) -> bool:
    """Whether the printed text is as shown: `...` alone stands for any lines, within a line for any characters.

    Runs of spaces count as one, so that a table may be laid out anew.
    """
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
            continue
        words = [re.escape(" ".join(part.split())) for part in line.split("...")]
        pattern += "[^\n]*".join(words) + r"[^\n]*\n"
    squeezed = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
    return re.fullmatch(pattern, squeezed) is not None


if __name__ == "__main__":
    SETTINGS.write_text(settings_document(), encoding="utf-8")
