"""The database's side of a migration of vector columns: its state and its statements.

Hazards:
- Every step is planned from the current state, so that running a killed step again
  finishes it.
- A step is one transaction over all tables of its scope (`together`).
- Views and functions with a parsed body know a column by number, and stay with the old
  column.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from psycopg2 import sql

from connectors.postgres import catalog, queries
from connectors.postgres.migrations import twins
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from connectors.postgres.statement import Statement, render
from schemas.reports.migration import (
    ColumnMigration,
    IndexNames,
    MigrationState,
    growing,
    retired,
    suffixed,
)
from schemas.rows.table import TableName
from schemas.rows.target import Target

_MOSTLY_NULL = 0.5
"""Share of NULLs from which on the planner's statistics count as out of date."""


def require_known(session: Session) -> None:
    """Refuse to go on where `init` was never run.

    Raises:
        ConfigurationError: it was never run in this database.
    """
    if not schema.exists(session, "vectrue.targets"):
        raise schema.unknown()


def read(session: Session, *, finished: bool = False) -> list[ColumnMigration]:
    """The columns under way, by table; none where `init` has not updated the schema.

    Args:
        session: any connection that may read the schema vectrue.
        finished: also the finished migrations; a column may have several.
    """
    if not schema.exists(session, "vectrue.column_migrations"):
        return []
    lines = session.rows(queries.text("open_migrations"), {"finished": finished})
    return [_migration(line) for line in lines]


def _migration(line: tuple[Any, ...]) -> ColumnMigration:
    table, column, state, offline, frozen, *models, indexes, from_settings, to_settings = line
    from_model, from_dimensions, to_model, to_dimensions = models
    return ColumnMigration(
        table=TableName.parse(table),
        column=column,
        state=MigrationState(state),
        offline=offline,
        frozen=frozen,
        from_model=from_model,
        from_dimensions=from_dimensions,
        to_model=to_model,
        to_dimensions=to_dimensions,
        indexes=tuple(IndexNames(**names) for names in indexes),
        from_settings=from_settings,
        to_settings=to_settings,
    )


def record(session: Session, target: Target, migration: ColumnMigration) -> Statement:
    """Record that a column is under way; the first statement of every migration."""
    indexes = [asdict(index) for index in migration.indexes]
    body = render(
        session,
        queries.for_target(
            "record_migration",
            target,
            bound=False,
            offline=sql.Literal(migration.offline),
            frozen=sql.Literal(migration.frozen),
            from_model=sql.Literal(migration.from_model),
            from_dimensions=sql.Literal(migration.from_dimensions),
            to_model=sql.Literal(migration.to_model),
            to_dimensions=sql.Literal(migration.to_dimensions),
            from_settings=sql.Literal(json.dumps(dict(migration.from_settings))),
            to_settings=sql.Literal(json.dumps(dict(migration.to_settings))),
            indexes=sql.Literal(json.dumps(indexes)),
        ),
    )
    return Statement(f"record the migration of {migration.name} to {migration.to_model}", body)


def add_growing(session: Session, target: Target, dimensions: int, vector_schema: str) -> Statement:
    """Add the second column, which the new vectors go to."""
    beside = growing(target.column)
    body = render(
        session,
        queries.for_target(
            "add_growing",
            target,
            bound=False,
            beside=sql.Identifier(beside),
            type=vector_type(vector_schema, dimensions),
        ),
    )
    return Statement(f"add the column {beside} vector({dimensions}) to {target.table}", body)


def freeze(session: Session, target: Target, *, frozen: bool) -> Statement:
    """Stop keeping a column's vectors true, or start again."""
    body = render(
        session,
        queries.for_target("freeze_target", target, bound=False, frozen=sql.Literal(frozen)),
    )
    return Statement(f"{'freeze' if frozen else 'unfreeze'} {target.name}", body)


def analyze(session: Session, target: Target) -> Statement | None:
    """Update the planner's statistics about a column's vectors.

    Returns:
        None where the statistics say that most rows have a model.
    """
    asked = {
        "schema": target.table.schema,
        "table": target.table.name,
        "column": target.model_column,
    }
    share = session.rows(queries.text("null_share"), asked)[0][0]
    if share is not None and share < _MOSTLY_NULL:
        return None
    # The planner expects no rows from a column that was empty when it was analysed.
    body = sql.SQL("ANALYZE {}").format(queries.table(target.table))
    return Statement(f"analyze {target.table}", render(session, body))


def freeze_later(session: Session, made: ColumnMigration) -> Statement:
    """Stop keeping the old vectors of a migration under way true."""
    target = _bare(made)
    noted = render(session, queries.for_target("freeze_migration", target, bound=False))
    frozen = freeze(session, target, frozen=True).sql
    return Statement(f"freeze {made.name}", _joined([noted, frozen]))


def together(
    session: Session, tables: Iterable[TableName], steps: Sequence[Statement]
) -> Statement:
    """Several steps as one transaction, which locks everything before it changes it.

    Args:
        session: of the tables' owner.
        tables: those that are changed.
        steps: at least one.
    """
    # One LOCK for all tables, always in the same order: two commands that lock the same
    # tables then wait for each other, and never deadlock.
    locked = sorted(set(tables))
    parts = []
    if locked:
        shown: list[sql.Composable] = []
        for table in locked:
            shown.append(queries.table(table))
        names = sql.SQL(", ").join(shown)
        lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names)
        parts.append(render(session, lock))
    what: dict[str, None] = {}
    for step in steps:
        parts.append(step.sql)
        what[step.description] = None
    # Columns, indexes, targets, quarantine, the view and the state move together, or
    # not at all.
    return Statement(", ".join(what), _joined(parts))


