"""Durations as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.duration import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("90", 90), (" 2D ", 172_800)],
)
def test_durations_are_read(text: str, expected: float) -> None:
    """Units, several of them, fractions; a bare number is seconds."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 s 3", "1e3", "inf", "nan", "5y", "30s,", "9" * 400])
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
    ("value", "expected"), [(0, "0.0 s"), (12.34, "12.3 s"), (59.96, "1m00s"), (125, "2m05s"), (7800, "2h10m")]
)
def test_durations_are_shown(value: float, expected: str) -> None:
    """One decimal below a minute, then two units; never "60.0 s"."""
    assert show_duration(value) == expected
