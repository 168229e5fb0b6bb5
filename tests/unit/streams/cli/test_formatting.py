"""The one form of each figure."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from typer.testing import CliRunner

from streams.cli import formatting
from streams.cli.main import app


def test_what_is_unknown_is_a_dash() -> None:
    """Never 0, which would be a figure."""
    shown = (
        formatting.number(None),
        formatting.size(None),
        formatting.duration(None),
        formatting.timestamp(None),
        formatting.cosine(None),
        formatting.key(None),
    )
    assert set(shown) == {"-"}


def test_figures() -> None:
    """Thousands, units, digits."""
    assert formatting.number(1_204_331) == "1,204,331"
    assert formatting.counted(1, "problem") == "1 problem"
    assert formatting.counted(2_000, "problem") == "2,000 problems"
    assert formatting.size(912_000_000) == "912 MB"
    assert formatting.duration(59.96) == "1m00s"
    assert formatting.milliseconds(0.0123) == "12 ms"
    assert formatting.cosine(0.999_998) == "0.999998"
    assert formatting.key(("ko", "17")) == "ko,17"
    assert formatting.heading("stale_text") == "STALE-TEXT"


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0.0, "0 %"), (0.0295, "2.9 %"), (0.0996, "10 %"), (0.866, "87 %"), (1.0, "100 %")],
)
def test_percentages(part: float, shown: str) -> None:
    """Small ones with a second digit."""
    assert formatting.percentage(part) == shown


def test_only_the_end_is_a_hundred_percent() -> None:
    """A run that is nearly done is not done."""
    assert formatting.completion(999, 1_000) == "99%"
    assert formatting.completion(1_000, 1_000) == "100%"
    assert formatting.completion(0, 0) == "0%"


def test_times_are_in_utc() -> None:
    """Whatever the zone of the server."""
    moment = datetime(2026, 1, 31, 21, 0, 0, 123, timezone(timedelta(hours=9)))
    assert formatting.timestamp(moment) == "2026-01-31T12:00:00Z"
    assert formatting.timestamp(moment.astimezone(UTC)) == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("command", "arguments", "choices"),
    [
        ("replay", ["run", "--only"], ("missing", "stale", "all")),
        ("dlq", ["list", "--kind"], ("event", "row")),
        ("worker", ["--role"], ("live", "replay")),
        ("status", ["--output"], ("table", "wide", "json")),
    ],
)
def test_a_wrong_choice_is_answered_with_the_choices(
    command: str, arguments: list[str], choices: tuple[str, ...]
) -> None:
    """A usage error; help and completion list them too."""
    done = CliRunner().invoke(app, [command, *arguments, "other"])
    assert done.exit_code == 2
    for choice in choices:
        assert f"'{choice}'" in done.output
