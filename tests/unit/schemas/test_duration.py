"""Durations and times as people write and read them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.duration import parse_duration, parse_past, show_duration

NOW = datetime(2026, 6, 1, 12, 0, 30, 250_000, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("90", 90),
        (" 2D ", 172_800),
    ],
)
def test_durations_are_read(text: str, expected: float) -> None:
    """Units, several of them, fractions; a bare number is seconds."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "-5s", "5 s 3", "1e3", "inf", "nan", "5y", "30s,", "9" * 400]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows the text, or says that it is too long."""
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """No text leads to another exception or a negative number."""
    try:
        assert parse_duration(text) >= 0
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h", "2026-06-01T11:00:30Z"),
        ("90m", "2026-06-01T10:30:30Z"),
        ("2d", "2026-05-30T12:00:30Z"),
        ("1h30m", "2026-06-01T10:30:30Z"),
        ("0s", "2026-06-01T12:00:30Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T12:00", "2026-01-31T12:00:00Z"),
        (" 2026-01-31 12:00:01 ", "2026-01-31T12:00:01Z"),
        ("2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123456Z"),
        ("2026-01-31T12:00+09:00", "2026-01-31T03:00:00Z"),
        # within what two clocks may differ by
        ("2026-06-01T12:01:00Z", "2026-06-01T12:01:00Z"),
    ],
)
def test_a_time_that_is_over_is_read(text: str, expected: str) -> None:
    """So long ago, a date, a time; without a zone in UTC, as vectrue prints times."""
    assert parse_past(text, NOW) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "90",
        "2026",
        "20260131",
        "-1h",
        "1y",
        "2026-13-01",
        "2026-02-30",
        "12:00",
        "2026-01-31T25:00",
        "2027-01-01",
        "2026-06-01T12:02:00Z",
        "999999999d",
        "9" * 400 + "s",
        "0001-01-01T00:00+14:00",
        "x" * 500,
    ],
)
def test_what_is_no_time_that_is_over_is_refused(text: str) -> None:
    """One sentence with examples; a bare number is no time, since it might be a year;
    nor is one to come.
    """
    with pytest.raises(ValueError, match="write it as 1h or 2d") as refused:
        parse_past(text, NOW)
    assert len(str(refused.value)) < 200


@given(st.text(max_size=24))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """No text leads to another exception."""
    try:
        assert parse_past(text, NOW).tzinfo is UTC
    except ValueError:
        return


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0.0 s"), (12.34, "12.3 s"), (59.96, "1m00s"), (125, "2m05s"), (7800, "2h10m")],
)
def test_durations_are_shown(value: float, expected: str) -> None:
    """One decimal below a minute, then two units; never "60.0 s"."""
    assert show_duration(value) == expected
