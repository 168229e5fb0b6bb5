"""What `vectrue replay` reads and shows: rates, keys, the bar, its options."""

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import typer

from connectors.twins.memory import MemoryClock
from schemas.duration import parse_past
from schemas.errors import TransientError, VectrueError
from schemas.reports.replay import Request, Run, ScopeProgress, parse_rate
from streams.cli.data import replay_options as options
from streams.cli.data.replay_options import RowChoice
from streams.cli.formatting import column_name
from streams.cli.screen import replay_progress
from streams.cli.screen.replay_page import rate_limit, show_statuses
from streams.cli.screen.replay_plan_page import show_since
from streams.cli.screen.replay_progress import RunProgress, figures
from streams.replay import key_lines
from streams.replay.control import RunStatus
from tests.support.screens.drawing import drawn

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)


def handled(column: str = "embedding", **counts: int) -> ScopeProgress:
    """A column of a run that is done, by what became of its rows; `left` were not come
    to.
    """
    left, names = counts.pop("left", 0), list(ScopeProgress.__slots__)
    done = sum(counts.values())
    became: dict[str, Any] = dict.fromkeys(names[7:17], 0) | counts
    return ScopeProgress(
        "public.events", column, "done", done + left, True, done + left, done, **became
    )


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("200/s", 200.0),
        ("200", 200.0),
        ("30/m", 0.5),
        ("none", None),
        (" OFF ", None),
        ("3600/h", 1.0),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, rate: float | None) -> None:
    """Rows per second; `none` lifts the limit."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1/s", "1/week", "1/h", "9" * 400, "inf", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """One so slow that a row would hold up a rebalance is, too."""
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_keys_are_read_line_by_line() -> None:
    """Values as they stand, JSON strings and arrays; empty lines are left out, numbers
    keep their digits.
    """
    lines = ["17\n", "\n", "a b\r\n", '"[x"\n', "[9007199254740993]"]
    assert [key for _, key in key_lines.read(lines, 1, "x")] == [
        ("17",),
        ("a b",),
        ("[x",),
        ("9007199254740993",),
    ]
    assert list(key_lines.read(['["ko", 17]'], 2, "x")) == [(1, ("ko", "17"))]


@pytest.mark.parametrize("line", ["[1", '"', "[1, 2]", "[null]", '[{"a": 1}]', "a\0b"])
def test_a_line_that_is_no_key_is_named(line: str) -> None:
    """The message has the line's number and the file's name."""
    with pytest.raises(VectrueError, match=r"line 2 of keys\.txt"):
        list(key_lines.read(["1", line], 1, "keys.txt"))


def test_the_bar_says_everything_in_one_line() -> None:
    """The line of a run that waits."""
    progress = ScopeProgress(
        "public.questions",
        "embedding",
        "running",
        1_000_000,
        True,
        1_000_000,
        431_204,
        419_200,
        0,
        12_001,
        0,
        0,
        0,
        0,
        3,
        0,
        0,
        "live lag 41s > 30s",
    )
    line = figures(progress, 1912.0)
    counts = "current 12,001  quarantined 3  waiting: live lag 41s > 30s"
    assert line == f"431,204/1,000,000  43%  1,912 rows/s  {counts}"
    assert column_name(progress.table, progress.column) == "questions"
    going = figures(replace(progress, waiting=None), 1912.0)
    assert going == "431,204/1,000,000  43%  1,912 rows/s  ETA 4m57s  current 12,001  quarantined 3"


def test_why_a_run_waits_is_said_once() -> None:
    """Not with each of its tables; and no time that has just begun."""
    scopes = [
        replace(
            handled(embedded=3, left=6),
            table=f"public.{name}",
            state="running",
            waiting="live lag 8s > 5s",
        )
        for name in "abcd"
    ]
    for seconds, said in (
        (0.2, "waiting: live lag 8s > 5s"),
        (41.0, "waiting for 41s: live lag 8s > 5s"),
    ):
        run = Run(UUID(int=1), "running", NOW, None, "live lag 8s > 5s", seconds, (), Request())
        with drawn(None) as written:
            show_statuses([RunStatus(run, tuple(scopes), {None: 9.0})])
        assert written.getvalue().count("live lag") == 1
        assert f"{said}\n" in written.getvalue()
        assert "ETA" not in written.getvalue()
    with drawn(None) as written, RunProgress(lambda: 1) as bars:
        bars.show(scopes)
    assert written.getvalue().count("waiting: live lag 8s > 5s") == 1


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (None, "nothing moves, and Kafka does not say"),
        (0, "no replay worker has joined its group .* vectrue worker --role replay"),
        (1, "nothing moves yet, though a replay worker is at work"),
        (3, "nothing moves yet, though 3 replay workers are at work"),
    ],
)
def test_of_a_run_that_does_not_move_it_is_said_who_works(
    workers: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka is asked, once; nobody is told to start what runs already."""
    clock, asked = MemoryClock(), []

    def ask() -> int | None:
        asked.append(workers)
        if workers is None:
            raise TransientError("no broker answers")
        return workers

    monkeypatch.setattr(replay_progress, "SystemClock", lambda: clock)
    scope = replace(handled(embedded=3, left=6), state="running")
    with drawn(None) as written, RunProgress(ask) as bars:
        for _ in range(60):
            bars.show([scope])
            clock.advance(1.0)
    assert asked == [workers]
    assert re.search(said, written.getvalue())
    assert ("--role replay" in written.getvalue()) is (workers == 0)