def exchange(
    session: Session,
    targets: Sequence[Target],
    migrations: Sequence[ColumnMigration],
    *,
    back: bool,
) -> Statement:
    """Serve the new columns, all of them at once, or the old ones again.

    Args:
        session: of the tables' owner.
        targets: the served columns as they are now.
        migrations: theirs, in the same order.
        back: whether the old columns are served again, with the new ones beside them.
    """
    state = MigrationState.STARTED if back else MigrationState.SWAPPED
    parts, names = [], []
    for target, migration in zip(targets, migrations, strict=True):
        parts += _renames(session, target, migration, back=back)
        parts.append(_moved(session, target, state))
        if back:
            parts.append(freeze(session, target, frozen=False).sql)
        names.append(target.name)
    what = "serve the old vectors again" if back else "serve the new vectors"
    return Statement(f"{what} in {', '.join(names)}", _joined(parts))


def discard(session: Session, found: Sequence[ColumnMigration], state: MigrationState) -> Statement:
    """Drop the columns beside the served ones, and end their migrations.

    Args:
        session: of the tables' owner.
        found: the migrations; of an offline one nothing is dropped.
        state: FINISHED when the old vectors go, ROLLED_BACK when the new ones do.
    """
    parts, what = [], []
    for made in found:
        target = _bare(made)
        if made.beside:
            beside = replace(target, column=made.beside)
            parts.append(render(session, queries.for_target("drop_columns", beside, bound=False)))
            what.append(f"drop the column {made.beside} of {made.table}")
        parts += [_moved(session, target, state), freeze(session, target, frozen=False).sql]
        what.append(f"end the migration of {made.name}")
    return Statement(", ".join(what), _joined(parts))


def forget(session: Session, made: ColumnMigration) -> Statement:
    """End the migration of a table that is gone."""
    target = _bare(made)
    parts = [_moved(session, target, MigrationState.ROLLED_BACK)]
    for column in (made.column, made.beside):
        if column:
            forgotten = replace(target, column=column)
            parts.append(
                render(session, queries.for_target("forget_column", forgotten, bound=False))
            )
    return Statement(f"end the migration of {made.name}, whose table is gone", _joined(parts))


def refill(
    session: Session, target: Target, made: ColumnMigration, vector_schema: str
) -> Statement:
    """Roll back an offline migration: empty the column again, and create its indexes.

    Args:
        session: of the table's owner.
        target: the column as it is now.
        made: its migration.
        vector_schema: schema of pgvector.
    """
    old = replace(made, to_model=made.from_model, to_dimensions=made.from_dimensions)
    parts = [empty(session, target, old, vector_schema).sql]
    for names in made.indexes:
        # On an empty column it takes a moment, with the partitions too.
        parts.append(names.definition.replace(" ON ONLY ", " ON ", 1))
    parts.append(_moved(session, target, MigrationState.ROLLED_BACK))
    what = f"empty {made.name}, make it vector({made.from_dimensions}) again"
    return Statement(what, _joined(parts))


def empty(
    session: Session, target: Target, migration: ColumnMigration, vector_schema: str
) -> Statement:
    """Start an offline migration: drop the indexes, empty and resize the column."""
    # Before the length changes: Postgres would rebuild an index, or refuse its length.
    drops = twins.drops(session, catalog.inspect(session, target.table).oid, target.column)
    body = render(
        session,
        queries.for_target(
            "empty_column",
            target,
            bound=False,
            type=vector_type(vector_schema, migration.to_dimensions),
            to_model=sql.Literal(migration.to_model),
            to_dimensions=sql.Literal(migration.to_dimensions),
        ),
    )
    what = f"empty {target.name} and make it vector({migration.to_dimensions})"
    return Statement(what, _joined([*drops, body]))


def vector_type(schema_name: str, dimensions: int) -> sql.Composed:
    """`schema.vector(n)`, whatever the search path is."""
    return sql.SQL("{}({})").format(sql.Identifier(schema_name, "vector"), sql.Literal(dimensions))


def _renames(
    session: Session, target: Target, migration: ColumnMigration, *, back: bool
) -> list[str]:
    first, second = growing(target.column), retired(target.column)
    aside, coming = (first, second) if back else (second, first)
    stepping, taking = replace(target, column=aside), replace(target, column=coming)
    parts: dict[str, sql.Composable] = {
        "aside": sql.Identifier(aside),
        "aside_hash": sql.Identifier(stepping.hash_column),
        "aside_model": sql.Identifier(stepping.model_column),
        "aside_time": sql.Identifier(stepping.time_column),
        "aside_digest": sql.Identifier(stepping.digest_column),
        "aside_literal": sql.Literal(aside),
        "coming": sql.Identifier(coming),
        "coming_hash": sql.Identifier(taking.hash_column),
        "coming_model": sql.Identifier(taking.model_column),
        "coming_time": sql.Identifier(taking.time_column),
        "coming_digest": sql.Identifier(taking.digest_column),
        "coming_literal": sql.Literal(coming),
    }
    renamed = render(session, queries.for_target("rename_columns", target, bound=False, **parts))
    suffix = "_v2" if back else "_old"
    return [renamed, *twins.renames(session, migration, lambda name: suffixed(name, suffix))]


def _moved(session: Session, target: Target, state: MigrationState) -> str:
    return render(
        session,
        queries.for_target("move_migration", target, bound=False, state=sql.Literal(str(state))),
    )


def _joined(parts: Iterable[str]) -> str:
    """Several commands as one statement."""
    return ";\n".join(parts)


def _bare(made: ColumnMigration) -> Target:
    """The served column, for statements that name it and read nothing."""
    # Without a look at the table, so that this works whatever state it is in.
    return Target(made.table, made.column, "NULL", (), made.to_model, made.to_dimensions)
