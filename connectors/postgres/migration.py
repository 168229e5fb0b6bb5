"""The database's side of a migration of vector columns: its state, and the statements of each step.

Hazards:
- Every step is planned from what is there, so that a step that was killed is finished by running it again.
- The swap and its way back are one transaction over all tables: columns, indexes, targets, quarantine, the view that
  counts and the state move together or not at all.
- Everything outside that names a column by number (a view, a function with a parsed body) stays with the old column.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg2 import sql

from connectors.postgres import counting, queries, schema
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render, trial
from schemas.migration import ColumnMigration, IndexNames, State, growing, retired
from schemas.table import TableName
from schemas.target import Target

_MOSTLY_NULL = 0.5


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An index that reads a vector column.

    Attributes:
        name: its name, in the table's schema.
        definition: `CREATE INDEX`, as the server prints it.
        valid: false for what a failed CREATE INDEX CONCURRENTLY leaves.
        method: `hnsw`, `ivfflat` or another.
        plain: on this column alone, without an expression or a condition.
        bytes: its size.
    """

    name: str
    definition: str
    valid: bool
    method: str
    plain: bool
    bytes: int


def read(session: Session) -> list[ColumnMigration]:
    """The columns that are under way, by table; none where `init` has not brought the schema up to date."""
    if not schema.exists(session, "embedsync.column_migrations"):
        return []
    return [
        ColumnMigration(
            TableName.parse(table), column, State(state), offline, frozen, from_model, from_dimensions, to_model,
            to_dimensions, tuple(IndexNames(**names) for names in indexes), from_settings, to_settings,
        )
        for table, column, state, offline, frozen, from_model, from_dimensions, to_model, to_dimensions, indexes,
        from_settings, to_settings in session.rows(queries.text("open_migrations"))
    ]  # fmt: skip


def indexes(session: Session, oid: int, column: str) -> list[VectorIndex]:
    """The indexes that read a column of the table with this oid."""
    with trial(session) as cursor:
        cursor.execute("SET LOCAL search_path = ''")  # so that a definition means the same in every session
        cursor.execute(queries.text("vector_indexes"), {"oid": oid, "column": column})
        return [VectorIndex(*line) for line in cursor.fetchall()]


def readers(session: Session, oid: int, column: str) -> list[str]:
    """Views that read a column, and would go on reading it under its new name."""
    return [name for (name,) in session.rows(queries.text("column_readers"), {"oid": oid, "column": column})]


def record(session: Session, target: Target, migration: ColumnMigration) -> Statement:
    """Note that a column is on its way; the first statement of every migration."""
    m = migration
    names = [{name: getattr(index, name) for name in IndexNames.__slots__} for index in m.indexes]
    body = queries.for_target(
        "record_migration", target, bound=False, offline=sql.Literal(m.offline), frozen=sql.Literal(m.frozen),
        from_model=sql.Literal(m.from_model), from_dimensions=sql.Literal(m.from_dimensions),
        to_model=sql.Literal(m.to_model), to_dimensions=sql.Literal(m.to_dimensions),
        from_settings=sql.Literal(json.dumps(dict(m.from_settings))),
        to_settings=sql.Literal(json.dumps(dict(m.to_settings))), indexes=sql.Literal(json.dumps(names)),
    )  # fmt: skip
    return Statement(f"record the migration of {m.name} to {m.to_model}", render(session, body))


def add_growing(session: Session, target: Target, dimensions: int, vector_schema: str) -> Statement:
    """Add the column in which the new vectors grow."""
    beside = growing(target.column)
    parts = {"beside": sql.Identifier(beside), "type": vector_type(vector_schema, dimensions)}
    body = queries.for_target("add_growing", target, bound=False, **parts)
    return Statement(f"add the column {beside} vector({dimensions}) to {target.table}", render(session, body))


def freeze(session: Session, target: Target, *, frozen: bool) -> Statement:
    """Have a column's vectors kept true no longer, or again."""
    body = queries.for_target("freeze_target", target, bound=False, frozen=sql.Literal(frozen))
    return Statement(f"{'freeze' if frozen else 'unfreeze'} {target.name}", render(session, body))


def analyze(session: Session, target: Target) -> Statement | None:
    """Have the planner know a column's vectors: one that it last saw empty it takes for one that matches no row.

    Returns:
        None where it knows that most rows have a model.
    """
    asked = {"schema": target.table.schema, "table": target.table.name, "column": target.model_column}
    share = session.rows(queries.text("null_share"), asked)[0][0]
    if share is not None and share < _MOSTLY_NULL:
        return None
    table = queries.table(target.table)
    return Statement(f"analyze {target.table}", render(session, sql.SQL("ANALYZE {}").format(table)))


