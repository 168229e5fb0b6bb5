"""How two readings of the settings differ, by the names of what changed.

A value is never told: it may be a secret.

Pure. Only what workers use counts: `score`, `serve` and `quality` are other programs'
settings.
"""

from collections.abc import Iterator

from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings

_OF_WORKERS = (
    "model",
    "postgres",
    "kafka",
    "connect",
    "live",
    "replay",
    "keeper",
    "canary",
    "dead_letters",
    "watchdog",
    "metrics",
    "log",
)
# Only `init` and commands connect with it; a worker never does.
_OF_OTHERS = ("postgres.admin_dsn",)
# What `init` must prepare before workers can work with it.
_OF_INIT = ("table ", "text of ", "model.", "postgres.", "kafka.", "connect.")


def changes(before: Settings, after: Settings) -> list[str]:
    """What differs, as an operator would name it.

    `table public.x was added`, `text of public.x`, `live.linger_ms`.
    """
    return [*_tables(before, after), *_sections(before, after)]


def advice(changed: list[str]) -> str:
    """What makes workers take these changes."""
    if not any(name.startswith(_OF_INIT) for name in changed):
        return "start the workers again"
    if all(_is_taken_up(name) for name in changed):
        return "vectrue init, after which the workers restart with it"
    return "vectrue init, then start the workers again"


def _is_taken_up(name: str) -> bool:
    """Whether workers restart themselves for it, once `init` has run."""
    return name.startswith(("table ", "text of ", "model.")) and "removed" not in name


def is_model_alone(changed: list[str]) -> bool:
    """Whether only the model is another one, which `migrate finish` asks for."""
    return bool(changed) and all(name.startswith("model.") for name in changed)


def _tables(before: Settings, after: Settings) -> Iterator[str]:
    old, new = _by_column(before), _by_column(after)
    for place, table in new.items():
        if place not in old:
            yield f"table {place} was added"
        elif table.text != old[place].text:
            yield f"text of {place}"
    for place in old:
        if place not in new:
            yield f"table {place} was removed"


def _by_column(settings: Settings) -> dict[str, TableSettings]:
    """By table, and by table and column where one table has several."""
    names = [table.name for table in settings.tables]
    found: dict[str, TableSettings] = {}
    for table in settings.tables:
        alone = names.count(table.name) == 1
        found[table.name if alone else f"{table.name}.{table.column}"] = table
    return found


def _sections(before: Settings, after: Settings) -> Iterator[str]:
    for section in _OF_WORKERS:
        old, new = getattr(before, section), getattr(after, section)
        for field in type(old).model_fields:
            name = f"{section}.{field}"
            if getattr(old, field) != getattr(new, field) and name not in _OF_OTHERS:
                yield name
