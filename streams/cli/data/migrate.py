"""`vectrue migrate`: arguments and printing only; the work is in streams/migration."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import typer

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.postgres.checks import trust
from connectors.postgres.session import Session
from schemas.errors import IndexesLacking
from schemas.reports.migration import MigrationStep, require
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.arguments import open_session
from streams.cli.screen import migrate_page
from streams.cli.screen.confirmation import YesOption, require_confirmation
from streams.cli.screen.index_progress import IndexProgress
from streams.cli.screen.output import Format, OutputOption, err, print_exactly, print_json
from streams.migration import check as migrate_check
from streams.migration import gate
from streams.migration import status as migrate_status
from streams.migration import steps as migration
from streams.migration.indexes import Builder, script
from streams.migration.planning import plan as migrate_plan
from streams.migration.planning import plan_report

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Move vector columns to another model, of any length, while readers go on reading.

    In this order: `plan`, `start`, then `vectrue replay run` to fill the rows, `index`,
    `swap`, `finish`. `status` says at any time what comes next, `rollback` goes one step
    back. Every step may be killed and run again. With `-t TABLE` a step is for some
    tables only; each column is at a step of its own.
    """,
)

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="the model to move to: a name as in model.name, or a folder"
    ),
]
DimensionsOption = Annotated[
    int, typer.Option("--dimensions", "-d", min=1, max=16_000, help="dimensions of its vectors")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="commit of the model's repository")
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="empty the column itself and refill it: search finds nothing meanwhile",
    ),
]
TablesOption = Annotated[
    list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")
]


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
    """Show what a migration takes: what blocks it, what to do by hand, locks, time,
    disk. Changes nothing.

    Exit code: 1 if `start` would be refused now.

    For example:

        vectrue migrate plan --model BAAI/bge-m3 --dimensions 1024
    """
    settings: Settings = ctx.obj()
    session = open_session(settings, "migrate")
    chosen = _model(settings, model, dimensions, revision)
    made = migrate_plan.make(
        settings, session, chosen, SystemClock(), offline=offline, tables=table
    )
    locks = plan_report.OFFLINE_LOCKS if offline else plan_report.LOCKS
    if output is Format.JSON:
        print_json({**made.to_json(), "steps": _locks_json(locks)})
    else:
        migrate_page.show(made, locks)
    # The plan stands on stdout all the same: it says what to do about them.
    if made.refusals:
        err.print("`migrate start` is refused for now: see what blocks it")
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
            help="do not update the old vectors: one model in memory instead of two",
        ),
    ] = False,
    table: TablesOption = None,
    yes: YesOption = False,
) -> None:
    """Start moving to another model. New vectors go to a second column, and workers fill
    both from now on.

    Running workers notice within seconds and restart with both models. No table is
    rewritten.

    With --offline the column itself is emptied and changed: one rewrite of the table
    under an ACCESS EXCLUSIVE lock, and search finds nothing until the replay is done.
    Tables that are already under way stay as they are.
    """
    settings: Settings = ctx.obj()
    chosen = _model(settings, model, dimensions, revision)
    steps = _steps(settings, table)
    if offline:
        _require_emptying(settings.only(table), yes=yes)
    steps.start(chosen, offline=offline, freeze_old=freeze_old)
    left = steps.to_follow()
    if left:
        err.print(f"{left}")
    err.print(f"next: vectrue replay run{steps.flags}, which fills the rows that were there before")


@app.command()
def status(
    ctx: typer.Context, table: TablesOption = None, output: OutputOption = Format.TABLE
) -> None:
    """Show how far the migration of each column is, and what comes next.

    It waits some seconds for rows that are on their way to a vector, as `swap` does.
    """
    settings: Settings = ctx.obj()
    session = open_session(settings, "migrate")
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
        typer.Option("--print-sql", help="print what is left to run in psql, and change nothing"),
    ] = False,
    table: TablesOption = None,
) -> None:
    """Build the old column's indexes on the new one, concurrently: reads and writes
    continue.

    It builds each index of the old column that has no twin on the new one, whatever its
    name and age; on a table with partitions one partition after the other. An INVALID
    index that a killed build left is dropped and built again. Ctrl-C cancels the build;
    the next call continues where it was.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    found = require(MigrationStep.INDEX, steps.open())
    if print_sql:
        print_exactly(script(admin(settings), found))
        return
    gate.require_filled(settings, migration.reader(settings), SystemClock(), found)
    with IndexProgress() as progress:
        built = _builder(settings).build(found, progress.show, memory=memory)
    for name in built:
        err.print(f"done: build the index {name}")
    _next(settings, table)


@app.command()
def swap(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Serve the new vectors: one transaction of milliseconds over all tables that are
    ready.

    Refused while a row lacks its new vector. It asks if an index of the old column has
    no twin on the new one. `vectrue search` uses the new vectors from then on; programs
    that query the column themselves: see docs/migration.md.
    """
    settings: Settings = ctx.obj()
    _without_twins(_steps(settings, table).swap, yes=yes)
    _next(settings, table)