def test_since_says_on_which_side_of_the_time_the_rows_are() -> None:
    """`--since 1h` is about old vectors, where whoever reads the word alone expects the
    last hour.
    """
    with drawn(None) as written:
        show_since(parse_past("1h", NOW), NOW)
    said = (
        "only rows whose vector was last written more than 1h00m ago, before 2026-01-31T11:00:00Z\n"
    )
    assert written.getvalue() == said


@pytest.mark.parametrize(
    ("state", "says"), [("running", "is not finished"), ("paused", "is paused")]
)
def test_the_command_that_goes_on_with_a_run_is_one_that_works(state: str, says: str) -> None:
    """A paused run is taken up by `resume` alone, whatever rows it is about."""
    run = Run(UUID(int=1), state, NOW, None, None, None, ("public.a.embedding",), Request())
    assert run.standing == says
    assert (
        run.go_on
        == f"vectrue replay {'run --only stale' if state == 'running' else f'resume {run.run}'}"
    )


@pytest.mark.parametrize(
    ("state", "done", "total", "enumerated", "rate", "shown"),
    [
        ("running", 0, 1000, True, 250.0, "0/1,000  0%"),
        ("running", 0, 1000, True, None, "0/1,000  0%"),
        ("running", 10, 1000, True, None, "10/1,000  1%"),
        ("paused", 500, 1000, True, 250.0, "500/1,000  50%  paused"),
        ("cancelled", 500, 1000, True, 250.0, "500/1,000  50%  cancelled"),
        ("done", 1000, 1000, True, 250.0, "1,000/1,000  100%"),
        ("running", 1000, 1000, True, 250.0, "1,000/1,000  100%  250 rows/s"),
        ("planned", 0, 0, False, None, "0/0  0%  enumerated 0  planned"),
    ],
)
def test_a_rate_is_shown_of_what_moves_only(
    state: str, done: int, total: int, enumerated: bool, rate: float | None, shown: str
) -> None:
    """A column at 0 %, a run that stands and one that has ended have neither a rate nor
    an ETA.
    """
    counts = (total, enumerated, total, done, done, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert figures(ScopeProgress("public.questions", "embedding", state, *counts), rate) == shown


def test_each_column_has_its_own_speed() -> None:
    """And none is more than the run may; what is not known, or stands, has no ETA."""
    begun = ScopeProgress(
        "public.a", "embedding", "running", 100, True, 100, 40, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0
    )
    waits = replace(begun, table="public.b", done=0, embedded=0)
    speeds = {None: 30.0, "public.a.embedding": 30.0}
    run = Run(UUID(int=1), "running", NOW, None, None, None, (), Request())
    status = RunStatus(run, (begun, waits), speeds)
    assert (status.speed_of(begun), status.speed_of(waits), status.eta_seconds) == (
        30.0,
        None,
        160 / 30,
    )
    limited = replace(status, run=replace(run, request=Request(rate=2.0)))
    assert (limited.speed, limited.speed_of(begun), limited.eta_seconds) == (2.0, 2.0, 80.0)
    assert replace(status, speeds={}).eta_seconds is None
    assert replace(status, run=replace(run, state="paused")).eta_seconds is None


def test_run_and_set_take_limits_in_one_notation() -> None:
    """As an option of `run`, as one of `set`, as `name=value`: the same words are the
    same limit.
    """
    for rate, lag in (
        ("50", "1m"),
        ("50/s", "60s"),
        ("3000/m", "60"),
        ("none", "off"),
        ("off", "NONE"),
    ):
        asked = options.request(None, None, None, False, None, rate, lag, None)
        expected = {"rate": asked.rate, "max_live_lag": asked.max_live_lag}
        assert expected == (
            {"rate": None, "max_live_lag": None}
            if "o" in rate
            else {"rate": 50, "max_live_lag": 60}
        )
        assert options.limits([], rate, lag) == expected
        assert options.limits([f"rate={rate}", f"max-live-lag={lag}"], None, None) == expected
    assert (rate_limit(50.0), rate_limit(0.25), rate_limit(1234567.0)) == (
        "at most 50 rows/s",
        "at most 0.25 rows/s",
        "at most 1,234,567 rows/s",
    )


@pytest.mark.parametrize(
    ("values", "rate", "says"),
    [
        ([], None, "nothing to set"),
        (["speed=1"], None, "neither rate"),
        (["rate=fast"], None, "200/s, 200, 30/m or none"),
        (["rate=1", "rate=2"], None, "given twice"),
        (["rate=1"], "2", "given twice"),
        (["max-live-lag=0"], None, "more than 0"),
    ],
)
def test_what_set_does_not_understand_is_refused(
    values: list[str], rate: str | None, says: str
) -> None:
    """One sentence, before anything is changed."""
    with pytest.raises(typer.BadParameter, match=says):
        options.limits(values, rate, None)


@pytest.mark.parametrize(
    "beside", [(RowChoice.ALL, None, None), (None, "true", None), (None, None, "1h")]
)
def test_keys_name_the_rows_alone(beside: tuple[RowChoice | None, str | None, str | None]) -> None:
    """What would be ignored beside --keys is refused, --only too."""
    with pytest.raises(typer.BadParameter, match="names the rows already"):
        options.request(*beside, False, "keys.txt", None, None, None)


@pytest.mark.parametrize(
    "where", ["a = 1", "\"Name\" = 'x'", "a = '$HOME'", "a = '`ls`'", "a ~ '\\d'", "a = '!'"]
)
def test_the_options_shown_can_be_typed(where: str) -> None:
    """A shell takes the condition as it stands; the time is the one that was meant, to
    the microsecond.
    """
    request = Request("all", where, NOW)
    words = shlex.split(request.options)
    assert words[words.index("--where") + 1] == where
    assert parse_past(words[words.index("--since") + 1], NOW) == NOW
