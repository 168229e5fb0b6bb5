"""Plan what `migrate start` does, as the statements of one transaction.

The plan is made from what exists, so a start may be called again.

Hazard: the columns that it makes do not exist while it is planned. What follows from
them (provenance, targets, the view that counts, the worker's rights) is planned from
the served column's table, which they will be columns of.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from connectors.ports import Embedder
from connectors.postgres import catalog
from connectors.postgres.checks import neighbour, server
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.migrations import migration, twins
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, grants, schema, score_rights
from connectors.postgres.statement import Statement
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, growing, table_flags
from schemas.reports.model_record import ModelRecord
from schemas.rows.index_definition import Vectors
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.migration.planning import todo
from streams.setup.connection import worker_role

Pair = tuple[Target, ColumnMigration]
"""A served column as it is, and its migration, under way or planned."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which columns a start is for.

    Attributes:
        fresh: columns that are not under way yet.
        again: columns that the same start has begun, and that are completed now.
        left: why other columns are left as they are.
    """

    fresh: tuple[Target, ...]
    again: tuple[Pair, ...]
    left: tuple[VectrueError, ...]


def choose(
    served: Sequence[Target],
    under_way: Sequence[ColumnMigration],
    embedder: Embedder,
    present: str | None,
    *,
    saved: Collection[str] = (),
    offline: bool,
) -> Chosen:
    """Decide for each column by its own state.

    Args:
        served: the columns of the scope.
        under_way: their migrations.
        embedder: the new model; its weights are not needed.
        present: id of the model that the settings name; None when its files are not
            here.
        saved: ids of the models of earlier migrations; how they are opened is recorded.
        offline: whether the columns themselves are to be emptied.

    Raises:
        VectrueError: there is no column to start with, or the settings do not name the
            model of one.
    """
    known = {(made.table, made.column): made for made in under_way}
    fresh: list[Target] = []
    again: list[Pair] = []
    left: list[VectrueError] = []
    for target in served:
        made = known.get((target.table, target.column))
        if made is None and target.model != embedder.model_id:
            _require_present(target, present, saved)
            fresh.append(target)
        elif made is not None and _is_same(made, embedder, offline=offline):
            again.append((target, made))
        else:
            left.append(_why_left(target, made))
    # A column that is left does not matter where another one starts.
    if left and not fresh and not again:
        raise left[0]
    return Chosen(tuple(fresh), tuple(again), tuple(left))


def _require_present(target: Target, present: str | None, saved: Collection[str]) -> None:
    """Refuse a column whose model the settings do not name, and no migration has saved."""
    # [model] is recorded as the way to open the old model.
    if present not in (None, target.model) and target.model not in saved:
        raise VectrueError(
            f"{target.name} holds vectors of {target.model}, but [model] names {present}",
            fix="set [model] back to the present model, until `migrate finish` asks "
            "for the new one; or name the other tables with -t",
        )


def planned(
    session: Session,
    target: Target,
    embedder: Embedder,
    models: tuple[ModelSettings, ModelSettings],
    *,
    offline: bool,
    frozen: bool,
) -> ColumnMigration:
    """Return the migration of a column that is not under way, as it will be recorded.

    Args:
        session: of the table's owner.
        target: the served column.
        embedder: the new model.
        models: how the old one is opened, and the new one.
        offline: whether the column itself is to be emptied.
        frozen: whether the old vectors are to be left as they are.

    Raises:
        VectrueError: an index cannot hold the new vectors.
    """
    oid = catalog.inspect(session, target.table).oid
    column = target.column if offline else growing(target.column)
    new = Vectors(column, embedder.dimensions, embedder.model_id)
    todo.refuse(session, oid, target, new)
    old_model, new_model = models
    return ColumnMigration(
        table=target.table,
        column=target.column,
        state=MigrationState.STARTED,
        offline=offline,
        frozen=frozen and not offline,
        from_model=target.model,
        from_dimensions=target.dimensions,
        to_model=embedder.model_id,
        to_dimensions=embedder.dimensions,
        indexes=twins.records(session, oid, target.column),
        from_settings=old_model.opening,
        to_settings=new_model.opening,
    )


def is_half(target: Target, made: ColumnMigration) -> bool:
    """Whether an offline start was recorded, but its column was not emptied."""
    return made.offline and target.model != made.to_model


def plan(
    settings: Settings,
    session: Session,
    record: ModelRecord,
    fresh: Sequence[Pair],
    again: Sequence[Pair],
    *,
    freeze: bool,
) -> list[Statement]:
    """Return everything that these columns lack to be under way.

    Args:
        settings: all of them.
        session: of the tables' owner.
        record: of the new model.
        fresh: columns that are not under way yet.
        again: columns whose start is completed where it is not.
        freeze: whether to freeze the old vectors of `again` too.

    Raises:
        ConfigurationError: a table cannot be worked with; with what to do.
    """
    role = worker_role(settings, session)
    facts = server.check(session, role)
    vector_schema = facts.vector_schema or "public"
    # The model before what refers to it.
    steps = list(schema.model_record(session, record))
    for target, made in fresh:
        steps.append(migration.record(session, target, made))
    after: list[Examined] = []
    for target, made in (*fresh, *again):
        found = _examined(settings, session, target, facts, role)
        steps += _columns(session, target, made, found, vector_schema)
        after += _after(found, target, made)
    targets = [examined.target for examined in after]
    steps += _registered(session, record, after, targets, vector_schema, steps)
    steps += _freezes(session, fresh, again, freeze=freeze)
    steps += counting.plan(session, settings.kafka.topic_prefix, targets)
    # Last: the worker's rights are on what the steps above make.
    steps += _grants(settings, session, facts, after, changes=bool(steps))
    return steps


def _examined(
    settings: Settings, session: Session, target: Target, facts: server.Server, role: str
) -> Examined:
    """Return the table of a served column as it is."""
    tables = {(table.table, table.column): table for table in settings.tables}
    return neighbour.examine(
        session,
        tables[target.table, target.column],
        facts,
        worker=role,
        model=target.model,
        dimensions=target.dimensions,
    )


def _registered(
    session: Session,
    record: ModelRecord,
    after: Sequence[Examined],
    targets: Sequence[Target],
    vector_schema: str,
    planned_before: Sequence[Statement],
) -> list[Statement]:
    """Return what the columns need to be targets: provenance, functions, their lines."""
    steps: list[Statement] = []
    for examined in after:
        steps += schema.provenance(session, examined)
    steps += schema.functions(session, targets, vector_schema)
    # The model is recorded first already.
    known = [*planned_before, *steps]
    for step in schema.registrations(session, targets, record, lambda _: 0)[0]:
        if step not in known:
            steps.append(step)
    return steps


def _freezes(
    session: Session, fresh: Sequence[Pair], again: Sequence[Pair], *, freeze: bool
) -> list[Statement]:
    steps: list[Statement] = []
    for target, made in fresh:
        if made.frozen:
            steps.append(migration.freeze(session, target, frozen=True))
    for _, made in again:
        if freeze and not made.offline and not made.frozen:
            steps.append(migration.freeze_later(session, made))
    return steps


def _columns(
    session: Session, target: Target, made: ColumnMigration, found: Examined, vector_schema: str
) -> list[Statement]:
    if made.offline:
        # A column that was emptied wants the new model already.
        if target.model == made.to_model:
            return []
        return [migration.empty(session, target, made, vector_schema)]
    # A start that is repeated finds the column that it added.
    if made.beside in found.info.columns:
        return []
    return [migration.add_growing(session, target, made.to_dimensions, vector_schema)]


def _after(found: Examined, target: Target, made: ColumnMigration) -> list[Examined]:
    """Return the table as it is after the start: once for each of its columns."""
    new = replace(target, model=made.to_model, dimensions=made.to_dimensions)
    if made.offline:
        return [replace(found, target=new)]
    beside = replace(new, column=made.beside or made.column)
    return [found, replace(found, target=beside)]


def _grants(
    settings: Settings,
    session: Session,
    facts: server.Server,
    tables: Sequence[Examined],
    *,
    changes: bool,
) -> list[Statement]:
    grantee = grants.Grantee(session, worker_role(settings, session))
    # An owner needs no rights on what is its own.
    if grantee.role == facts.role:
        return []
    asked = score_rights.asked(session, settings, tables)
    statements, _ = grants.plan(
        grantee,
        facts,
        tables,
        asked,
        schema_changes=changes,
        fire_triggers=settings.postgres.fire_triggers,
    )
    return statements


def _is_same(made: ColumnMigration, embedder: Embedder, *, offline: bool) -> bool:
    is_started = made.state is MigrationState.STARTED
    return is_started and (made.to_model, made.offline) == (embedder.model_id, offline)


def _why_left(target: Target, made: ColumnMigration | None) -> VectrueError:
    if made is None:
        return VectrueError(
            f"{target.name} wants {target.model} already",
            fix="name another model, or run `vectrue replay run`",
        )
    how = "offline, " if made.offline else ""
    return VectrueError(
        f"a migration of {made.name} to {made.to_model} is under way ({how}{made.state})",
        fix=f"vectrue migrate status, then finish or rollback{table_flags([made.table])}",
    )
