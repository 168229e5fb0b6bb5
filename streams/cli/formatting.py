"""How figures are shown to people, in every command: one form of each.

An unknown value is `-`, never 0.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.duration import show_duration
from schemas.sizes import show_size

UNKNOWN = "-"


def number(value: int | None) -> str:
    """Format a count: `1,204,331`."""
    return UNKNOWN if value is None else f"{value:,}"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: `1 problem`, `2 problems`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(value: float | None) -> str:
    """Format a number of bytes in steps of 1,000: `912 MB`."""
    return UNKNOWN if value is None else show_size(value)


def percentage(part: float) -> str:
    """Format a part of 1: `87 %`; below 10 % with two significant digits."""
    percent = 100 * part
    return f"{percent:.2g} %" if percent < 9.95 else f"{percent:.0f} %"


def completion(done: int, total: int) -> str:
    """Format how much is done: `43%`; rounded down, so that 100% is the end."""
    return f"{int(100 * done / total)}%" if total else "0%"


def duration(seconds: float | None) -> str:
    """Format a duration: `0.4 s`, `1m05s`, `2h10m`."""
    return UNKNOWN if seconds is None else show_duration(seconds)


def short_duration(seconds: float) -> str:
    """Format a duration without a space, for a bar: `12s`, `4m57s`."""
    # From here on it would be rounded to `60s`.
    return f"{seconds:.0f}s" if seconds < 59.5 else show_duration(seconds)


def milliseconds(seconds: float) -> str:
    """Format a short duration: `12 ms`."""
    return f"{1000 * seconds:.0f} ms"


def timestamp(moment: datetime | None) -> str:
    """Format an aware time as RFC 3339 in UTC, to the second: `2026-01-31T12:00:00Z`."""
    if moment is None:
        return UNKNOWN
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def key(values: Sequence[str] | None) -> str:
    """Format the values of a row's key: `ko,17`."""
    return ",".join(values) if values else UNKNOWN


def cosine(value: float | None) -> str:
    """Format a cosine similarity with the digits that tell vectors apart: `0.999998`."""
    return UNKNOWN if value is None else f"{value:.6f}"


def heading(name: str) -> str:
    """Return the heading of a column of figures: `STALE-TEXT` for stale_text."""
    return name.upper().replace("_", "-")


def column_name(table: str, column: str) -> str:
    """Return the short name of a vector column: `questions` for public.questions.embedding."""
    name = table.removeprefix("public.")
    return name if column == "embedding" else f"{name}.{column}"
