"""Durations and times as people write and read them.

`30s`, `5m`, `1h30m` in; `12.3 s`, `1m05s` out.

Hazard: a time without a zone is in UTC, as every time that vectrue prints, wherever the
operator sits.
"""

import math
import re
from datetime import UTC, datetime, timedelta

# In seconds.
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# In characters.
_SHOWN = 40
_TIMES = "write it as 1h or 2d (ago), 2026-01-31, 2026-01-31T12:00 (UTC) or 2026-01-31T12:00+09:00"
# The clocks of two machines differ by as much: a time is in the future only beyond it.
_SKEW = timedelta(minutes=1)
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
    # findall skips what it does not know, so the parts must add up to the whole text.
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    return _finite(sum(float(number) * _UNITS[unit] for number, unit in parts), text)


def parse_past(text: str, now: datetime) -> datetime:
    """Read a time that is over: so long ago, or a date or time; without a zone in UTC.

    Args:
        text: `1h`, `1h30m`, `2026-01-31`, `2026-01-31T12:00:00+09:00`. A bare number is
            neither: a year would be one.
        now: aware.

    Returns:
        aware, in UTC; of a duration to the second.

    Raises:
        ValueError: it is not a time, or lies in the future; the message shows how to write one.
    """
    written = text.strip()
    shown = repr(written if len(written) <= _SHOWN else f"{written[:_SHOWN]}...")
    # A bare number would be read as seconds, though its writer may have meant a year.
    if written.isdigit():
        raise ValueError(f"{shown} is neither a duration nor a time: {_TIMES}")
    try:
        time = _past(written, now)
    except OverflowError as error:
        raise ValueError(f"{shown} is before all dates: {_TIMES}") from error
    except ValueError as error:
        raise ValueError(f"{shown} is neither a duration nor a time: {_TIMES}") from error
    if time > now + _SKEW:
        raise ValueError(f"{shown} lies in the future: {_TIMES}")
    return time


def _past(written: str, now: datetime) -> datetime:
    try:
        seconds = parse_duration(written)
    except ValueError:
        time = datetime.fromisoformat(written)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    return (now.astimezone(UTC) - timedelta(seconds=seconds)).replace(microsecond=0)


def show_duration(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `1m05s`, `2h10m`."""
    # Above it `60.0 s` would be printed.
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def _finite(seconds: float, text: str) -> float:
    # A float of hundreds of digits is read as infinity, without an error.
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is too long")
    return seconds


def rfc3339(moment: datetime) -> str:
    """A time as JSON has it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
