"""What `migrate start` does, as statements of one transaction: planned from what is
there, so it may be called again.

Hazard: the columns that it makes are not there while it is planned. What follows from
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
from streams.migration.planning import todo as migrate_todo
from streams.setup import init

Pair = tuple[Target, ColumnMigration]
"""A served column as it is, and its migration, under way or planned."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which columns a start is for.

    Attributes:
        fresh: those that are not under way yet.
        again: those that are, by the same start, which is made whole.
        left: why others are left as they are.
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
        present: id of the model that the settings name; None where its files are not
            here.
        saved: ids of the models that migrations under way come from and go to; how they
            are opened is kept with them.
        offline: whether the columns themselves are to be emptied.

    Raises:
        VectrueError: there is none to start with, or the settings do not name the model
            of one.
    """
    known = {(made.table, made.column): made for made in under_way}
    fresh: list[Target] = []
    again: list[Pair] = []
    left: list[VectrueError] = []
    for target in served:
        made = known.get((target.table, target.column))
        if made is None and target.model != embedder.model_id:
            # What [model] says is kept for those who open the old model.
            if present not in (None, target.model) and target.model not in saved:
                raise VectrueError(
                    f"{target.name} holds vectors of {target.model}, but [model] names {present}",
                    fix="set [model] back to the model that is there now, until `migrate "
                    "finish` asks for the new one; "
                    "or name the other tables with -t",
                )
            fresh.append(target)
        elif made is not None and _is_same(made, embedder, offline=offline):
            again.append((target, made))
        else:
            left.append(_why_left(target, made))
    if left and not fresh and not again:
        raise left[0]
    return Chosen(tuple(fresh), tuple(again), tuple(left))


def planned(
    session: Session,
    target: Target,
    embedder: Embedder,
    models: tuple[ModelSettings, ModelSettings],
    *,
    offline: bool,
    frozen: bool,
) -> ColumnMigration:
    """The migration of a column that is not under way yet, as it will be recorded.

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
    new = Vectors(
        target.column if offline else growing(target.column), embedder.dimensions, embedder.model_id
    )
    migrate_todo.refuse(session, oid, target, new)
    old_model, new_model = map(_opening, models)
    return ColumnMigration(
        target.table,
        target.column,
        MigrationState.STARTED,
        offline,
        frozen and not offline,
        target.model,
        target.dimensions,
        embedder.model_id,
        embedder.dimensions,
        twins.records(session, oid, target.column),
        old_model,
        new_model,
    )


def is_half(target: Target, made: ColumnMigration) -> bool:
    """Whether an offline start was recorded, and its column not emptied: as an older
    vectrue could leave it.
    """
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
    """Everything that these columns lack to be on their way.

    Args:
        settings: all of them.
        session: of the tables' owner.
        record: of the new model.
        fresh: columns that are not under way yet.
        again: columns that are, whose start is to be made whole where it is not.
        freeze: whether to freeze the old vectors of those of `again` that are not.

    Raises:
        ConfigurationError: a table cannot be worked with; the message says what mends
            it.
    """
    role = init.worker(settings, session)
    facts = server.check(session, role)
    tables = {(table.table, table.column): table for table in settings.tables}
    steps = [*schema.model_record(session, record)]
    steps += [migration.record(session, target, made) for target, made in fresh]
    after: list[Examined] = []
    for target, made in (*fresh, *again):
        found = neighbour.examine(
            session,
            tables[target.table, target.column],
            facts,
            worker=role,
            model=target.model,
            dimensions=target.dimensions,
        )
        steps += _columns(session, target, made, found, facts.vector_schema or "public")
        after += _after(found, target, made)
    steps += [step for examined in after for step in schema.provenance(session, examined)]
    targets = [examined.target for examined in after]
    steps += schema.functions(session, targets, facts.vector_schema or "public")
    wanted = schema.registrations(session, targets, record, lambda _: 0)[0]
    # the model is recorded before what refers to it
    steps += [step for step in wanted if step not in steps]
    steps += [
        migration.freeze(session, target, frozen=True) for target, made in fresh if made.frozen
    ]
    if freeze:
        steps += [
            migration.freeze_later(session, m) for _, m in again if not m.offline and not m.frozen
        ]
    steps += counting.plan(session, settings.kafka.topic_prefix, targets)
    return [*steps, *_grants(settings, session, facts, after, changes=bool(steps))]


def _columns(
    session: Session, target: Target, made: ColumnMigration, found: Examined, vector_schema: str
) -> list[Statement]:
    if made.offline:
        is_there = target.model == made.to_model
        return [] if is_there else [migration.empty(session, target, made, vector_schema)]
    if made.beside in found.info.columns:
        return []
    return [migration.add_growing(session, target, made.to_dimensions, vector_schema)]


def _after(found: Examined, target: Target, made: ColumnMigration) -> list[Examined]:
    new = replace(target, model=made.to_model, dimensions=made.to_dimensions)
    if made.offline:
        return [replace(found, target=new)]
    return [found, replace(found, target=replace(new, column=made.beside or made.column))]


def _grants(
    settings: Settings,
    session: Session,
    facts: server.Server,
    tables: Sequence[Examined],
    *,
    changes: bool,
) -> list[Statement]:
    grantee = grants.Grantee(session, init.worker(settings, session))
    if grantee.role == facts.role:
        return []
    asked = score_rights.asked(session, settings, tables)
    triggers = settings.postgres.fire_triggers
    return grants.plan(
        grantee, facts, tables, asked, schema_changes=changes, fire_triggers=triggers
    )[0]


def _is_same(made: ColumnMigration, embedder: Embedder, *, offline: bool) -> bool:
    return (made.to_model, made.offline, made.state) == (
        embedder.model_id,
        offline,
        MigrationState.STARTED,
    )


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


def _opening(model: ModelSettings) -> dict[str, object]:
    """What a worker needs to open the model, whatever its own settings say."""
    return model.model_dump(include={"name", "revision", "dimensions", "max_tokens"})
