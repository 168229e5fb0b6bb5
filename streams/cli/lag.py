"""`vectrue lag`: how far behind everything is. Arguments and printing only.

Hazard: `--check` follows the rules of monitoring plugins, not those of the other
commands: a usage error there is UNKNOWN (3), since 2 would read as CRITICAL. LagCommand
sees to that, so it has to be the command's class.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, cast

import typer
from rich.console import Group
from rich.live import Live
from typer.core import TyperCommand

from connectors.clock import SystemClock
from schemas.errors import VectrueError
from schemas.health.lag_findings import LagThresholds
from schemas.health.lag_report import LagReport, plugin_line
from schemas.health.severity import Severity
from schemas.settings.reading import Settings
from streams.cli.arguments import seconds
from streams.cli.screen import lag_page
from streams.cli.screen.output import Format, Screen, err, out, print_json
from streams.operations.lag import LagMonitor, collect

# click's UsageError, reached through typer, which bundles a copy of click.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])

WATCH_SECONDS = "2s"


class LagCommand(TyperCommand):
    """Allows `--watch` without a number; under `--check` every usage error is UNKNOWN."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            return super().parse_args(ctx, _complete_watch(args))
        except _UsageError as error:
            _unknown_if(error, check="--check" in args)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        # A check that fails by its own fault is UNKNOWN; Python would exit 1, WARNING.
        except Exception as error:
            _unknown_if(error, check=ctx.params.get("check", False))
            raise


def lag(
    ctx: typer.Context,
    output: Annotated[
        Format,
        typer.Option(
            "--output", "-o", help="table; wide adds who reads each partition; json for scripts"
        ),
    ] = Format.TABLE,
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch",
            "-w",
            metavar="[SECONDS]",
            parser=seconds,
            help=(
                "show it again every SECONDS (2s by default) until Ctrl-C; with -o json one "
                "object per line"
            ),
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="one line and an exit code, like monitoring plugins: 0 1 2 3"),
    ] = False,
    warn: Annotated[
        float,
        typer.Option(
            metavar="DURATION", parser=seconds, help="age of the oldest event that is a WARNING"
        ),
    ] = cast("float", "30s"),
    crit: Annotated[
        float,
        typer.Option(
            metavar="DURATION", parser=seconds, help="age of the oldest event that is CRITICAL"
        ),
    ] = cast("float", "5m"),
) -> None:
    """Show how far behind everything is: slot, connector, live lane, replay lane. It
    asks the servers, not the workers.

    The first line names the worst hop in words. LAG counts events that are not
    processed yet; TIME-LAG is the age of the oldest of them, counted from its commit in
    the database. `-` means unknown, never zero.

    STATUS: OK; NO_COMMIT no one has read this partition yet; LOST events expired before
    they were read; STOP no one reads, and more than noise waits; ERROR the figures could
    not be read. With --watch also STALL (commits do not move), REWIND (commits went
    back) and WARN (the lag only grows), judged over the last 5 minutes.

    Exit code: 0 if Kafka answered, 1 if not (slot and connector are shown anyway). With
    --check: 0 OK, 1 WARNING, 2 CRITICAL (also if Kafka, Postgres or Connect does not
    answer), 3 UNKNOWN.

    For example:

        vectrue lag -w
        vectrue lag -o json
        vectrue lag --check --warn 30s --crit 5m
    """
    if check and watch is not None:
        raise typer.BadParameter("--check looks once: leave --watch out")
    if warn > crit:
        raise typer.BadParameter("--warn is later than --crit")
    thresholds = LagThresholds(warn, crit)
    if check:
        raise typer.Exit(_check(ctx.obj, thresholds, output))
    if watch is not None:
        _watch(ctx.obj(), thresholds, output, watch)
        return
    report = collect(ctx.obj(), thresholds=thresholds)
    _print(report, output)
    if report.kafka_error is not None:
        raise typer.Exit(1)


def _check(settings: Callable[[], Settings], thresholds: LagThresholds, output: Format) -> int:
    try:
        report = collect(settings(), thresholds=thresholds)
    except VectrueError as error:
        out.print(plugin_line(Severity.UNKNOWN, str(error)))
        return Severity.UNKNOWN.exit_code
    if output is Format.JSON:
        print_json(report.to_json())
    else:
        for line in report.plugin_lines():
            out.print(line)
    return report.severity.exit_code


def _watch(settings: Settings, thresholds: LagThresholds, output: Format, every: float) -> None:
    """Show reports until Ctrl-C, which is the ordinary end."""
    clock = SystemClock()
    try:
        with (
            LagMonitor(settings, thresholds=thresholds, clock=clock) as monitor,
            _display(output) as show,
        ):
            while True:
                show(monitor.sample())
                clock.wait(every)
    except KeyboardInterrupt:
        return


@contextmanager
def _display(output: Format) -> Iterator[Callable[[LagReport], None]]:
    """Yield how a watch shows a report: redrawn on a terminal, else one after another."""
    screen = Screen()
    if output is Format.JSON:
        yield _print_line
    elif not screen.is_terminal:
        yield lambda report: _print(report, output)
    else:
        with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:

            def redraw(report: LagReport) -> None:
                page = lag_page.page(report, wide=output is Format.WIDE)
                live.update(Group(*page), refresh=True)

            yield redraw


def _print_line(report: LagReport) -> None:
    print_json(report.to_json(), indent=None)


def _print(report: LagReport, output: Format) -> None:
    if output is Format.JSON:
        print_json(report.to_json())
    else:
        for part in lag_page.page(report, wide=output is Format.WIDE):
            out.print(part)
    for group in (report.live, report.replay):
        if group.state is not None and "rebalance" in group.state:
            err.print(
                f"group {group.group_name} is rebalancing: its members and owners are about "
                "to change"
            )


def _complete_watch(args: Sequence[str]) -> list[str]:
    """Return the arguments, with the default interval behind a `--watch` without one."""
    done: list[str] = []
    for arg, following in itertools.zip_longest(args, args[1:], fillvalue=""):
        done.append(arg)
        if arg in ("-w", "--watch") and not following[:1].isdigit():
            done.append(WATCH_SECONDS)
    return done


def _unknown_if(error: Exception, *, check: bool) -> None:
    if check:
        message = getattr(error, "message", None) or str(error)
        out.print(plugin_line(Severity.UNKNOWN, message))
        raise typer.Exit(Severity.UNKNOWN.exit_code) from error
