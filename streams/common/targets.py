"""The targets of the configured tables, as the database wants them.

Hazard: during a migration a table has two: the served column, and the one beside it,
each with a model of its own.
"""

from collections.abc import Callable, Sequence
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
    """A vector column that `init` looks after: the table's settings with this column,
    and the model it shall have.
    """

    table: TableSettings
    model: str
    dimensions: int


def resolve(settings: Settings, session: Session) -> list[Target]:
    """The targets that are kept true: of all configured tables, those beside them too,
    frozen ones left out.

    Raises:
        ConfigurationError: none is configured, a table or column is missing, or
            `vectrue init` was not run.
        TransientError: Postgres does not answer.
    """

    def look() -> list[Target]:
        found = []
        for table in settings.tables:
            besides = [
                m.beside
                for m in _under_way(session, table)
                if m.beside and wanted_rules.lines(session, table, m.beside)
            ]
            for column in (table.column, *besides):
                target, frozen = wanted_rules.resolve(
                    session, table.model_copy(update={"column": column})
                )
                found += [] if frozen else [target]
        return found

    return _steady(settings, session, look)


def standing(settings: Settings, session: Session) -> list[Target]:
    """As `resolve`, of the tables that are there: one that was dropped keeps nobody
    from the others.

    Raises:
        ConfigurationError, TransientError: as `resolve`.
    """
    there = tuple(table for table in settings.tables if counting.stands(session, table.table))
    return resolve(settings.model_copy(update={"tables": there}), session) if there else []


def served(settings: Settings, session: Session) -> list[Target]:
    """The targets that readers use: one for each configured column, frozen or not.

    Raises:
        ConfigurationError, TransientError: as `resolve`.
    """
    return _steady(
        settings,
        session,
        lambda: [wanted_rules.resolve(session, table)[0] for table in settings.tables],
    )


def wanted(settings: Settings, session: Session, embedder: Embedder) -> list[WantedColumn]:
    """The columns that `init` looks after, with the settings' model, or in a migration
    with the database's.
    """
    found = []
    for table in settings.tables:
        under_way = _under_way(session, table)
        if not under_way:
            found.append(_settled(session, table, embedder))
        for made in under_way:
            old, new = (made.from_model, made.from_dimensions), (made.to_model, made.to_dimensions)
            is_new = made.offline or made.state is MigrationState.SWAPPED
            found.append(WantedColumn(table, *(new if is_new else old)))
            if made.beside:
                other = table.model_copy(update={"column": made.beside})
                found.append(WantedColumn(other, *(old if is_new else new)))
    return found


def choose(settings: Settings, session: Session, tables: Sequence[str]) -> list[Target]:
    """The targets of the named tables, or of all configured ones when none is named.

    Raises:
        ConfigurationError: as `resolve`, or a table is not configured.
    """
    # What is wrong with another table is no business of this one's.
    return resolve(settings.only(tables), session)


def check_model(targets: Sequence[Target], embedder: Embedder) -> None:
    """Refuse to work with a model that the database does not want.

    Raises:
        TargetMismatch: with both models named.
    """
    for target in targets:
        if (target.model, target.dimensions) != (embedder.model_id, embedder.dimensions):
            raise TargetMismatch(
                f"{target.name} wants vectors of {target.model} ({target.dimensions} "
                "dimensions), the settings name "
                f"{embedder.model_id} ({embedder.dimensions})",
                fix="correct [model], or run `vectrue init` to want this model from now on",
            )


def configured(settings: Settings, shape: Shape) -> list[Target]:
    """The configured columns with the keys that a look found; which model is wanted
    does not matter here.
    """
    keys = {table.table: table.key for table in shape.tables}
    return [Target(t.table, t.column, t.text, keys[t.table], "", 0) for t in settings.tables]


def _steady(settings: Settings, session: Session, look: Callable[[], list[Target]]) -> list[Target]:
    """What `look` finds while no migration takes a step: names of columns change with
    it.
    """
    if not settings.tables:
        raise ConfigurationError(
            "no table is configured", fix="add [[tables]] with name and text to vectrue.toml"
        )
    while True:
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
    """A column that is not under way: with the settings' model, unless it is yet to
    follow the others to it.
    """
    for model, dimensions, *_ in wanted_rules.lines(session, table, table.column):
        if is_behind(str(model), embedder.model_id, migration.read(session, finished=True)):
            return WantedColumn(table, str(model), int(dimensions))
    return WantedColumn(table, embedder.model_id, embedder.dimensions)


def _under_way(session: Session, table: TableSettings) -> list[ColumnMigration]:
    return [
        m for m in migration.read(session) if (m.table, m.column) == (table.table, table.column)
    ]
