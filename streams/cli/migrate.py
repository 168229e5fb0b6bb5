"""`embedsync migrate`: arguments and printing only; the work is in streams/migrate.py and its neighbours."""

import sys
from typing import Annotated, Self

import typer
from rich.progress import BarColumn, Progress

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres import trust
from connectors.postgres.session import Session
from schemas.errors import EmbedsyncError
from schemas.migration import ColumnMigration, State, Step, require
from schemas.sections import ModelSettings
from schemas.settings import Settings
from streams import migrate as migration
from streams import migrate_plan, migrate_status
from streams import targets as target_rules
from streams.cli.output import Format, OutputOption, confirm, err, label, number, out, print_json, seconds, styled
from streams.cli.tables import Grid
from streams.migrate_index import Builder
from streams.migrate_index import Progress as Built

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Move vector columns to another model, of any length, while readers go on reading.

    In this order: `plan`, `start`, then `embedsync replay run` to fill the rows, `index`, `swap`, `finish`. `status`
    says at any time what comes next, `rollback` goes one step back. Every step may be killed and called again.
    """,
)

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="the model to move to: a name as in model.name, or a folder")
]
DimensionsOption = Annotated[int, typer.Option("--dimensions", "-d", min=1, max=16_000, help="length of its vectors")]
RevisionOption = Annotated[str | None, typer.Option("--revision", help="commit of the model's repository")]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="empty the column itself and fill it again: search finds nothing meanwhile")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


@app.command()
def plan(
    ctx: typer.Context,
    model: ModelOption,
    dimensions: DimensionsOption,
    revision: RevisionOption = None,
    offline: OfflineOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what a migration would take: locks, time, disk. Changes nothing.

    For example:

        embedsync migrate plan --model BAAI/bge-m3 --dimensions 1024
    """
    settings: Settings = ctx.obj()
    embedder = open_model(_model(settings, model, dimensions, revision))
    session = Session(settings.postgres.dsn, role="migrate", prefix=settings.kafka.topic_prefix)
    tables = migrate_plan.make(session, target_rules.served(settings, session), embedder)
    locks = migrate_plan.OFFLINE_LOCKS if offline else migrate_plan.LOCKS
    if output is Format.JSON:
        steps = [dict(zip(("step", "lock", "held"), lock, strict=True)) for lock in locks]
        print_json({"to_model": embedder.model_id, "tables": [t.to_json() for t in tables], "steps": steps})
        return
    _print_plan(tables, locks, embedder)


