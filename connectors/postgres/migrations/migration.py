"""The database's side of a migration of vector columns: its state, and the statements
of each step.

Hazards:
- Every step is planned from what is there, so that a step that was killed is finished
  by running it again.
- A step is one transaction over all tables of its scope (`together`): columns, indexes,
  targets, quarantine, the view that counts and the state move together or not at all.
- Everything outside that names a column by number (a view, a function with a parsed
  body) stays with the old column.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

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


def require_known(session: Session) -> None:
    """Refuse to speak of migrations where `init` was never run.

    Raises:
        ConfigurationError: so it is in this database.
    """
    if not schema.exists(session, "vectrue.targets"):
        raise schema.unknown()


def read(session: Session, *, finished: bool = False) -> list[ColumnMigration]:
    """The columns that are under way, by table; none where `init` has not brought the
    schema up to date.

    Args:
        session: any connection that may read the schema vectrue.
        finished: also those that arrived, as often as they did.
    """
    if not schema.exists(session, "vectrue.column_migrations"):
        return []
    return [
        ColumnMigration(
            TableName.parse(table),
            column,
            MigrationState(state),
            offline,
            frozen,
            from_model,
            from_dimensions,
            to_model,
            to_dimensions,
            tuple(IndexNames(**names) for names in indexes),
            from_settings,
            to_settings,
        )
        for table, column, state, offline, frozen, from_model, from_dimensions, to_model, to_dimensions, indexes, from_settings, to_settings in session.rows(
            queries.text("open_migrations"), {"finished": finished}
        )
    ]


def record(session: Session, target: Target, migration: ColumnMigration) -> Statement:
    """Note that a column is on its way; the first statement of every migration."""
    m = migration
    names = [{name: getattr(index, name) for name in IndexNames.__slots__} for index in m.indexes]
    body = queries.for_target(
        "record_migration",
        target,
        bound=False,
        offline=sql.Literal(m.offline),
        frozen=sql.Literal(m.frozen),
        from_model=sql.Literal(m.from_model),
        from_dimensions=sql.Literal(m.from_dimensions),
        to_model=sql.Literal(m.to_model),
        to_dimensions=sql.Literal(m.to_dimensions),
        from_settings=sql.Literal(json.dumps(dict(m.from_settings))),
        to_settings=sql.Literal(json.dumps(dict(m.to_settings))),
        indexes=sql.Literal(json.dumps(names)),
    )
    return Statement(f"record the migration of {m.name} to {m.to_model}", render(session, body))


def add_growing(session: Session, target: Target, dimensions: int, vector_schema: str) -> Statement:
    """Add the column in which the new vectors grow."""
    beside = growing(target.column)
    parts = {"beside": sql.Identifier(beside), "type": vector_type(vector_schema, dimensions)}
    body = queries.for_target("add_growing", target, bound=False, **parts)
    return Statement(
        f"add the column {beside} vector({dimensions}) to {target.table}", render(session, body)
    )


def freeze(session: Session, target: Target, *, frozen: bool) -> Statement:
    """Have a column's vectors kept true no longer, or again."""
    body = queries.for_target("freeze_target", target, bound=False, frozen=sql.Literal(frozen))
    return Statement(f"{'freeze' if frozen else 'unfreeze'} {target.name}", render(session, body))


def analyze(session: Session, target: Target) -> Statement | None:
    """Have the planner know a column's vectors: one that it last saw empty it takes for
    one that matches no row.

    Returns:
        None where it knows that most rows have a model.
    """
    asked = {
        "schema": target.table.schema,
        "table": target.table.name,
        "column": target.model_column,
    }
    share = session.rows(queries.text("null_share"), asked)[0][0]
    if share is not None and share < _MOSTLY_NULL:
        return None
    table = queries.table(target.table)
    return Statement(
        f"analyze {target.table}", render(session, sql.SQL("ANALYZE {}").format(table))
    )


def freeze_later(session: Session, made: ColumnMigration) -> Statement:
    """Have the old vectors of a migration that is under way kept true no longer."""
    target = _bare(made)
    noted = render(session, queries.for_target("freeze_migration", target, bound=False))
    return Statement(
        f"freeze {made.name}", ";\n".join([noted, freeze(session, target, frozen=True).sql])
    )


def together(
    session: Session, tables: Iterable[TableName], steps: Sequence[Statement]
) -> Statement:
    """Several steps as one transaction, which has every lock before it changes
    anything.

    Args:
        session: of the tables' owner.
        tables: those that are changed.
        steps: at least one.
    """
    # One LOCK for all tables, always in the same order, so that no other order of locks
    # can cross it halfway.
    names = sql.SQL(", ").join(queries.table(table) for table in sorted(set(tables)))
    lock = (
        [render(session, sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))]
        if set(tables)
        else []
    )
    what = ", ".join(dict.fromkeys(step.description for step in steps))
    return Statement(what, ";\n".join([*lock, *(step.sql for step in steps)]))


