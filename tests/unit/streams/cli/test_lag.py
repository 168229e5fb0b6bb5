"""`vectrue lag`: what it prints, and what `--check` exits with."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from schemas.errors import ConfigurationError
from schemas.health.lag import GroupLag, Member, PartitionLag, Status
from schemas.health.lag_findings import LagThresholds
from schemas.health.lag_report import LagReport
from schemas.settings.reading import Settings
from streams.cli import lag as command
from streams.operations.lag import LagMonitor
from tests.support.lag import CASES, TOPIC, group, report, row

SETTINGS = Settings()
Invoke = Callable[..., Any]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command over a prepared report, or an error."""

    def run(*arguments: str, seen: LagReport | Exception | None = None) -> Any:
        def collect(settings: Settings, *, thresholds: LagThresholds) -> LagReport:
            if isinstance(seen, Exception):
                raise seen
            return replace(seen or report(), thresholds=thresholds)

        app = typer.Typer()
        monkeypatch.setattr(command, "collect", collect)

        @app.callback()
        def options(ctx: typer.Context) -> None:
            ctx.obj = lambda: SETTINGS

        app.command(cls=command.LagCommand)(command.lag)
        return CliRunner().invoke(app, ["lag", *arguments])

    return run


@pytest.mark.parametrize(("parts", "code", "words"), CASES)
def test_check_exits_as_a_plugin(
    invoke: Invoke, parts: Mapping[str, Any], code: int, words: str
) -> None:
    """`--check`: the severity's exit code, the state on the first line."""
    result = invoke("--check", seen=report(**parts))
    assert result.exit_code == code
    state = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}[code]
    assert result.stdout.startswith(f"LAG {state} - ")


def test_check_uses_its_thresholds(invoke: Invoke) -> None:
    """The same lag is OK, WARNING or CRITICAL by --warn and --crit, which take units."""
    seen = report(live=group(row(5, 9, age=90.0)))
    assert invoke("--check", "--warn", "2m", seen=seen).exit_code == 0
    assert invoke("--check", "--warn", "90", seen=seen).exit_code == 1
    result = invoke("--check", "--warn=500ms", "--crit", "1m30s", seen=seen)
    assert result.exit_code == 2
    assert "time_lag=90s;0.5;90" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--nonsense",), ("--warn", "soon"), ("--warn", "10m"), ("-w",), ("-o", "yaml"), ("extra",)],
)
def test_usage_errors_of_a_check_are_unknown(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    """Misuse is 3 with --check, never 2, which would page somebody; without it, usage
    errors are 2 as elsewhere.
    """
    result = invoke("--check", *arguments)
    assert result.exit_code == 3
    assert result.stdout.startswith("LAG UNKNOWN - ")
    if arguments != ("-w",):
        assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "error", [ConfigurationError("wrong password"), RuntimeError("a fault of ours")]
)
def test_faults_of_a_check_are_unknown(invoke: Invoke, error: Exception) -> None:
    """Configuration and internal faults are 3: Python's own exit code 1 would read as
    WARNING.
    """
    result = invoke("--check", seen=error)
    assert result.exit_code == 3
    assert result.stdout == f"LAG UNKNOWN - {error}\n"


def test_json_on_stdout(invoke: Invoke) -> None:
    """`-o json` prints one document and nothing else, with --check too, whose exit code
    stays.
    """
    seen = report(live=group(row(5, 9, age=400.0)))
    plain, checked = invoke("-o", "json", seen=seen), invoke("--check", "-o", "json", seen=seen)
    assert json.loads(plain.stdout) == json.loads(checked.stdout) == seen.to_json()
    assert (plain.exit_code, checked.exit_code) == (0, 2)


def test_table_shows_unknown_as_a_dash(invoke: Invoke) -> None:
    """The verdict is the first line; columns as Kafka's tools have them; no commit is
    `-` with what is pending.
    """
    result = invoke(
        seen=report(
            live=group(row(5, 1239, age=12.3), row(None, 7, age=2.0, status=Status.NO_COMMIT))
        )
    )
    lines = result.stdout.splitlines()
    assert lines[0].startswith("live: 1,234 events behind, 7 events never committed, oldest 12.3 s")
    header = next(line for line in lines if "CURRENT-OFFSET" in line)
    assert header.split()[:6] == [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-START-OFFSET",
        "LOG-END-OFFSET",
    ]
    at = lines.index(header)
    assert lines[at + 1].split() == [
        "vectrue-live",
        TOPIC,
        "0",
        "5",
        "0",
        "1,239",
        "1,234",
        "12.3",
        "s",
        "OK",
    ]
    assert (
        lines[at + 2].split()
        == f"vectrue-live {TOPIC} 0 - 0 7 - 2.0 s NO_COMMIT (7 pending)".split()
    )


def test_wide_names_the_readers_and_errors_have_a_column(invoke: Invoke) -> None:
    """The member's ids only with -o wide; ERROR only where there is one; brackets in a
    name are no markup.
    """
    member = Member("c-1", "10.0.0.1", "faust")
    seen = report(
        live=group(
            row(5, 5, age=0.0, member=member), PartitionLag("t", None, error="t[1] is [red]gone")
        )
    )
    plain, wide = invoke(seen=seen).stdout, invoke("-o", "wide", seen=seen).stdout
    assert "CONSUMER-ID" not in plain
    assert "c-1" not in plain
    assert "CONSUMER-ID" in wide
    assert "10.0.0.1" in wide
    assert plain.count("t[1] is [red]gone") == 2
    assert "ERROR" not in invoke().stdout


def test_kafka_away_exits_1_and_shows_the_rest(invoke: Invoke) -> None:
    """The command has nothing to say of the lanes, but slot and connector are shown."""
    seen = report(
        kafka_error="Kafka does not answer at k:1", live=GroupLag("l"), replay=GroupLag("r")
    )
    result = invoke(seen=seen)
    assert result.exit_code == 1
    assert "Kafka does not answer at k:1" in result.stdout
    assert "vectrue-postgres" in result.stdout


def test_watch_needs_no_number(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-w` alone is every 2 s; `-w 5`, `--watch=1m` and a following option are read as
    meant.
    """
    seen: list[float] = []
    monkeypatch.setattr(command, "_watch", lambda *arguments: seen.append(arguments[-1]))
    for arguments in (
        ["-w"],
        ["-w", "5"],
        ["--watch=1m"],
        ["--watch", "-o", "json"],
        ["-w", "500ms", "-o", "wide"],
    ):
        assert invoke(*arguments).exit_code == 0, arguments
    assert seen == [2.0, 5.0, 60.0, 2.0, 0.5]


def test_watch_prints_a_line_per_sample_until_ctrl_c(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -o json each sample is one line; Ctrl-C is the ordinary end, exit 0."""

    class Monitor(LagMonitor):
        def __init__(self, *_: Any, **__: Any) -> None:
            self.left = 3

        def sample(self) -> LagReport:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return report()

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(command, "LagMonitor", Monitor)
    result = invoke("-o", "json", "-w", "0")
    assert result.exit_code == 0
    assert [json.loads(line)["verdict"] for line in result.stdout.splitlines()] == [
        "all caught up"
    ] * 3
