"""`vectrue migrate`: arguments and printing only; the work is in
streams/migration/steps.py and its neighbours.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Self

import typer
from rich.progress import BarColumn, Progress

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.postgres.checks import trust
from connectors.postgres.session import Session
from schemas.errors import IndexesLacking, VectrueError
from schemas.reports.migration import MigrationStep, require
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.screen import migrate_page
from streams.cli.screen.output import (
    Format,
    OutputOption,
    confirm,
    err,
    label,
    print_exactly,
    print_json,
)
from streams.migration import check as migrate_check
from streams.migration import gate
from streams.migration import status as migrate_status
from streams.migration import steps as migration
from streams.migration.build import BuildProgress as Built
from streams.migration.indexes import Builder, script
from streams.migration.planning import plan as migrate_plan
from streams.migration.planning import plan_report

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Move vector columns to another model, of any length, while readers go on reading.

    In this order: `plan`, `start`, then `vectrue replay run` to fill the rows, `index`, `swap`, `finish`. `status`
    says at any time what comes next, `rollback` goes one step back. Every step may be killed and called again. With
    `-t TABLE` each is for some tables alone; each column is at a step of its own.
    """,
)

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="the model to move to: a name as in model.name, or a folder"
    ),
]
DimensionsOption = Annotated[
    int, typer.Option("--dimensions", "-d", min=1, max=16_000, help="length of its vectors")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="commit of the model's repository")
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="empty the column itself and fill it again: search finds nothing meanwhile",
    ),
]
TablesOption = Annotated[
    list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


@app.command()
def plan(
    ctx: typer.Context,
    model: ModelOption,
    dimensions: DimensionsOption,
    revision: RevisionOption = None,
    offline: OfflineOption = False,
    table: TablesOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say all that a migration takes: what stands in its way, what to do by hand,
    locks, time, disk. Changes nothing.

    Exit code: 1 where `start` would be refused now.

    For example:

        vectrue migrate plan --model BAAI/bge-m3 --dimensions 1024
    """
    settings: Settings = ctx.obj()
    session = Session(settings.postgres.dsn, role="migrate", prefix=settings.kafka.topic_prefix)
    chosen = _model(settings, model, dimensions, revision)
    made = migrate_plan.make(
        settings, session, chosen, SystemClock(), offline=offline, tables=table
    )
    locks = plan_report.OFFLINE_LOCKS if offline else plan_report.LOCKS
    if output is Format.JSON:
        steps = [dict(zip(("step", "lock", "held"), lock, strict=True)) for lock in locks]
        print_json({**made.to_json(), "steps": steps})
    else:
        migrate_page.show(made, locks)
    if made.refusals:
        err.print("`migrate start` is refused for now: see what blocks it", soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def start(
    ctx: typer.Context,
    model: ModelOption,
    dimensions: DimensionsOption,
    revision: RevisionOption = None,
    offline: OfflineOption = False,
    freeze_old: Annotated[
        bool,
        typer.Option(
            "--freeze-old",
            help="leave the old vectors as they are: one model in memory instead of two",
        ),
    ] = False,
    table: TablesOption = None,
    yes: YesOption = False,
) -> None:
    """Want another model: its vectors grow in a second column, and workers fill both
    from now on.

    Running workers notice within seconds and start anew with both models. No table is
    rewritten.

    With --offline the column itself is emptied and changed: one rewrite of the table
    under a lock that nothing passes, and search finds nothing until the replay is done.
    Tables that are under way already are left as they are.
    """
    settings: Settings = ctx.obj()
    chosen = _model(settings, model, dimensions, revision)
    steps = _steps(settings, table)
    if offline:
        names = ", ".join(one.name for one in settings.only(table).tables)
        _ask(
            (
                f"this empties all vectors of {names} now, and search finds nothing until a replay "
                "has filled them again"
            ),
            yes=yes,
        )
    steps.start(chosen, offline=offline, freeze_old=freeze_old)
    if left := steps.to_follow():
        err.print(f"{left}", soft_wrap=True)
    err.print(
        f"next: vectrue replay run{steps.flags}, which fills the rows that were there before",
        soft_wrap=True,
    )


@app.command()
def status(
    ctx: typer.Context, table: TablesOption = None, output: OutputOption = Format.TABLE
) -> None:
    """Say how far the migration of each column is, and what comes next.

    Rows that are on their way to a vector are waited for, for some seconds, as `swap`
    does.
    """
    settings: Settings = ctx.obj()
    session = Session(settings.postgres.dsn, role="migrate", prefix=settings.kafka.topic_prefix)
    report = migrate_status.read(settings, session, SystemClock(), table)
    if output is Format.JSON:
        print_json(report.to_json())
        return
    migrate_page.show_status(report, wide=output is Format.WIDE)


@app.command()
def index(
    ctx: typer.Context,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="maintenance_work_mem of the build, for example 2GB"),
    ] = None,
    print_sql: Annotated[
        bool,
        typer.Option("--print-sql", help="print what is left to run, for psql, and change nothing"),
    ] = False,
    table: TablesOption = None,
) -> None:
    """Build the old column's indexes on the new one, concurrently: reads and writes go
    on.

    An index of the old column that has no twin on the new one is built, whatever it is
    called and whenever it was made; on a table with partitions one partition after the
    other. An INVALID index that a killed build left is dropped and built again. Ctrl-C
    cancels the build; called again, it goes on where it was.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    found = require(MigrationStep.INDEX, steps.open())
    if print_sql:
        print_exactly(script(admin(settings), found))
        return
    gate.require_filled(settings, migration.reader(settings), SystemClock(), found)
    with IndexBar() as bar:
        limit = settings.postgres.lock_timeout_seconds
        watcher = admin(settings, "migrate progress")
        builder = Builder(admin(settings), watcher, SystemClock(), lock_seconds=limit)
        built = builder.build(found, bar.show, memory=memory)
    for name in built:
        err.print(f"done: build the index {name}")
    _next(settings, table)


@app.command()
def swap(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Have the new vectors served: one transaction of milliseconds over all tables that
    are ready for it.

    Refused while a row lacks its new vector. Asks where an index of the old column has
    no twin on the new one. `vectrue search` changes over with it; programs that query
    the column themselves: see docs/migration.md.
    """
    settings: Settings = ctx.obj()
    _without_twins(_steps(settings, table).swap, yes=yes)
    _next(settings, table)


@app.command()
def rollback(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Go one step back, each column from where it is: the old vectors are served again,
    or the new ones are dropped.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    intent = steps.intent(MigrationStep.ROLLBACK)
    _agree(intent, yes=yes)
    steps.rollback(intent.found)
    _next(settings, None)


@app.command()
def finish(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Drop the old column and its indexes; after this there is no way back but another
    migration.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    wanted = open_model(settings.model).model_id
    intent = steps.intent(MigrationStep.FINISH, wanted)
    _agree(intent, yes=yes)
    _without_twins(partial(steps.finish, wanted, intent.found), yes=yes)
    if intent.drops:
        err.print(
            "the space of the old vectors is free for new rows; only VACUUM FULL would give it "
            "back to the disk"
        )
    _next(settings, None)


class IndexBar:
    """Progress of an index on stderr: a bar on a terminal, a line per phase elsewhere."""

    def __init__(self) -> None:
        self._phase = ""
        columns = (label(), BarColumn(bar_width=24), label("{task.percentage:>3.0f}%"))
        self._progress = Progress(*columns, console=err, disable=not err.is_terminal)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing."""
        self._progress.stop()

    def show(self, built: Built) -> None:
        """Draw one look."""
        phase = f"{built.index}: {built.phase}"
        # who that is, is told once, on a line
        held = f" (pid {built.waits_for[0].pid})" if built.waits_for else ""
        self._progress.update(
            self._task,
            description=f"{phase}{held}",
            completed=built.done,
            total=built.total or None,
        )
        if phase != self._phase and not err.is_terminal:
            err.print(phase, soft_wrap=True)
        self._phase = phase


def _model(settings: Settings, name: str, dimensions: int, revision: str | None) -> ModelSettings:
    chosen = {"name": name, "dimensions": dimensions, "revision": revision, "max_tokens": None}
    return ModelSettings(**{**settings.model.model_dump(), **chosen})


def _steps(settings: Settings, tables: list[str] | None) -> migration.Migrate:
    return migration.Migrate(settings, admin(settings), SystemClock(), _done, tables)


def admin(settings: Settings, role: str = "migrate") -> Session:
    """A session that makes changes; guarded, since it may be a superuser's."""
    return Session(
        settings.postgres.admin, role=role, prefix=settings.kafka.topic_prefix, guard=trust.guard
    )


def _done(line: str) -> None:
    err.print(f"done: {line}", soft_wrap=True)


def _next(settings: Settings, tables: list[str] | None) -> None:
    """What comes next for the columns that are still under way, as `status` would say
    it.
    """
    session = Session(settings.postgres.dsn, role="migrate", prefix=settings.kafka.topic_prefix)
    report = migrate_status.read(settings, session, SystemClock(), tables)
    for line in report.notices:
        err.print(line, soft_wrap=True)
    for step in report.steps:
        err.print(f"next: {step}", soft_wrap=True)


def _agree(intent: migrate_check.Intent, *, yes: bool) -> None:
    for line in intent.lines:
        err.print(line, soft_wrap=True)
    if intent.drops:
        _ask("this cannot be taken back", yes=yes)


def _without_twins(step: Callable[..., None], *, yes: bool) -> None:
    """Take a step; where indexes would be left behind, ask."""
    try:
        step(without=frozenset())
    except IndexesLacking as lacking:
        if not yes:
            if not sys.stdin.isatty():
                raise
            confirm(f"{lacking.message}. Go on without them?", abort=True)
        step(without=None if yes else lacking.names)
        err.print(f"notice: went on without {', '.join(sorted(lacking.names))}", soft_wrap=True)


def _ask(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise VectrueError(what, fix="call it again with --yes if that is meant")
    confirm(f"{what}. Go on?", abort=True)