def exchange(
    session: Session,
    targets: Sequence[Target],
    migrations: Sequence[ColumnMigration],
    *,
    back: bool,
) -> Statement:
    """Have the new columns served, all of them at once; or, `back`, the old ones again,
    with the new ones beside them.

    Args:
        session: of the tables' owner.
        targets: the served columns as they are now.
        migrations: theirs, in the same order.
        back: whether this is the way back.
    """
    parts = []
    for target, migration in zip(targets, migrations, strict=True):
        parts += _renames(session, target, migration, back=back)
        parts.append(
            _moved(session, target, MigrationState.STARTED if back else MigrationState.SWAPPED)
        )
        if back:
            parts.append(freeze(session, target, frozen=False).sql)
    what = "serve the old vectors again" if back else "serve the new vectors"
    return Statement(f"{what} in {', '.join(target.name for target in targets)}", ";\n".join(parts))


def discard(session: Session, found: Sequence[ColumnMigration], state: MigrationState) -> Statement:
    """Drop what stands beside the served columns, and end their migrations.

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
    return Statement(", ".join(what), ";\n".join(parts))


def forget(session: Session, made: ColumnMigration) -> Statement:
    """End the migration of a table that is gone."""
    target = _bare(made)
    parts = [_moved(session, target, MigrationState.ROLLED_BACK)]
    columns = [replace(target, column=column) for column in (made.column, made.beside) if column]
    parts += [
        render(session, queries.for_target("forget_column", one, bound=False)) for one in columns
    ]
    return Statement(f"end the migration of {made.name}, whose table is gone", ";\n".join(parts))


def refill(
    session: Session, target: Target, made: ColumnMigration, vector_schema: str
) -> Statement:
    """Offline, and back: empty the column once more, for vectors of the old model, with
    the indexes it had.

    Args:
        session: of the table's owner.
        target: the column as it is.
        made: its migration.
        vector_schema: schema of pgvector.
    """
    old = replace(made, to_model=made.from_model, to_dimensions=made.from_dimensions)
    parts = [empty(session, target, old, vector_schema).sql]
    # Of an empty column an index is made in a moment; nobody could be asked to remember
    # its definition.
    parts += [names.definition.replace(" ON ONLY ", " ON ", 1) for names in made.indexes]
    parts.append(_moved(session, target, MigrationState.ROLLED_BACK))
    return Statement(
        f"empty {made.name}, make it vector({made.from_dimensions}) again", ";\n".join(parts)
    )


def empty(
    session: Session, target: Target, migration: ColumnMigration, vector_schema: str
) -> Statement:
    """Offline: drop the indexes, empty the column and change its length."""
    drops = twins.drops(session, catalog.inspect(session, target.table).oid, target.column)
    body = queries.for_target(
        "empty_column",
        target,
        bound=False,
        type=vector_type(vector_schema, migration.to_dimensions),
        to_model=sql.Literal(migration.to_model),
        to_dimensions=sql.Literal(migration.to_dimensions),
    )
    parts = [*drops, render(session, body)]
    return Statement(
        f"empty {target.name} and make it vector({migration.to_dimensions})", ";\n".join(parts)
    )


def vector_type(schema_name: str, dimensions: int) -> sql.Composed:
    """`schema.vector(n)`, whatever the search path is."""
    return sql.SQL("{}({})").format(sql.Identifier(schema_name, "vector"), sql.Literal(dimensions))


def _renames(
    session: Session, target: Target, migration: ColumnMigration, *, back: bool
) -> list[str]:
    first, second = growing(target.column), retired(target.column)
    aside, coming = (first, second) if back else (second, first)
    stepping, taking = replace(target, column=aside), replace(target, column=coming)
    parts = {
        "aside": aside,
        "aside_hash": stepping.hash_column,
        "aside_model": stepping.model_column,
        "aside_time": stepping.time_column,
        "aside_digest": stepping.digest_column,
        "coming": coming,
        "coming_hash": taking.hash_column,
        "coming_model": taking.model_column,
        "coming_time": taking.time_column,
        "coming_digest": taking.digest_column,
    }
    identifiers: dict[str, sql.Composable] = {
        name: sql.Identifier(value) for name, value in parts.items()
    }
    identifiers |= {"aside_literal": sql.Literal(aside), "coming_literal": sql.Literal(coming)}
    renamed = render(
        session, queries.for_target("rename_columns", target, bound=False, **identifiers)
    )
    suffix = "_v2" if back else "_old"
    return [renamed, *twins.renames(session, migration, lambda name: suffixed(name, suffix))]


def _moved(session: Session, target: Target, state: MigrationState) -> str:
    return render(
        session,
        queries.for_target("move_migration", target, bound=False, state=sql.Literal(str(state))),
    )


def _bare(made: ColumnMigration) -> Target:
    """The served column, for statements that name it and read nothing: whatever else is
    amiss with its table.
    """
    return Target(made.table, made.column, "NULL", (), made.to_model, made.to_dimensions)
