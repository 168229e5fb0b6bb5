"""The columns of a swap, of the way back, and of an offline rollback.

Hazard: what follows from the exchange (the view that counts) is planned before it,
under the names that the columns will have.
"""

from collections.abc import Sequence
from dataclasses import replace

from connectors.postgres.checks import server
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.migration.in_flight import only_tables_of
from streams.setup.connection import worker_role


def statement(
    settings: Settings, session: Session, found: Sequence[ColumnMigration], *, back: bool
) -> Statement:
    """Return the statement that exchanges the names of the columns.

    Args:
        settings: all of them.
        session: of the tables' owner.
        found: the columns.
        back: whether the old vectors are served again.
    """
    served = {}
    for target in target_rules.served(only_tables_of(settings, found), session):
        served[target.table, target.column] = target
    targets = [served[made.table, made.column] for made in found]
    return migration.exchange(session, targets, found, back=back)


def after(settings: Settings, session: Session, found: Sequence[ColumnMigration]) -> list[Target]:
    """Return both columns of each table as they are after the exchange."""
    if not found:
        return []
    migrations = {(made.table, made.column): made for made in found}
    targets: list[Target] = []
    # Read under the names of now: the exchange is in the same transaction as the plan.
    for target in target_rules.served(only_tables_of(settings, found), session):
        made = migrations.get((target.table, target.column))
        if made is not None:
            targets += _exchanged(target, made)
    return targets


def _exchanged(target: Target, made: ColumnMigration) -> tuple[Target, Target]:
    """Return the served column and the one beside it."""
    old = replace(target, model=made.from_model, dimensions=made.from_dimensions)
    new = replace(target, model=made.to_model, dimensions=made.to_dimensions)
    if made.state is MigrationState.STARTED:
        moved = replace(made, state=MigrationState.SWAPPED)
        served, aside = new, old
    else:
        moved = replace(made, state=MigrationState.STARTED)
        served, aside = old, new
    return served, replace(aside, column=moved.beside or made.column)


def taken_back(
    settings: Settings,
    session: Session,
    gone: Sequence[ColumnMigration],
    here: Sequence[ColumnMigration],
    back: Sequence[ColumnMigration],
    dropped: Sequence[ColumnMigration],
) -> list[Statement]:
    """Return the statements of a rollback, each column by its own state.

    Args:
        settings: all of them.
        session: of the tables' owner.
        gone: the columns whose table no longer exists.
        here: all others.
        back: those of them that were swapped.
        dropped: those of them whose column beside is dropped.
    """
    steps: list[Statement] = []
    for made in gone:
        steps.append(migration.forget(session, made))
    if back:
        steps.append(statement(settings, session, back, back=True))
    if dropped:
        steps.append(migration.discard(session, dropped, MigrationState.ROLLED_BACK))
    for made in here:
        if made.offline:
            steps.append(refill(settings, session, made))
    return steps


def refill(settings: Settings, session: Session, made: ColumnMigration) -> Statement:
    """Return the statement that empties an offline column for the old model again.

    Args:
        settings: all of them.
        session: of the tables' owner.
        made: the migration.
    """
    place = (made.table, made.column)
    served = target_rules.served(only_tables_of(settings, [made]), session)
    target = next(one for one in served if (one.table, one.column) == place)
    facts = server.check(session, worker_role(settings, session))
    return migration.refill(session, target, made, facts.vector_schema or "public")
