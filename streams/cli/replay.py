"""`embedsync replay`: arguments and printing only; the work is in streams/replay.py."""

from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Self
from uuid import UUID

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from connectors.clock import SystemClock
from connectors.kafka import topics
from connectors.kafka.outbox import KafkaOutbox
from connectors.kafka.rights import Right
from connectors.postgres import queries
from connectors.postgres.ledger import Only, ScopeProgress
from connectors.postgres.session import Session
from schemas.errors import EmbedsyncError
from schemas.settings import Settings
from streams import targets as target_rules
from streams.cli.output import Format, OutputOption, err, number, out, print_json, seconds
from streams.replay import Outcome, Replay

app = typer.Typer(no_args_is_help=True, help="Re-embed rows by command: all of them, or those that need it.")

_LINE_SECONDS = 10.0
_QUIET_SECONDS = 15.0

TablesOption = Annotated[list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")]
OnlyOption = Annotated[
    str, typer.Option("--only", help="missing: no vector; stale: missing, or text or model differs; all: every row")
]


@app.command()
def run(
    ctx: typer.Context, only: OnlyOption = "stale", table: TablesOption = None, output: OutputOption = Format.TABLE
) -> None:
    """Send rows through the replay lane and follow until all are handled.

    Rows whose vector is already right cost no model time, so a replay may be repeated at will. A replay that was
    interrupted (this command, a worker, a machine) is finished by calling the command again. At least one replay worker
    must run: `embedsync worker`, or `embedsync worker --role replay`.

    Ctrl-C ends only the watching: the workers go on with what was sent, and calling the command again finishes the
    rest. Exit code 0 only if afterwards every row is current or blank.

    Examples:
      embedsync replay run                       fill what is missing or stale
      embedsync replay run --only all -t public.questions
      embedsync replay run -o json | jq .ok
    """
    settings = ctx.obj()
    replay = _replay(settings)
    topics.require_rights(settings, [Right("topic", settings.replay_topic, "WRITE")], [])
    try:
        with Bars(settings) as bars:
            outcome = replay.run(_only(only), table or [], announce, bars.show)
    except KeyboardInterrupt:
        err.print("no longer watched: the workers go on with what was sent; `embedsync replay run` takes it up again")
        raise typer.Exit(130) from None
    if output is Format.JSON:
        print_json(outcome.to_json())
    else:
        _print(outcome)
    raise typer.Exit(0 if outcome.is_true else 1)


@app.command()
def cancel(
    ctx: typer.Context, run_id: Annotated[UUID, typer.Argument(metavar="RUN", help="as `replay run` printed it")]
) -> None:
    """Stop a run: its remaining chunks are skipped, rows already done stay done."""
    session = Session(ctx.obj().postgres.dsn, role="replay")
    if not session.rows(queries.text("cancel_replay"), {"run": str(run_id)}):
        raise EmbedsyncError(f"there is no unfinished run {run_id}", fix="see the run ids that `replay run` printed")
    err.print(f"run {run_id} is cancelled")


def announce(run_id: UUID, resumed: bool) -> None:
    """Say which run is followed."""
    err.print(f"run {run_id} {'goes on where it stopped' if resumed else 'started'}", soft_wrap=True)


class Bars:
    """Progress of a run on stderr: a bar per column on a terminal, a plain line every 10 s elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.replay_group
        self._clock = SystemClock()
        self._started = self._clock.monotonic()
        self._printed = 0.0
        self._moved = (0, self._started)
        self._warned = False
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            console=err,
            disable=not err.is_terminal,
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the last state stays on the screen."""
        self._progress.stop()

    def show(self, scopes: Sequence[ScopeProgress]) -> None:
        """Draw the ledger's figures."""
        now = self._clock.monotonic()
        done = sum(scope.done for scope in scopes)
        if done != self._moved[0]:
            self._moved = (done, now)
        elif now - self._moved[1] > _QUIET_SECONDS and not self._warned:
            self._warned = True
            err.print("[yellow]nothing moves: is a replay worker running? (embedsync worker --role replay)[/]")
        plain = not err.is_terminal and now - self._printed >= _LINE_SECONDS
        for scope in scopes:
            figures = _figures(scope, now - self._started)
            name = f"{scope.table}.{scope.column}"
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=scope.expected, figures="")
            self._progress.update(
                self._tasks[name], completed=scope.done, total=max(scope.expected, scope.sent), figures=figures
            )
            if plain:
                err.print(f"{name}  {figures}", soft_wrap=True)
        if plain:
            self._printed = now


def _figures(scope: ScopeProgress, elapsed: float) -> str:
    total = max(scope.expected, scope.sent)
    parts = [f"{scope.done:,}/{total:,}", f"{scope.done / total:.0%}" if total else "100%"]
    if scope.done and elapsed > 0:
        rate = scope.done / elapsed
        parts.append(f"{rate:,.0f} rows/s")
        if scope.done < total:
            parts.append(f"ETA {seconds((total - scope.done) / rate)}")
    parts += [
        f"{label} {value:,}"
        for label, value in (
            ("current", scope.current),
            ("deferred", scope.deferred),
            ("quarantined", scope.quarantined),
            ("failed", scope.failed),
        )
        if value
    ]
    return "  ".join(parts)


def _print(outcome: Outcome) -> None:
    table = Table(
        "TABLE",
        "COLUMN",
        "SENT",
        "EMBEDDED",
        "CURRENT",
        "BLANK",
        "CHANGED",
        "DEFERRED",
        "QUARANTINED",
        "FAILED",
        box=None,
    )
    for s in outcome.progress:
        counts = (s.sent, s.embedded, s.current, s.blank + s.cleared, s.changed, s.deferred, s.quarantined, s.failed)
        table.add_row(s.table, s.column, *(number(count) for count in counts))
    if outcome.progress:
        out.print(table)
    rows = sum(c.rows for c in outcome.coverage)
    good = sum(c.current + c.blank for c in outcome.coverage)
    style = "green" if outcome.is_true else "red"
    run_name = f"run {outcome.run} {outcome.state}" if outcome.run else "nothing to do"
    out.print(f"[{style}]{run_name}: {good:,} of {rows:,} rows are current or blank[/]", soft_wrap=True)


def _only(value: str) -> Only:
    match value:
        case "missing" | "stale" | "all":
            return value
        case _:
            raise typer.BadParameter(f"{value!r} is not one of missing, stale, all", param_hint="--only")


def _replay(settings: Settings) -> Replay:
    session = Session(settings.postgres.dsn, role="replay")
    targets = target_rules.resolve(settings, session)
    return Replay(settings, session, KafkaOutbox(settings, targets), SystemClock())
