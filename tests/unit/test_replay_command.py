"""What `embedsync replay` reads and shows: rates, keys, the bar, the plan's figures."""

import pytest

from connectors.postgres.enumeration import RelationFacts
from schemas.errors import EmbedsyncError
from schemas.replay import Request, ScopeProgress, Survey, parse_rate
from streams import key_lines
from streams.cli.replay_page import figures, short_name, size
from streams.replay_plan import costs

SURVEY = Survey(100, 60, 10, 10, 5, 10, 5, 0, 20.0, 40)


@pytest.mark.parametrize(("text", "rate"), [("200/s", 200.0), ("200", 200.0), ("30/m", 0.5), ("none", None)])
def test_a_rate_is_read_as_people_write_it(text: str, rate: float | None) -> None:
    """Rows per second; `none` lifts the limit."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1/s", "1/week", "1/h"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """One so slow that a row would hold up a rebalance is, too."""
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_keys_are_read_line_by_line() -> None:
    """Values as they stand, JSON strings and arrays; empty lines are left out, numbers keep their digits."""
    lines = ["17\n", "\n", "a b\r\n", '"[x"\n', "[9007199254740993]"]
    assert [key for _, key in key_lines.read(lines, 1, "x")] == [("17",), ("a b",), ("[x",), ("9007199254740993",)]
    assert list(key_lines.read(['["ko", 17]'], 2, "x")) == [(1, ("ko", "17"))]


@pytest.mark.parametrize("line", ["[1", '"', "[1, 2]", "[null]", '[{"a": 1}]', "a\0b"])
def test_a_line_that_is_no_key_is_named(line: str) -> None:
    """The message has the line's number and the file's name."""
    with pytest.raises(EmbedsyncError, match=r"line 2 of keys\.txt"):
        list(key_lines.read(["1", line], 1, "keys.txt"))


def test_the_bar_says_everything_in_one_line() -> None:
    """The line of a run that waits."""
    progress = ScopeProgress(
        "public.questions", "embedding", "running", 1_000_000, True, 1_000_000, 431_204,
        419_200, 0, 12_001, 0, 0, 0, 0, 3, 0, 0, "live lag 41s > 30s",
    )  # fmt: skip
    line = figures(progress, 1912.0)
    counts = "current 12,001  quarantined 3  waiting: live lag 41s > 30s"
    assert line == f"431,204/1,000,000  43%  1,912 rows/s  ETA 4m57s  {counts}"
    assert short_name(progress.table, progress.column) == "questions"


def test_what_a_run_sends_and_embeds_follows_from_the_states() -> None:
    """`all` sends every row and embeds what is not current; `--force` embeds all but the blank ones."""
    asked = [Request("missing"), Request("stale"), Request("all"), Request("all", force=True)]
    assert [(SURVEY.selected(r), SURVEY.to_embed(r)) for r in asked] == [(10, 10), (25, 25), (100, 25), (100, 90)]


def test_the_plan_counts_the_vector_its_toast_and_the_row() -> None:
    """A vector of 1,024 numbers is 4,104 bytes in three pieces; a short one stays in the row."""
    facts = RelationFacts(heap_bytes=100_000, rows=1000, indexes=1, vector_index=False)
    wide, narrow = costs(1024, facts, 1000), costs(64, facts, 1000)
    assert 5400 < wide.disk < 5800  # measured: 5,640
    assert 6100 < wide.wal < 6700  # measured: 6,402
    assert 264 + 220 < narrow.disk < 700


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (17, "17 B"), (1_234_567, "1.2 MB"), (5e11, "500 GB")])
def test_sizes_are_shown_for_people(value: float | None, shown: str) -> None:
    """In steps of 1,000; unknown is `-`."""
    assert size(value) == shown
