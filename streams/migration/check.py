"""What must be true before a step of a migration changes anything, and what it will do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import VectrueError
from schemas.reports.migration import (
    ColumnMigration,
    MigrationState,
    MigrationStep,
    table_flags,
)
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.migration import in_flight
from streams.migration.next_step import leading, naming_of, still_to_follow
from streams.migration.obstacles import Obstacles


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step will do, before it is done.

    Attributes:
        found: the columns that it is for, as they are now.
        lines: a sentence for each, and for what is dropped along with them.
        drops: whether it drops vectors that only a replay can make again.
    """

    found: tuple[ColumnMigration, ...]
    lines: tuple[str, ...]
    drops: bool


def intent(
    session: Session, step: MigrationStep, found: Sequence[ColumnMigration], flags: str
) -> Intent:
    """Say what `rollback` or `finish` will do with these columns.

    Args:
        session: of the role that will make the changes.
        step: which.
        found: the columns that it is for.
        flags: the scope as it was typed.

    Raises:
        VectrueError: as `obstacles`.
    """
    gone = in_flight.gone(session, found)
    lines: list[str] = []
    drops = False
    for made in found:
        is_gone = made in gone
        lines.append(f"{made.name}: {_will(step, made, gone=is_gone)}")
        drops = drops or (not is_gone and _drops(step, made))
    for one in obstacles(session, step, found, flags):
        lines.append(f"along with it goes {one}")
    return Intent(tuple(found), tuple(lines), drops)


def obstacles(
    session: Session, step: MigrationStep, found: Sequence[ColumnMigration], flags: str
) -> list[str]:
    """Refuse a step that something blocks, in any of its tables.

    Args:
        session: of the role that will make the changes.
        step: `swap`, `rollback` or `finish`.
        found: the columns that it is for.
        flags: the scope as it was typed.

    Returns:
        What Postgres drops silently along with a column.

    Raises:
        VectrueError: with everything that blocks it, and the statements that remove it.
    """
    look = Obstacles(session)
    look.ours()
    gone = in_flight.gone(session, found)
    for made in found:
        # An offline column is not changed by `finish`.
        if made in gone or (step is MigrationStep.FINISH and made.offline):
            continue
        _look(look, step, made)
    # After all tables: one refusal names everything.
    look.refuse(str(step), f"`vectrue migrate {step}{flags}` again")
    return look.lost


def _look(look: Obstacles, step: MigrationStep, made: ColumnMigration) -> None:
    """Look at what a step will do with a column."""
    goes_back = step is MigrationStep.ROLLBACK and made.state is MigrationState.SWAPPED
    if made.offline:
        look.rewriting(made)
    elif step is MigrationStep.SWAP or goes_back:
        look.renaming(made)
    else:
        # What is left is a column beside that is dropped.
        look.dropping(made)


def refuse_lost_tables(settings: Settings, session: Session) -> None:
    """Refuse a step while a table of the settings does not exist.

    Raises:
        VectrueError: with the tables, and what to do.
    """
    # Workers restart after a step, and could not start without the table.
    lost: list[TableName] = []
    for table in settings.tables:
        if counting.stands(session, table.table):
            continue
        lost.append(table.table)
    if lost:
        _refuse_lost(settings, session, lost)


def _refuse_lost(settings: Settings, session: Session, lost: Sequence[TableName]) -> NoReturn:
    under_way = {made.table for made in in_flight.mine(settings, session)}
    moving: list[TableName] = []
    for name in lost:
        if name in under_way:
            moving.append(name)
    end = f"vectrue migrate rollback{table_flags(moving)}" if moving else "vectrue init"
    names = ", ".join(map(str, lost))
    if len(lost) == 1:
        said = f"table {names} no longer exists, and workers cannot restart without it"
    else:
        said = f"tables {names} no longer exist, and workers cannot restart without them"
    raise VectrueError(said, fix=f"give it its name back; or take it out of [[tables]], then {end}")


def refuse_moved(
    asked: Collection[ColumnMigration] | None, found: Collection[ColumnMigration]
) -> None:
    """Refuse to do something else than was asked for.

    Args:
        asked: the columns when it was asked whether to go on; None: it was not asked.
        found: the columns now.

    Raises:
        VectrueError: they are not the same.
    """
    if asked is not None and list(asked) != list(found):
        raise VectrueError(
            "the migration took a step while you were asked, and nothing was changed",
            fix="vectrue migrate status",
        )


def refuse_other_models(
    settings: Settings, session: Session, found: Sequence[ColumnMigration], wanted: str
) -> None:
    """Refuse an end after which the settings name another model than a table wants.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        found: the columns whose migration would end.
        wanted: model id that the settings name; it alone counts for a table that is not
            under way.

    Raises:
        VectrueError: with what to set, or which table to move first.
    """
    goals = {made.to_model for made in found}
    left = in_flight.behind(settings, session, goals)
    if left:
        raise VectrueError(
            f"{still_to_follow(left, found[0].to_model)}: after `finish` the settings name "
            "one model for all tables, and no worker could start",
            fix=leading(found[0], left).typed(),
        )
    _refuse_unnamed(found, wanted)


def _refuse_unnamed(found: Sequence[ColumnMigration], wanted: str) -> None:
    """Refuse an end after which a table holds another model than the settings name."""
    wrong: list[ColumnMigration] = []
    ready: list[TableName] = []
    names: list[str] = []
    for made in found:
        if made.to_model != wanted:
            wrong.append(made)
            names.append(made.name)
        else:
            ready.append(made.table)
    if not wrong:
        return
    fix = f"{naming_of(wrong[0])} first"
    if ready:
        fix += f"; or, for the others, vectrue migrate finish{table_flags(ready)}"
    verb = "holds" if len(wrong) == 1 else "hold"
    raise VectrueError(
        f"the settings name {wanted}, but {', '.join(names)} now {verb} vectors of "
        f"{wrong[0].to_model}",
        fix=fix,
    )


def _drops(step: MigrationStep, made: ColumnMigration) -> bool:
    if step is MigrationStep.FINISH:
        return not made.offline
    # After a swap the new vectors are kept beside the old ones.
    return made.offline or made.state is MigrationState.STARTED


def _will(step: MigrationStep, made: ColumnMigration, *, gone: bool) -> str:
    if gone:
        said = "its table is gone, so its migration ends"
        if made.beside:
            said += f"; if it has another name now, it keeps {made.beside} with its provenance"
        return said
    if step is MigrationStep.FINISH:
        if made.offline:
            return "its migration ends"
        return f"the old vectors ({made.beside}, of {made.from_model}) are dropped for good"
    if made.offline:
        return (
            f"all vectors of {made.to_model} are dropped, and a replay has to make those of "
            f"{made.from_model} again"
        )
    if made.state is MigrationState.SWAPPED:
        return (
            f"the old vectors (of {made.from_model}) are served again, the new ones are "
            "kept beside them"
        )
    return f"the new vectors ({made.beside}, of {made.to_model}) are dropped"
