"""What a migration will take, table by table and step by step, before any change.

Hazard: the list of commands holds for the state at this moment. A table that takes a
step meanwhile has other commands; calling `plan` again prints those.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from connectors.ports import Clock
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from schemas.reports.migration import ColumnMigration, table_flags
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.common import targets as target_rules
from streams.migration import in_flight
from streams.migration import status as migration_status
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.next_step import still_to_follow
from streams.migration.planning import command_list, wanted_model
from streams.migration.planning.column_plan import ColumnPlanner
from streams.migration.planning.command_list import TableCommands
from streams.migration.planning.plan_report import MigrationPlan, TablePlan
from streams.migration.planning.todo import Todo
from streams.migration.planning.wanted_model import WantedModel


def make(
    settings: Settings,
    session: Session,
    model: ModelSettings,
    clock: Clock,
    *,
    offline: bool = False,
    tables: Sequence[str] | None = None,
) -> MigrationPlan:
    """Look at the served columns; nothing is written, and the workers' role may call it.

    Args:
        settings: all of them.
        session: any connection that may read the catalogue.
        model: the model to move to, as flags name it; its weights are not needed.
        clock: for the pauses while rows are still being embedded.
        offline: whether the column itself will be emptied.
        tables: names of the tables to plan; None: all configured tables.

    Raises:
        ConfigurationError: a table is not as `init` left it, or the model does not
            exist.
        TransientError: Postgres does not answer.
    """
    asked = wanted_model.look(model)
    targets = target_rules.served(settings.only(tables), session)
    found = _under_way(session, targets)
    # Every row is counted for it, so only where something is under way.
    report = migration_status.read(settings, session, clock, tables) if found else None
    planner = ColumnPlanner(settings, session, asked, offline=offline)
    left = [planner.why_left(target, found.get(target.table)) for target in targets]
    # Where no table can start, the reasons are refusals of the command itself.
    is_refused = all(left)
    plans: list[TablePlan] = []
    names: list[TableName] = []
    for target, why in zip(targets, left, strict=True):
        reason = why if why is None or is_refused else _not_blocking(why)
        plans.append(planner.plan(target, found.get(target.table), reason))
        names.append(target.table)
    todo = [*asked.todo, *_to_follow(settings, session, asked, names)]
    entries: list[TableCommands] = []
    for target, plan in zip(targets, plans, strict=True):
        entry = _entry(target, plan, report, asked, offline=offline, is_refused=is_refused)
        entries.append(entry)
    commands = _commands(settings, asked, entries, todo, table_flags(names) if tables else "")
    return MigrationPlan(
        to_model=asked.model_id,
        tables=tuple(plans),
        todo=tuple(todo),
        commands=tuple(commands),
        under_way=_sentence(found.values(), report) if report else None,
    )


def _commands(
    settings: Settings,
    asked: WantedModel,
    entries: Sequence[TableCommands],
    todo: Sequence[Todo],
    flags: str,
) -> list[str]:
    # The list is typed as printed, so there is none without the model's name.
    if not asked.is_clear:
        return []
    naming = asked.naming(settings.model)
    return command_list.lines(entries, todo, named=asked.named, flags=flags, naming=naming)


def _under_way(session: Session, targets: Iterable[Target]) -> dict[TableName, ColumnMigration]:
    places = {(target.table, target.column) for target in targets}
    found: dict[TableName, ColumnMigration] = {}
    for made in migration.read(session):
        if (made.table, made.column) in places:
            found[made.table] = made
    return found


def _not_blocking(why: Todo) -> Todo:
    """Say that a table is left as it is, while others start."""
    what = f"{why.what}: it is left as it is"
    return replace(why, blocks=False, what=what, statement=None)


def _to_follow(
    settings: Settings, session: Session, asked: WantedModel, scope: Collection[TableName]
) -> list[Todo]:
    """Return the tables outside the scope that have to move before `finish`."""
    if asked.model_id is None:
        return []
    behind = []
    for table in in_flight.behind(settings, session, [asked.model_id]):
        # A table of the scope starts with this command.
        if table in scope:
            continue
        behind.append(table)
    if not behind:
        return []
    return [
        Todo(
            step="finish",
            blocks=True,
            what=f"{still_to_follow(behind, asked.model_id)}, and nothing can be finished "
            "before: settings name one model",
            statement=f"vectrue migrate start{asked.named}{table_flags(behind)} "
            "(and what that says comes next)",
            who="you",
        )
    ]


def _entry(
    target: Target,
    plan: TablePlan,
    report: MigrationStatus | None,
    asked: WantedModel,
    *,
    offline: bool,
    is_refused: bool,
) -> TableCommands:
    """Return one table of the list of commands.

    Args:
        target: the served column.
        plan: its part of the plan.
        report: the state of the columns under way; None when there are none.
        asked: the model to move to.
        offline: whether columns are emptied.
        is_refused: whether `start` would be refused for every table as it is now.
    """
    line = _line_of(target.table, report)
    is_left = False
    if line is None:
        is_left = target.model == asked.model_id
    elif line.migration.to_model == asked.model_id:
        offline = line.migration.offline
    else:
        # On its way to another model: this plan does not move it.
        line = None
        is_left = not is_refused
    return TableCommands(target.table, line, offline, is_left, plan.todo)


def _line_of(table: TableName, report: MigrationStatus | None) -> ColumnStatus | None:
    for column in report.columns if report else ():
        if column.migration.table == table:
            return column
    return None


def _sentence(found: Iterable[ColumnMigration], report: MigrationStatus) -> str:
    parts: list[str] = []
    for made in found:
        way = f"{made.name} is on its way to {made.to_model}"
        parts.append(f"{way} ({made.state})")
    return f"{'; '.join(parts)}; {report.verdict}"