def exchange(
    session: Session,
    targets: Sequence[Target],
    migrations: Sequence[ColumnMigration],
    after: Sequence[Target],
    *,
    prefix: str,
    back: bool,
) -> Statement:
    """Have the new columns served, all of them at once; or, `back`, the old ones again, with the new ones beside them.

    Args:
        session: of the tables' owner.
        targets: the served columns as they are now.
        migrations: theirs, in the same order.
        after: every column that is counted afterwards, of the tables that the settings list.
        prefix: kafka.topic_prefix of the installation.
        back: whether this is the way back.
    """
    tables = sql.SQL(", ").join(queries.table(target.table) for target in targets)
    # One LOCK for all tables before anything else, so that no other order of locks can cross it halfway.
    parts = [render(session, sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(tables))]
    for target, migration in zip(targets, migrations, strict=True):
        parts += _renames(session, target, migration, back=back)
        parts.append(_moved(session, target, State.STARTED if back else State.SWAPPED))
        if back:
            parts.append(freeze(session, target, frozen=False).sql)
    parts += [statement.sql for statement in counting.plan(session, prefix, after)]
    what = "serve the old vectors again" if back else "serve the new vectors"
    return Statement(f"{what} in {', '.join(target.name for target in targets)}", ";\n".join(parts))


def discard(
    session: Session, target: Target, migration: ColumnMigration, state: State, after: Sequence[Target], *, prefix: str
) -> Statement:
    """Drop what stands beside the served column, and end the migration.

    Args:
        session: of the table's owner.
        target: the served column.
        migration: its migration.
        state: FINISHED when the old vectors go, ROLLED_BACK when the new ones do.
        after: every column that is counted afterwards, of the tables that the settings list.
        prefix: kafka.topic_prefix of the installation.
    """
    parts = [_moved(session, target, state), freeze(session, target, frozen=False).sql]
    what = f"end the migration of {target.name}"
    if migration.beside:
        beside = replace(target, column=migration.beside)
        parts.insert(0, render(session, queries.for_target("drop_columns", beside, bound=False)))
        what = f"drop the column {migration.beside} of {target.table} and {what}"
        parts += [statement.sql for statement in counting.plan(session, prefix, after)]
    return Statement(what, ";\n".join(parts))


def empty(session: Session, target: Target, migration: ColumnMigration, vector_schema: str) -> Statement:
    """Offline: drop the indexes, empty the column and change its length."""
    drops = [
        sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(target.table.schema, names.served))
        for names in migration.indexes
    ]
    body = queries.for_target(
        "empty_column", target, bound=False, type=vector_type(vector_schema, migration.to_dimensions),
        to_model=sql.Literal(migration.to_model), to_dimensions=sql.Literal(migration.to_dimensions),
    )  # fmt: skip
    parts = [*(render(session, drop) for drop in drops), render(session, body)]
    return Statement(f"empty {target.name} and make it vector({migration.to_dimensions})", ";\n".join(parts))


def vector_type(schema_name: str, dimensions: int) -> sql.Composed:
    """`schema.vector(n)`, whatever the search path is."""
    return sql.SQL("{}({})").format(sql.Identifier(schema_name, "vector"), sql.Literal(dimensions))


def _renames(session: Session, target: Target, migration: ColumnMigration, *, back: bool) -> list[str]:
    first, second = growing(target.column), retired(target.column)
    aside, coming = (first, second) if back else (second, first)
    stepping, taking = replace(target, column=aside), replace(target, column=coming)
    parts = {
        "aside": aside, "aside_hash": stepping.hash_column, "aside_model": stepping.model_column,
        "aside_time": stepping.time_column, "aside_digest": stepping.digest_column,
        "coming": coming, "coming_hash": taking.hash_column, "coming_model": taking.model_column,
        "coming_time": taking.time_column, "coming_digest": taking.digest_column,
    }  # fmt: skip
    identifiers: dict[str, sql.Composable] = {name: sql.Identifier(value) for name, value in parts.items()}
    identifiers |= {"aside_literal": sql.Literal(aside), "coming_literal": sql.Literal(coming)}
    lines = [render(session, queries.for_target("rename_columns", target, bound=False, **identifiers))]
    for names in migration.indexes:
        aside_name, coming_name = (names.growing, names.retired) if back else (names.retired, names.growing)
        lines += [_rename_index(session, target, names.served, aside_name)]
        lines += [_rename_index(session, target, coming_name, names.served)]
    return lines


def _rename_index(session: Session, target: Target, name: str, to: str) -> str:
    query = sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}")
    return render(session, query.format(sql.Identifier(target.table.schema, name), sql.Identifier(to)))


def _moved(session: Session, target: Target, state: State) -> str:
    return render(session, queries.for_target("move_migration", target, bound=False, state=sql.Literal(str(state))))
