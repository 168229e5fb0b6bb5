"""What the catalogue says about a configured table, and the target that follows from it.

Hazard: types and names are as the catalogue has them now. DDL of the application may
change them at any time, so nothing here is kept for longer than a command or a round.
"""

from dataclasses import dataclass
from typing import Any

import psycopg2

from connectors.postgres import expressions, queries
from connectors.postgres.errors import translate
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TargetMismatch, VectrueError
from schemas.health.shape import KINDS
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.sections import TableSettings


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table in the catalogue.

    Attributes:
        oid: its own.
        kind: pg_class.relkind.
        persistence: pg_class.relpersistence.
        replica_identity: pg_class.relreplident.
        row_security: whether it has row-level security.
        is_partition: whether it is one of another table.
        primary_key: its columns, in the order of the key.
        key_categories: pg_type.typcategory of each.
        identity_columns: those of the index that is the replica identity.
        columns: `{"type": ..., "typmod": ..., "category": ...}` of each, by name.
        update_triggers: names of triggers that fire on UPDATE.
        bypasses_rls: whether the role in question is exempt from row-level security.
        estimated_rows: by the statistics.
    """

    oid: int
    kind: str
    persistence: str
    replica_identity: str
    row_security: bool
    is_partition: bool
    primary_key: tuple[KeyColumn, ...]
    key_categories: tuple[str, ...]
    identity_columns: tuple[str, ...]
    columns: dict[str, dict[str, Any]]
    update_triggers: tuple[str, ...]
    bypasses_rls: bool
    estimated_rows: int


def inspect(session: Session, table: TableName, *, role: str | None = None) -> TableInfo:
    """Look up a table in the catalogue.

    Args:
        session: any connection to the database.
        table: which.
        role: whose exemption from row-level security is meant; None for the connected
            role's.

    Raises:
        ConfigurationError: the table does not exist.
    """
    parameters = {"schema": table.schema, "name": table.name, "role": role}
    lines = session.rows(queries.text("inspect_table"), parameters)
    if not lines:
        raise ConfigurationError(
            f"there is no table {table}", fix="correct [[tables]] name or postgres.dsn"
        )
    return _info(lines[0])


def _info(line: tuple[Any, ...]) -> TableInfo:
    oid, kind, persistence, identity, row_security, is_partition, *more = line
    key, identity_columns, columns, triggers, bypasses, rows = more
    primary_key, categories = [], []
    for column in key:
        primary_key.append(KeyColumn(column["name"], column["type"], column["category"]))
        categories.append(column["category"])
    return TableInfo(
        oid=oid,
        kind=kind,
        persistence=persistence,
        replica_identity=identity,
        row_security=row_security,
        is_partition=is_partition,
        primary_key=tuple(primary_key),
        key_categories=tuple(categories),
        identity_columns=tuple(identity_columns),
        columns=columns or {},
        update_triggers=tuple(triggers),
        bypasses_rls=bool(bypasses),
        estimated_rows=int(rows),
    )


def target_of(info: TableInfo, table: TableSettings, *, model: str, dimensions: int) -> Target:
    """The target of a configured table.

    Raises:
        TargetMismatch: the vector column is missing, or of another type or length.
    """
    column = info.columns.get(table.column)
    if column is None:
        raise TargetMismatch(
            f"table {table.name} has no column {table.column!r}",
            fix=f'ALTER TABLE {table.name} ADD COLUMN "{table.column}" vector({dimensions})',
        )
    # The extension's schema need not be in the search path.
    kind = str(column["type"]).rsplit(".", 1)[-1].strip('"')
    if kind != "vector":
        raise TargetMismatch(
            f"column {table.name}.{table.column} is of type {column['type']}, not vector",
            fix="name the vector column in [[tables]] column",
        )
    declared = int(column["typmod"])
    if declared not in (dimensions, -1):
        raise TargetMismatch(
            f"column {table.name}.{table.column} is vector({declared}), the model makes "
            f"{dimensions} dimensions",
            fix=(
                "run `vectrue doctor`, which names the next command; or set model.dimensions "
                "to what the column holds"
            ),
        )
    return Target(table.table, table.column, table.text, info.primary_key, model, dimensions)


def require_table(info: TableInfo, table: TableName) -> None:
    """Refuse a relation that is not a table, and a table without a primary key.

    Raises:
        ConfigurationError: with what it is.
    """
    if info.kind not in ("r", "p"):
        raise ConfigurationError(
            f"{table} is a {describe(info)}, and only the vectors of tables can be kept true",
            fix="name the table that holds the rows in [[tables]], or give the table its name back",
        )
    require_key(info, table)


def require_key(info: TableInfo, table: TableName | str) -> None:
    """Refuse a table without a primary key. Raises ConfigurationError."""
    if not info.primary_key:
        raise ConfigurationError(
            f"table {table} has no primary key, so its rows cannot be told apart",
            fix=f"ALTER TABLE {table} ADD PRIMARY KEY (...)",
        )


def check_text(session: Session, target: Target) -> None:
    """Have Postgres parse the text expression, and plan it where that is safe.

    It is not safe if `session.only_parses`. Nothing is read.

    Raises:
        ConfigurationError: Postgres refuses it, or the role may not read what the text
            reads.
        TransientError: Postgres went away, or the table is locked.
    """
    why = expressions.refusal(session, target.text)
    if why is not None:
        raise _no_expression(target, why)
    try:
        if session.only_parses:
            with expressions.viewed(session, target):
                return
        expressions.explain(session, queries.for_target("check_text", target, bound=False))
    except psycopg2.Error as error:
        raise _refused(target, error, translate(error)) from error
    except VectrueError as error:
        said = error.__cause__
        if not isinstance(said, psycopg2.Error):
            raise
        refused = _refused(target, said, error)
        if refused is error:
            raise
        raise refused from said


def _refused(target: Target, error: psycopg2.Error, translated: VectrueError) -> VectrueError:
    if expressions.is_to_blame(error, translated):
        return _no_expression(target, " ".join(str(error).split()))
    return translated


def _no_expression(target: Target, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the text of table {target.table} is not a valid expression ({why})",
        fix="correct [[tables]] text",
    )


def describe(info: TableInfo) -> str:
    """The relation's kind in words."""
    return KINDS.get(info.kind, f"relation of kind {info.kind}")