@app.command()
def rollback(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Go one step back, each column from where it is: serve the old vectors again, or
    drop the new ones.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    intent = steps.intent(MigrationStep.ROLLBACK)
    _require_consent(intent, yes=yes)
    # The columns that the question named, even if others have moved on since.
    steps.rollback(intent.found)
    _next(settings, None)


@app.command()
def finish(ctx: typer.Context, table: TablesOption = None, yes: YesOption = False) -> None:
    """Drop the old column and its indexes. After this only another migration leads back."""
    settings: Settings = ctx.obj()
    steps = _steps(settings, table)
    # The settings have to name the new model before the old vectors are dropped.
    wanted = open_model(settings.model).model_id
    intent = steps.intent(MigrationStep.FINISH, wanted)
    _require_consent(intent, yes=yes)
    _without_twins(partial(steps.finish, wanted, intent.found), yes=yes)
    if intent.drops:
        err.print(
            "the space of the old vectors is free for new rows; only VACUUM FULL would give it "
            "back to the disk"
        )
    _next(settings, None)


def _builder(settings: Settings) -> Builder:
    limit = settings.postgres.lock_timeout_seconds
    # The builder's session is busy with the statement, so another one watches it.
    watcher = admin(settings, "migrate progress")
    return Builder(admin(settings), watcher, SystemClock(), lock_seconds=limit)


def _locks_json(locks: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    steps: list[dict[str, str]] = []
    for step, lock, held in locks:
        steps.append({"step": step, "lock": lock, "held": held})
    return steps


def _model(settings: Settings, name: str, dimensions: int, revision: str | None) -> ModelSettings:
    values = settings.model.model_dump()
    # The token limit is the old model's own, and means nothing for another.
    values.update(name=name, dimensions=dimensions, revision=revision, max_tokens=None)
    return ModelSettings(**values)


def _steps(settings: Settings, tables: list[str] | None) -> migration.Migrate:
    return migration.Migrate(settings, admin(settings), SystemClock(), _done, tables)


def admin(settings: Settings, role: str = "migrate") -> Session:
    """Return a session that makes changes; guarded, since it may be a superuser's."""
    return Session(
        settings.postgres.admin, role=role, prefix=settings.kafka.topic_prefix, guard=trust.guard
    )


def _done(line: str) -> None:
    err.print(f"done: {line}")


def _next(settings: Settings, tables: list[str] | None) -> None:
    """Print what comes next for the columns that are still under way."""
    session = open_session(settings, "migrate")
    report = migrate_status.read(settings, session, SystemClock(), tables)
    # On stderr, as all that is not data.
    for line in report.notices:
        err.print(line)
    for step in report.steps:
        err.print(f"next: {step}")


def _require_emptying(settings: Settings, *, yes: bool) -> None:
    names: list[str] = []
    for one in settings.tables:
        names.append(one.name)
    require_confirmation(
        f"Empty all vectors of {', '.join(names)} now, so that search finds nothing until a replay "
        "has filled them again?",
        yes=yes,
    )


def _require_consent(intent: migrate_check.Intent, *, yes: bool) -> None:
    for line in intent.lines:
        err.print(line)
    if intent.drops:
        require_confirmation("This cannot be undone. Go on?", yes=yes)


def _without_twins(step: Callable[..., None], *, yes: bool) -> None:
    """Take a step; where it would leave indexes behind, ask."""
    try:
        step(without=frozenset())
    except IndexesLacking as lacking:
        question = f"{lacking.message}. Go on without them?"
        require_confirmation(question, yes=yes, fix=lacking.fix)
        # Only those that were shown are left behind; --yes takes whatever there is.
        step(without=None if yes else lacking.names)
        err.print(f"notice: went on without {', '.join(sorted(lacking.names))}")
