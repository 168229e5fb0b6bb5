"""The generated table of settings: `python -m tests.support.readme` writes
docs/settings.md again.
"""

from typing import Any

from pydantic import BaseModel

from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings
from tests.support.root import ROOT

README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
_HEAD = """# Settings

Every setting with its default. \
Set it in `vectrue.toml`, by its variable (`VECTRUE_POSTGRES__DSN` is
`postgres.dsn`), or by a flag if a command has one. \
Flags win over variables, variables over the file.
`python -m tests.support.readme` writes this page from the code, and a test compares them.

"""


def settings_document() -> str:
    """docs/settings.md as it follows from the code."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for section, field in Settings.model_fields.items():
        model: Any = TableSettings if section == "tables" else field.annotation
        if not issubclass(model, BaseModel):
            raise TypeError(f"section {section} is no model")
        for name, inner in model.model_fields.items():
            default = (
                "" if inner.is_required() else _shown(inner.get_default(call_default_factory=True))
            )
            prefix = "[[tables]]" if section == "tables" else section
            lines.append(f"| `{prefix}.{name}` | {default} | {inner.description} |")
    return _HEAD + "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return (
        ""
        if value in (None, "", {})
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )


if __name__ == "__main__":
    SETTINGS.write_text(settings_document(), encoding="utf-8")
