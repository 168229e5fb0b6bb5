"""The targets of the configured tables, as the database wants them, and the checks before a worker starts."""

from collections.abc import Sequence

from connectors.ports import Embedder
from connectors.postgres import catalog, queries
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TargetMismatch
from schemas.settings import Settings, TableSettings
from schemas.table import TableName
from schemas.target import Target


def resolve(settings: Settings, session: Session) -> list[Target]:
    """The targets of all configured tables.

    Raises:
        ConfigurationError: none is configured, a table or column is missing, or `embedsync init` was not run.
        TransientError: Postgres does not answer.
    """
    if not settings.tables:
        raise ConfigurationError("no table is configured", fix="add [[tables]] with name and text to embedsync.toml")
    return [_resolve(session, table) for table in settings.tables]


def choose(settings: Settings, session: Session, tables: Sequence[str]) -> list[Target]:
    """The targets of the named tables, or of all configured ones when none is named.

    Raises:
        ConfigurationError: as `resolve`, or a table is not configured.
    """
    targets = resolve(settings, session)
    wanted = [TableName.parse(name) for name in tables]
    for name in wanted:
        if name not in {target.table for target in targets}:
            raise ConfigurationError(f"table {name} is not among [[tables]]", fix="correct --table")
    return [target for target in targets if not wanted or target.table in wanted]


def check_model(targets: Sequence[Target], embedder: Embedder) -> None:
    """Refuse to work with a model that the database does not want.

    Raises:
        TargetMismatch: with both models named.
    """
    for target in targets:
        if (target.model, target.dimensions) != (embedder.model_id, embedder.dimensions):
            raise TargetMismatch(
                f"{target.name} wants vectors of {target.model} ({target.dimensions} dimensions), the settings name "
                f"{embedder.model_id} ({embedder.dimensions})",
                fix="correct [model], or run `embedsync init` to want this model from now on",
            )


def _resolve(session: Session, table: TableSettings) -> Target:
    info = catalog.inspect(session, table.table)
    if table.column not in info.columns:
        catalog.target_of(info, table, model="", dimensions=0)  # raises with the sentence for a missing column
    registered = session.rows("SELECT to_regclass('embedsync.targets') IS NOT NULL")[0][0]
    parameters = {"table": str(table.table), "column": table.column}
    wanted = session.rows(queries.text("wanted_target"), parameters) if registered else []
    if not wanted:
        raise ConfigurationError(f"embedsync does not know {table.name}.{table.column} yet", fix="run `embedsync init`")
    model, dimensions = wanted[0]
    target = catalog.target_of(info, table, model=str(model), dimensions=int(dimensions))
    for column in (target.hash_column, target.model_column, target.time_column):
        if column not in info.columns:
            raise ConfigurationError(f"table {table.name} has no column {column}", fix="run `embedsync init`")
    catalog.check_text(session, target)
    return target
