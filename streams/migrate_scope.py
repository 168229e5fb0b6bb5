"""Which tables a command of `migrate` is about: those named by -t, or all of the settings; never more than was asked.

A migration that is under way in the database and belongs to no table of the settings is not forgotten: `elsewhere`.
"""

from collections.abc import Sequence

from connectors.postgres import counting, migration
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.migration import ColumnMigration
from schemas.settings import Settings
from schemas.table import TableName


def scoped(settings: Settings, tables: Sequence[str] | None) -> Settings:
    """The same settings with the named tables alone; with all of them when none is named.

    Raises:
        ConfigurationError: a table is not configured, so that a typing error never widens the scope.
    """
    if not tables:
        return settings
    names = [TableName.parse(name) for name in tables]
    for name in names:
        if name not in {table.table for table in settings.tables}:
            known = ", ".join(table.name for table in settings.tables) or "there are none"
            raise ConfigurationError(f"table {name} is not among [[tables]]", fix=f"correct --table: {known}")
    return settings.model_copy(update={"tables": tuple(t for t in settings.tables if t.table in names)})


def mine(settings: Settings, session: Session) -> list[ColumnMigration]:
    """What is under way of the settings' columns. Raises TransientError."""
    places = {(table.table, table.column) for table in settings.tables}
    return [made for made in migration.read(session) if (made.table, made.column) in places]


def elsewhere(settings: Settings, session: Session) -> list[ColumnMigration]:
    """What is under way in the database and is no column of the settings. Raises TransientError."""
    places = {(table.table, table.column) for table in settings.tables}
    return [made for made in migration.read(session) if (made.table, made.column) not in places]


def gone(session: Session, found: Sequence[ColumnMigration]) -> list[ColumnMigration]:
    """Those whose table is not there any more, by that name. Raises TransientError."""
    return [made for made in found if not counting.stands(session, made.table)]


def keeper_of(session: Session, made: ColumnMigration) -> str | None:
    """The installation whose table it is, as far as the database tells. Raises TransientError."""
    place = (str(made.table), made.column)
    return next((line.prefix for line in counting.read(session) if (line.table, line.column) == place), None)
