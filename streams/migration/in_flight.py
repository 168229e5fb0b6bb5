"""Which migrations a command of `migrate` is about: those of the settings' tables.

A migration in the database whose table the settings do not list is not forgotten:
`elsewhere`.
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
    """Return the migrations of the settings' columns.

    Raises:
        TransientError: Postgres does not answer.
    """
    found, _ = _by_owner(settings, session)
    return found


def elsewhere(settings: Settings, session: Session) -> list[ColumnMigration]:
    """Return the migrations in the database that are not of the settings' columns.

    Raises:
        TransientError: Postgres does not answer.
    """
    _, others = _by_owner(settings, session)
    return others


def behind(settings: Settings, session: Session, goals: Collection[str]) -> list[TableName]:
    """Return the settings' tables that hold another model and are not under way.

    Settings name one model for all tables: none of the others can be finished before
    these have followed.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        goals: ids of the models that the others move to.

    Raises:
        TransientError: Postgres does not answer.
    """
    tables: list[TableName] = []
    for table, model in _settled(settings, session):
        # Without a goal there is nothing to follow.
        if goals and model not in goals:
            tables.append(table)
    return tables


def left(
    settings: Settings, session: Session, model: str | None
) -> list[tuple[TableName, ColumnMigration]]:
    """Return the settings' tables that were left behind by a migration, and that one.

    Such a table holds the model from which another table moved to the settings' model.

    Args:
        settings: all of them.
        session: any connection that may read the schema vectrue.
        model: id of the model that they name; None when it is not known.

    Raises:
        TransientError: Postgres does not answer.
    """
    ways: dict[str, ColumnMigration] = {}
    for made in migration.read(session, finished=True):
        if made.to_model == model:
            ways[made.from_model] = made
    found: list[tuple[TableName, ColumnMigration]] = []
    for table, held in _settled(settings, session):
        if held in ways:
            found.append((table, ways[held]))
    return found


def gone(session: Session, found: Sequence[ColumnMigration]) -> list[ColumnMigration]:
    """Return those whose table no longer exists under that name.

    Raises:
        TransientError: Postgres does not answer.
    """
    lost: list[ColumnMigration] = []
    for made in found:
        if not counting.stands(session, made.table):
            lost.append(made)
    return lost


def only_tables_of(settings: Settings, found: Sequence[ColumnMigration]) -> Settings:
    """Return the settings with these tables only."""
    # Every configured table is looked up: a fault of another one must not matter.
    names = {made.table for made in found}
    tables = tuple(table for table in settings.tables if table.table in names)
    return settings.model_copy(update={"tables": tables})


def keeper_of(session: Session, made: ColumnMigration) -> str | None:
    """Return the installation whose table it is; None when the database has none.

    Raises:
        TransientError: Postgres does not answer.
    """
    place = (str(made.table), made.column)
    for line in counting.read(session):
        if (line.table, line.column) == place:
            return line.prefix
    return None


def _by_owner(
    settings: Settings, session: Session
) -> tuple[list[ColumnMigration], list[ColumnMigration]]:
    """Return the migrations of the settings' columns, and all others."""
    places = {(table.table, table.column) for table in settings.tables}
    found: list[ColumnMigration] = []
    others: list[ColumnMigration] = []
    for made in migration.read(session):
        if (made.table, made.column) in places:
            found.append(made)
        else:
            others.append(made)
    return found, others


def _settled(settings: Settings, session: Session) -> list[tuple[TableName, str]]:
    """Return the tables that are not under way, with the model wanted in each column."""
    moving = {(made.table, made.column) for made in mine(settings, session)}
    found: list[tuple[TableName, str]] = []
    for table in settings.tables:
        if (table.table, table.column) in moving:
            continue
        for line in wanted.lines(session, table, table.column):
            model = str(line[0])
            found.append((table.table, model))
    return found