@app.command()
def start(
    ctx: typer.Context,
    model: ModelOption,
    dimensions: DimensionsOption,
    revision: RevisionOption = None,
    offline: OfflineOption = False,
    freeze_old: Annotated[
        bool, typer.Option("--freeze-old", help="leave the old vectors as they are: one model in memory instead of two")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Want another model: its vectors grow in a second column, and workers fill both from now on.

    Running workers notice within seconds and start anew with both models. No table is rewritten.

    With --offline the column itself is emptied and changed: one rewrite of the table under a lock that nothing passes,
    and search finds nothing until the replay is done.
    """
    settings: Settings = ctx.obj()
    chosen = _model(settings, model, dimensions, revision)
    if offline:
        _ask("this empties all vectors now, and search finds nothing until a replay has filled them again", yes=yes)
    _steps(settings).start(chosen, offline=offline, freeze_old=freeze_old)
    err.print("next: embedsync replay run, which fills the rows that were there before")


@app.command()
def status(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Say how far the migration is, and what comes next."""
    settings: Settings = ctx.obj()
    report = migrate_status.read(
        settings, Session(settings.postgres.dsn, role="migrate", prefix=settings.kafka.topic_prefix)
    )
    if output is Format.JSON:
        print_json(report.to_json())
        return
    heads = ("TABLE", "COLUMN", "BESIDE", "STATE", "FROM", "TO", "ROWS", "LACKING", "INDEXES")
    table = Grid(*heads, last=("FROM", "BESIDE", "TO"), wide=output is Format.WIDE)
    for line in report.columns:
        m = line.migration
        state = f"{m.state}{', offline' if m.offline else ''}{', old frozen' if m.frozen else ''}"
        table.add_row(
            str(m.table), m.column, m.beside or "-", state, m.from_model, m.to_model, number(line.rows),
            number(line.lacking), f"{line.built}/{len(m.indexes)}",
        )  # fmt: skip
    if report.columns:
        out.print(table)
    out.print(report.verdict, soft_wrap=True)


@app.command()
def index(
    ctx: typer.Context,
    memory: Annotated[
        str | None, typer.Option("--memory", help="maintenance_work_mem of the build, for example 2GB")
    ] = None,
) -> None:
    """Build the old column's vector indexes on the new one, concurrently: reads and writes go on.

    An INVALID index that a killed build left is dropped and built again. Ctrl-C cancels the build.
    """
    settings: Settings = ctx.obj()
    steps = _steps(settings)
    found = steps.open()
    require(Step.INDEX, found)
    migrate_status.require_filled(settings, migration.reader(settings), SystemClock())
    with IndexBar() as bar:
        builder = Builder(admin(settings), admin(settings, "migrate progress"), SystemClock())
        built = builder.build(found, bar.show, memory=memory)
    for name in built:
        err.print(f"done: build the index {name}")
    _next(found, "finish" if found[0].offline else "swap")


@app.command()
def swap(ctx: typer.Context) -> None:
    """Have the new vectors served: one transaction of milliseconds over all tables.

    Refused while a row lacks its new vector or an index is missing. `embedsync search` changes over with it;
    programs that query the column themselves: see docs/migration.md.
    """
    steps = _steps(ctx.obj())
    steps.swap()
    _next(steps.open(), "finish, once you are content (`migrate rollback` goes back)")


@app.command()
def rollback(ctx: typer.Context, yes: YesOption = False) -> None:
    """Go one step back: after the swap the old vectors are served again; before it the new column is dropped."""
    steps = _steps(ctx.obj())
    found = steps.open()
    if found and found[0].state is State.STARTED and not found[0].offline:
        _ask(f"this drops the new vectors of {', '.join(made.name for made in found)}", yes=yes)
    steps.rollback()
    if steps.open():
        err.print("the old vectors are served again, the new ones are kept beside them: swap, or rollback once more")


@app.command()
def finish(ctx: typer.Context, yes: YesOption = False) -> None:
    """Drop the old column and its indexes; after this there is no way back but another migration."""
    settings: Settings = ctx.obj()
    steps = _steps(settings)
    found = steps.open()
    require(Step.FINISH, found)
    if not found[0].offline:
        _ask(f"this drops the old vectors of {', '.join(made.name for made in found)} for good", yes=yes)
    steps.finish(open_model(settings.model).model_id)
    err.print("the space of the old vectors is free for new rows; only VACUUM FULL would give it back to the disk")


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
        self._progress.update(self._task, description=phase, completed=built.done, total=built.total or None)
        if phase != self._phase and not err.is_terminal:
            err.print(phase, soft_wrap=True)
        self._phase = phase


def _print_plan(
    tables: list[migrate_plan.TablePlan], locks: tuple[tuple[str, str, str], ...], embedder: Embedder
) -> None:
    heads = ("TABLE", "COLUMN", "ROWS", "LENGTH", "TABLE-SIZE", "MORE", "INDEXES", "INDEX-SIZE", "REPLAY")
    table = Grid(*heads, keep=heads)
    for line in tables:
        table.add_row(
            line.table, line.column, number(line.rows), f"{line.from_dimensions} -> {line.to_dimensions}",
            _megabytes(line.table_bytes), _megabytes(line.more_bytes), str(len(line.indexes)),
            _megabytes(line.index_bytes), seconds(line.seconds),
        )  # fmt: skip
    out.print(table)
    steps = Grid("STEP", "LOCK", "HELD FOR")
    for lock in locks:
        steps.add_row(*lock)
    out.print(steps)
    for line in tables:
        for reader in line.readers:
            err.print(
                styled("notice:", "yellow"),
                f"{reader} reads {line.table}.{line.column} by number, and goes on reading the old "
                "vectors after the swap: create it anew then",
                soft_wrap=True,
            )
    out.print(f"to {embedder.model_id}; next: embedsync migrate start", soft_wrap=True)


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


def _model(settings: Settings, name: str, dimensions: int, revision: str | None) -> ModelSettings:
    chosen = {"name": name, "dimensions": dimensions, "revision": revision, "max_tokens": None}
    return ModelSettings(**{**settings.model.model_dump(), **chosen})


def _steps(settings: Settings) -> migration.Migrate:
    return migration.Migrate(settings, admin(settings), SystemClock(), _done)


def admin(settings: Settings, role: str = "migrate") -> Session:
    """A session that makes changes; guarded, since it may be a superuser's."""
    return Session(settings.postgres.admin, role=role, prefix=settings.kafka.topic_prefix, guard=trust.guard)


def _done(line: str) -> None:
    err.print(f"done: {line}", soft_wrap=True)


def _next(found: list[ColumnMigration], command: str) -> None:
    if found:
        err.print(f"next: embedsync migrate {command}")


def _ask(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise EmbedsyncError(what, fix="call it again with --yes if that is meant")
    confirm(f"{what}. Go on?", abort=True)
