"""What `migrate start` does, as statements of one transaction: planned from what is there, so it may be called again.

Hazard: the columns that it makes are not there while it is planned. What follows from them (provenance, targets, the
view that counts, the worker's rights) is planned from the served column's table, which they will be columns of.
"""

from collections.abc import Sequence
from dataclasses import replace

from connectors.postgres import counting, grants, migration, neighbour, schema, score_rights, server
from connectors.postgres.neighbour import Examined
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from schemas.migration import ColumnMigration
from schemas.model import ModelRecord
from schemas.settings import Settings
from schemas.target import Target
from streams import init

Pair = tuple[Target, ColumnMigration]
"""A served column as it is, and its migration, under way or planned."""


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
        ConfigurationError: a table cannot be worked with; the message says what mends it.
    """
    role = init.worker(settings, session)
    facts = server.check(session, role)
    tables = {(table.table, table.column): table for table in settings.tables}
    steps = [*schema.model_record(session, record)]
    steps += [migration.record(session, target, made) for target, made in fresh]
    after: list[Examined] = []
    for target, made in (*fresh, *again):
        found = neighbour.examine(
            session, tables[target.table, target.column], facts, worker=role,
            model=target.model, dimensions=target.dimensions,
        )  # fmt: skip
        steps += _columns(session, target, made, found, facts.vector_schema or "public")
        after += _after(found, target, made)
    steps += [step for examined in after for step in schema.provenance(session, examined)]
    targets = [examined.target for examined in after]
    steps += schema.functions(session, targets, facts.vector_schema or "public")
    steps += schema.registrations(session, targets, record, lambda _: 0)[0]
    steps += [migration.freeze(session, target, frozen=True) for target, made in fresh if made.frozen]
    if freeze:
        steps += [migration.freeze_later(session, m) for _, m in again if not m.offline and not m.frozen]
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
    settings: Settings, session: Session, facts: server.Server, tables: Sequence[Examined], *, changes: bool
) -> list[Statement]:
    grantee = grants.Grantee(session, init.worker(settings, session))
    if grantee.role == facts.role:
        return []
    asked = score_rights.asked(session, settings, tables)
    triggers = settings.postgres.fire_triggers
    return grants.plan(grantee, facts, tables, asked, schema_changes=changes, fire_triggers=triggers)[0]
