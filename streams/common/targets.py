"""The targets of the configured tables, as the database wants them.

Hazard: during a migration a table has two targets: the served column and the one beside
it, each with its own model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from connectors.ports import Embedder
from connectors.postgres.migrations import migration
from connectors.postgres.rows import wanted as wanted_rules
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.health.shape import Shape
from schemas.reports.migration import ColumnMigration, MigrationState, is_behind
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings


@dataclass(frozen=True, slots=True)
class WantedColumn:
    """A vector column that `init` sets up.

    Attributes:
        table: the table's settings, with this column.
        model: id of the model whose vectors it must hold.
        dimensions: of that model.
    """

    table: TableSettings
    model: str
    dimensions: int


def resolve(settings: Settings, session: Session) -> list[Target]:
    """Return the targets that are kept true.

    These are the columns of all configured tables and those beside them, without frozen
    ones.

    Raises:
        ConfigurationError: none is configured, a table or column is missing, or
            `vectrue init` was not run.
        TransientError: Postgres does not answer.
    """

    def look() -> list[Target]:
        found: list[Target] = []
        for table in settings.tables:
            for column in (table.column, *_beside(session, table)):
                named = table.model_copy(update={"column": column})
                target, frozen = wanted_rules.resolve(session, named)
                if not frozen:
                    found.append(target)
        return found

    return _steady(settings, session, look)


def standing(settings: Settings, session: Session) -> list[Target]:
    """Return the targets of the existing tables.

    Raises:
        ConfigurationError, TransientError: as `resolve`.
    """
    # A table that was dropped does not affect the others.
    there = tuple(table for table in settings.tables if counting.stands(session, table.table))
    return resolve(settings.model_copy(update={"tables": there}), session) if there else []


def served(settings: Settings, session: Session) -> list[Target]:
    """Return the targets that readers use: each configured column, frozen or not.

    Raises:
        ConfigurationError, TransientError: as `resolve`.
    """
    return _steady(
        settings,
        session,
        lambda: [wanted_rules.resolve(session, table)[0] for table in settings.tables],
    )


def wanted(settings: Settings, session: Session, embedder: Embedder) -> list[WantedColumn]:
    """Return the columns that `init` sets up, each with its model.

    It is that of the settings, or during a migration that of the database.
    """
    found: list[WantedColumn] = []
    for table in settings.tables:
        under_way = _under_way(session, table)
        if not under_way:
            found.append(_settled(session, table, embedder))
        for made in under_way:
            old, new = (made.from_model, made.from_dimensions), (made.to_model, made.to_dimensions)
            # Offline there is one column, and it holds the new vectors from the start.
            if made.offline or made.state is MigrationState.SWAPPED:
                served_now, beside_now = new, old
            else:
                served_now, beside_now = old, new
            found.append(WantedColumn(table, model=served_now[0], dimensions=served_now[1]))
            if made.beside:
                other = table.model_copy(update={"column": made.beside})
                found.append(WantedColumn(other, model=beside_now[0], dimensions=beside_now[1]))
    return found


def choose(settings: Settings, session: Session, tables: Sequence[str]) -> list[Target]:
    """Return the targets of the named tables, or of all configured ones if none is named.

    Raises:
        ConfigurationError: as `resolve`, or a table is not configured.
    """
    # Only the named tables are read, so that an error of another one does not matter.
    return resolve(settings.only(tables), session)


def check_model(targets: Sequence[Target], embedder: Embedder) -> None:
    """Check that a model is the one that the database wants.

    Raises:
        TargetMismatch: it is not; names both models.
    """
    for target in targets:
        if (target.model, target.dimensions) != (embedder.model_id, embedder.dimensions):
            raise TargetMismatch(
                f"{target.name} wants vectors of {target.model} ({target.dimensions} "
                f"dimensions), the settings name {embedder.model_id} ({embedder.dimensions})",
                fix="correct [model], or run `vectrue init` to want this model from now on",
            )


def configured(settings: Settings, shape: Shape) -> list[Target]:
    """Return the configured columns with the keys that were found, without a model."""
    keys = {table.table: table.key for table in shape.tables}
    found: list[Target] = []
    for table in settings.tables:
        target = Target(
            table=table.table,
            column=table.column,
            text=table.text,
            key=keys[table.table],
            model="",
            dimensions=0,
        )
        found.append(target)
    return found


def _steady(settings: Settings, session: Session, look: Callable[[], list[Target]]) -> list[Target]:
    """Call `look` until no migration takes a step meanwhile."""
    if not settings.tables:
        raise ConfigurationError(
            "no table is configured", fix="add [[tables]] with name and text to vectrue.toml"
        )
    while True:
        # A step renames columns: a look that met one may have mixed old and new names.
        before = migration.read(session)
        try:
            found = look()
        except ConfigurationError:
            if migration.read(session) == before:
                raise
            continue
        if migration.read(session) == before:
            return found


def _settled(session: Session, table: TableSettings, embedder: Embedder) -> WantedColumn:
    """Return a column without a migration, with the model that it wants."""
    # The settings' model, unless it is yet to follow the other tables to it.
    for model, dimensions, *_ in wanted_rules.lines(session, table, table.column):
        if is_behind(str(model), embedder.model_id, migration.read(session, finished=True)):
            return WantedColumn(table, str(model), int(dimensions))
    return WantedColumn(table, embedder.model_id, embedder.dimensions)


def _under_way(session: Session, table: TableSettings) -> list[ColumnMigration]:
    column = table.table, table.column
    return [made for made in migration.read(session) if (made.table, made.column) == column]


def _beside(session: Session, table: TableSettings) -> Iterator[str]:
    """Yield the columns beside a table's own that a model is wanted for."""
    for made in _under_way(session, table):
        if made.beside and wanted_rules.lines(session, table, made.beside):
            yield made.beside
