"""What has to be true before a step of a migration changes anything, and what the step
will do, column by column.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, MigrationStep, table_flags
from schemas.settings.reading import Settings
from streams.migration import in_flight as migrate_scope
from streams.migration.next_step import leading, naming_of, still_to_follow
from streams.migration.obstacles import Obstacles


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step will do, before it is done.

    Attributes:
        found: the columns that it is for, as they are now.
        lines: a sentence for each, and for what goes along with them.
        drops: whether vectors go that only a replay would bring back.
    """

    found: tuple[ColumnMigration, ...]
    lines: tuple[str, ...]
    drops: bool


def intent(
    session: Session, step: MigrationStep, found: Sequence[ColumnMigration], flags: str
) -> Intent:
    """What `rollback` or `finish` will do with these columns. Raises as `obstacles`."""
    gone = migrate_scope.gone(session, found)
    lines = [f"{made.name}: {_will(step, made, gone=made in gone)}" for made in found]
    lines += [f"along with it goes {one}" for one in obstacles(session, step, found, flags)]
    drops = any(made not in gone and _drops(step, made) for made in found)
    return Intent(tuple(found), tuple(lines), drops)


def obstacles(
    session: Session, step: MigrationStep, found: Sequence[ColumnMigration], flags: str
) -> list[str]:
    """Refuse a step that something stands in the way of, in any of its tables.

    Args:
        session: of the role that will make the changes.
        step: `swap`, `rollback` or `finish`.
        found: the columns that it is for.
        flags: the scope as it was typed.

    Returns:
        what goes along with a dropped column without a word.

    Raises:
        VectrueError: with everything that is in the way, and the statements that deal
            with it.
    """
    look = Obstacles(session)
    look.ours()
    gone = migrate_scope.gone(session, found)
    for made in found:
        if made in gone or (step is MigrationStep.FINISH and made.offline):
            continue
        if made.offline:
            look.rewriting(made)
        elif step is MigrationStep.SWAP or (
            step is MigrationStep.ROLLBACK and made.state is MigrationState.SWAPPED
        ):
            look.renaming(made)
        else:
            look.dropping(made)
    look.refuse(str(step), f"`vectrue migrate {step}{flags}` again")
    return look.lost


def refuse_lost_tables(settings: Settings, session: Session) -> None:
    """Refuse a step while a table of the settings is not there: workers start anew
    after it, and could not.

    Raises:
        VectrueError: with the tables, and what to do.
    """
    lost = [table.table for table in settings.tables if not counting.stands(session, table.table)]
    if lost:
        moving = [
            name
            for name in lost
            if name in {made.table for made in migrate_scope.mine(settings, session)}
        ]
        end = f"vectrue migrate rollback{table_flags(moving)}" if moving else "vectrue init"
        raise VectrueError(
            (
                f"there is no table {', '.join(map(str, lost))} any more, and workers that start "
                "anew would end over it"
            ),
            fix=f"give it its name back; or take it out of [[tables]], then {end}",
        )


def refuse_moved(
    asked: Collection[ColumnMigration] | None, found: Collection[ColumnMigration]
) -> None:
    """Refuse to do something else than was asked for.

    Args:
        asked: the columns when it was asked whether to go on; None: nobody was asked.
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
    """Refuse an end after which the settings would name another model than a table
    wants.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        found: the columns whose migration would end.
        wanted: model id that the settings name, which alone counts for a table that is
            not under way.

    Raises:
        VectrueError: with what to set, or which table to move first.
    """
    left = migrate_scope.behind(settings, session, {made.to_model for made in found})
    if left:
        raise VectrueError(
            f"{still_to_follow(left, found[0].to_model)}: after `finish` the settings name one "
            "model for all tables, "
            "and no worker could start",
            fix=leading(found[0], left).typed(),
        )
    wrong = [made for made in found if made.to_model != wanted]
    if wrong:
        ready = table_flags(made.table for made in found if made not in wrong)
        instead = f"; or, for the others, vectrue migrate finish{ready}" if ready else ""
        raise VectrueError(
            f"the settings name {wanted}, but {', '.join(made.name for made in wrong)} now "
            f"{'holds' if len(wrong) == 1 else 'hold'} vectors of {wrong[0].to_model}",
            fix=f"{naming_of(wrong[0])} first{instead}",
        )


def _drops(step: MigrationStep, made: ColumnMigration) -> bool:
    return (
        not made.offline
        if step is MigrationStep.FINISH
        else made.offline or made.state is MigrationState.STARTED
    )


def _will(step: MigrationStep, made: ColumnMigration, *, gone: bool) -> str:
    if gone:
        left = (
            f"; if it has another name now, it keeps {made.beside} with its provenance"
            if made.beside
            else ""
        )
        return f"its table is gone, so its migration ends{left}"
    if step is MigrationStep.FINISH:
        dropped = f"the old vectors ({made.beside}, of {made.from_model}) are dropped for good"
        return "its migration ends" if made.offline else dropped
    if made.offline:
        return (
            f"all vectors of {made.to_model} go, and a replay has to make those of "
            f"{made.from_model} again"
        )
    if made.state is MigrationState.SWAPPED:
        return (
            f"the old vectors (of {made.from_model}) are served again, the new ones are kept "
            "beside them"
        )
    return f"the new vectors ({made.beside}, of {made.to_model}) are dropped"
