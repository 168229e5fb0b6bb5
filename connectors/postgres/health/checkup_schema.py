"""What `vectrue doctor` says of the configured tables and of the schema vectrue.

Hazard: a right or a table that is missing explains other lines; each line names what
it follows from, so that one cause is said once.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg2 import sql

from connectors.postgres import catalog, queries
from connectors.postgres.checks import neighbour
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.health import log_watch
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, schema
from connectors.postgres.statement import Statement
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, ok, problem, warning
from schemas.health.needs import INIT as FOUNDED
from schemas.health.needs import SCHEMA, length
from schemas.reports.migration import ColumnMigration, is_behind
from schemas.reports.model_record import ModelRecord
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings

INIT = "vectrue init"

_UnderWay = Mapping[tuple[TableName, str], ColumnMigration]
"""Columns of which a migration, and not the settings, says which model they want."""


@dataclass(frozen=True, slots=True)
class ExpectedModel:
    """The model that the settings name.

    Attributes:
        name: as configured.
        record: None where its files are not here.
        dimensions: length of its vectors.
    """

    name: str
    record: ModelRecord | None
    dimensions: int

    @property
    def model_id(self) -> str | None:
        """Its id; None where its files are not here."""
        return self.record.model if self.record else None


def table(
    session: Session,
    configured: TableSettings,
    facts: Server,
    wanted: ExpectedModel,
    found: list[Examined],
    refused: Container[TableName],
) -> Iterator[CheckResult]:
    """Whether a table can be kept true.

    Args:
        session: connection of the workers' role.
        configured: the table's settings.
        facts: what the server can do.
        wanted: the model that the settings name.
        found: a sound table is added to it.
        refused: tables whose UPDATEs Postgres refuses, which other lines say.

    Raises:
        ConfigurationError: what is wrong with it.
        TransientError: Postgres does not answer.
    """
    try:
        examined = _examined(session, configured, facts, wanted)
    except ConfigurationError:
        if configured.table in refused:
            return
        raise
    found.append(examined)
    name = f"table {configured.name}"
    key = ", ".join(column.name for column in examined.target.key)
    yield ok(name, f"key {key}; the text is valid; no row is hidden from role {facts.role}")
    for notice in examined.notices:
        yield warning(name, notice)
    for statement in schema.provenance(session, examined):
        lacking = f"lacks columns ({statement.description})"
        yield problem(name, lacking, INIT, follows=[FOUNDED])


def _examined(
    session: Session, configured: TableSettings, facts: Server, wanted: ExpectedModel
) -> Examined:
    columns = catalog.inspect(session, configured.table).columns
    # Another length than the model's is a finding of its own.
    declared = int(columns.get(configured.column, {}).get("typmod", -1))
    return neighbour.examine(
        session,
        configured,
        facts,
        worker=facts.role,
        model=wanted.model_id or "",
        changing=False,
        dimensions=declared if declared > 0 else wanted.dimensions,
    )


def look(
    session: Session, settings: Settings, tables: Sequence[Examined], wanted: ExpectedModel
) -> Iterator[CheckResult]:
    """Whether the schema vectrue is up to date, and wants the settings' model.

    Args:
        session: connection of the workers' role.
        settings: names, prefix.
        tables: the configured tables that are sound.
        wanted: the model that the settings name.
    """
    pending = schema.migrations(session)
    if not schema.exists(session, "vectrue.migrations"):
        database = session.connection().info.dbname
        said = f"`vectrue init` was not run in database {database}"
        yield problem(SCHEMA, said, INIT, part=FOUNDED)
        return
    under_way: dict[tuple[TableName, str], ColumnMigration] = {}
    for made in migration.read(session):
        under_way[made.table, made.column] = made
    targets = _settled(session, tables, under_way, wanted)
    # What a pending migration adds cannot be asked for yet.
    if not pending:
        for one in log_watch.differences(session, settings):
            if one.about == FOUNDED:
                yield problem(SCHEMA, one.sentence, one.fix, part=FOUNDED)
                return
        if wanted.record is not None:
            statements, notices = _registrations(session, targets, wanted.record)
            if not notices:
                pending += statements
            yield from _another_model(targets, wanted, notices)
        # Without a table that has a problem the function would differ for that alone.
        if wanted.model_id is not None and len(tables) == len(settings.tables):
            counted = _counted(tables, under_way)
            pending += counting.plan(session, settings.kafka.topic_prefix, counted)
    yield _to_do(pending)


def _settled(
    session: Session,
    tables: Sequence[Examined],
    under_way: _UnderWay,
    wanted: ExpectedModel,
) -> list[Target]:
    """The columns of which the settings say which model they want."""
    targets: list[Target] = []
    for examined in tables:
        target = examined.target
        if (target.table, target.column) in under_way:
            continue
        if not _is_behind(session, target, wanted):
            targets.append(target)
    return targets


def _is_behind(session: Session, target: Target, wanted: ExpectedModel) -> bool:
    """Whether it is yet to follow other columns to the settings' model."""
    # The line about its length says so.
    asked = {"table": str(target.table), "column": target.column}
    ways = migration.read(session, finished=True)
    for model, *_ in session.rows(queries.text("wanted_target"), asked):
        if is_behind(str(model), wanted.model_id, ways):
            return True
    return False


def _counted(tables: Sequence[Examined], under_way: _UnderWay) -> list[Target]:
    """The columns, each with the one beside it while it moves to another model."""
    counted: list[Target] = []
    for examined in tables:
        target = examined.target
        counted.append(target)
        made = under_way.get((target.table, target.column))
        if made is not None and made.beside is not None:
            counted.append(replace(target, column=made.beside))
    return counted


def _registrations(
    session: Session, targets: Sequence[Target], record: ModelRecord
) -> tuple[list[Statement], list[str]]:
    def count(query: sql.Composable) -> int:
        return int(session.rows(query)[0][0])

    return schema.registrations(session, targets, record, count)


def _another_model(
    targets: Sequence[Target], wanted: ExpectedModel, notices: Sequence[str]
) -> Iterator[CheckResult]:
    """Where the settings name another model than the database wants."""
    said = "the settings name another one than the database wants"
    follows = [length(str(target.table), target.column) for target in targets]
    # `init` would take a model of the same length only.
    if notices and any(target.dimensions != wanted.dimensions for target in targets):
        fix = "do what the lines about dimensions say"
        yield problem("model", f"{said}, of another length", fix, follows=follows)
        return
    for notice in notices:
        fix = "correct [model], or vectrue init to want that one"
        yield problem("model", f"{said} ({notice})", fix, follows=follows)


def _to_do(statements: Sequence[Statement]) -> CheckResult:
    if statements:
        said = "; ".join(statement.description for statement in statements)
        return problem("schema vectrue", f"to do: {said}", INIT)
    return ok("schema vectrue", "is up to date, and wants this model")
