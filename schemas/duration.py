"""Durations as people write and read them: `30s`, `5m`, `1h30m` in; `12.3 s`, `1m05s` out."""

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}  # seconds
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Read a duration; a bare number is in seconds.

    Args:
        text: `30s`, `1.5h`, `1h30m`, `250ms`, `90`.

    Returns:
        seconds, finite and not negative.

    Raises:
        ValueError: it is not a duration; the message shows how to write one.
    """
    written = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", written):
        return _finite(float(written), text)
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    return _finite(sum(float(number) * _UNITS[unit] for number, unit in parts), text)


def show_duration(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `1m05s`, `2h10m`."""
    if seconds < 59.95:  # what rounds to less than "60.0 s"
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def _finite(seconds: float, text: str) -> float:
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is too long")
    return seconds
