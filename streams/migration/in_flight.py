"""Whose migrations a command of `migrate` is about: those of the settings' tables,
never more than was asked.

A migration that is under way in the database and belongs to no table of the settings is
not forgotten: `elsewhere`.
"""

from collections.abc import Collection, Sequence

from connectors.postgres.migrations import migration
from connectors.postgres.rows import wanted
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.reports.migration import ColumnMigration
from schemas.rows.table import TableName
from schemas.settings.reading import Settings


def mine(settings: Settings, session: Session) -> list[ColumnMigration]:
    """What is under way of the settings' columns. Raises TransientError."""
    places = {(table.table, table.column) for table in settings.tables}
    return [made for made in migration.read(session) if (made.table, made.column) in places]


def elsewhere(settings: Settings, session: Session) -> list[ColumnMigration]:
    """What is under way in the database and is no column of the settings. Raises
    TransientError.
    """
    places = {(table.table, table.column) for table in settings.tables}
    return [made for made in migration.read(session) if (made.table, made.column) not in places]


def behind(settings: Settings, session: Session, goals: Collection[str]) -> list[TableName]:
    """The settings' tables that are not under way and hold another model than the one
    that others go to.

    Their settings name one model for all: none of the others can be finished before
    these have followed.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        goals: ids of the models that the others go to.

    Raises:
        TransientError: Postgres does not answer.
    """
    return [table for table, model in _settled(settings, session) if goals and model not in goals]


def left(
    settings: Settings, session: Session, model: str | None
) -> list[tuple[TableName, ColumnMigration]]:
    """The settings' tables that hold what a migration came from which went to the
    settings' model, and that migration.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        model: id of the model that they name; None where that is not known.

    Raises:
        TransientError: Postgres does not answer.
    """
    ways = {
        made.from_model: made
        for made in migration.read(session, finished=True)
        if made.to_model == model
    }
    return [(table, ways[held]) for table, held in _settled(settings, session) if held in ways]


def _settled(settings: Settings, session: Session) -> list[tuple[TableName, str]]:
    """The tables that are not under way, with the model that the database wants in each
    column.
    """
    moving = {(made.table, made.column) for made in mine(settings, session)}
    still = [table for table in settings.tables if (table.table, table.column) not in moving]
    return [
        (table.table, str(line[0]))
        for table in still
        for line in wanted.lines(session, table, table.column)
    ]


def gone(session: Session, found: Sequence[ColumnMigration]) -> list[ColumnMigration]:
    """Those whose table is not there any more, by that name. Raises TransientError."""
    return [made for made in found if not counting.stands(session, made.table)]


def keeper_of(session: Session, made: ColumnMigration) -> str | None:
    """The installation whose table it is, as far as the database tells. Raises
    TransientError.
    """
    place = (str(made.table), made.column)
    return next(
        (line.prefix for line in counting.read(session) if (line.table, line.column) == place), None
    )
