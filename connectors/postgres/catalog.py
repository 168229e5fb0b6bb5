"""What the catalogue says about a configured table, and the target that follows from
it.
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
    """One line of inspect_table in catalog.sql."""

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
    """Read the catalogue about a table.

    Args:
        session: any connection to the database.
        table: which.
        role: whose exemption from row-level security is meant; the connected role's
            when None.

    Raises:
        ConfigurationError: there is no such table.
    """
    parameters = {"schema": table.schema, "name": table.name, "role": role}
    lines = session.rows(queries.text("inspect_table"), parameters)
    if not lines:
        raise ConfigurationError(
            f"there is no table {table}", fix="correct [[tables]] name or postgres.dsn"
        )
    (
        oid,
        kind,
        persistence,
        identity,
        rls,
        partition,
        pk,
        identity_columns,
        columns,
        triggers,
        bypass,
        rows,
    ) = lines[0]
    return TableInfo(
        oid,
        kind,
        persistence,
        identity,
        rls,
        partition,
        tuple(KeyColumn(column["name"], column["type"], column["category"]) for column in pk),
        tuple(column["category"] for column in pk),
        tuple(identity_columns),
        columns or {},
        tuple(triggers),
        bool(bypass),
        int(rows),
    )


def target_of(info: TableInfo, table: TableSettings, *, model: str, dimensions: int) -> Target:
    """The target of a configured table.

    Raises:
        TargetMismatch: the vector column is missing, is no vector, or has another
            length than the model's.
    """
    column = info.columns.get(table.column)
    if column is None:
        raise TargetMismatch(
            f"table {table.name} has no column {table.column!r}",
            fix=f'ALTER TABLE {table.name} ADD COLUMN "{table.column}" vector({dimensions})',
        )
    kind = str(column["type"]).rsplit(".", 1)[-1].strip('"')
    if kind != "vector":
        raise TargetMismatch(
            f"column {table.name}.{table.column} is of type {column['type']}, not vector",
            fix="name the vector column in [[tables]] column",
        )
    declared = int(column["typmod"])
    if declared not in (dimensions, -1):
        raise TargetMismatch(
            (
                f"column {table.name}.{table.column} is vector({declared}), the model makes "
                f"{dimensions} dimensions"
            ),
            fix=(
                "vectrue doctor, which names the next command; or set model.dimensions to what "
                "the column holds"
            ),
        )
    return Target(table.table, table.column, table.text, info.primary_key, model, dimensions)


def require_table(info: TableInfo, table: TableName) -> None:
    """Refuse what has the name of a table and is not one, and a table whose rows cannot
    be told apart.

    Raises:
        ConfigurationError: with what it is.
    """
    if info.kind not in ("r", "p"):
        raise ConfigurationError(
            f"{table} is a {describe(info)}, and only tables can be kept in step",
            fix="name the table that holds the rows in [[tables]], or give the table its name back",
        )
    require_key(info, table)


def require_key(info: TableInfo, table: TableName | str) -> None:
    """Refuse a table whose rows cannot be told apart. Raises ConfigurationError."""
    if not info.primary_key:
        raise ConfigurationError(
            f"table {table} has no primary key, so a row cannot be told from another",
            fix=f"ALTER TABLE {table} ADD PRIMARY KEY (...)",
        )


def check_text(session: Session, target: Target) -> None:
    """Have Postgres parse the text expression, and plan it where that is safe
    (`Session.only_parses`); reads nothing.

    Raises:
        ConfigurationError: it does not: the message is Postgres's, with the setting
            named; or the role may not read what the text reads.
        TransientError: Postgres went away, or the table is locked.
    """
    if (why := expressions.refusal(session, target.text)) is not None:
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
        if (
            not isinstance(said, psycopg2.Error)
            or (refused := _refused(target, said, error)) is error
        ):
            raise
        raise refused from said


def _refused(target: Target, error: psycopg2.Error, translated: VectrueError) -> VectrueError:
    if expressions.is_to_blame(error, translated):
        return _no_expression(target, " ".join(str(error).split()))
    return translated


def _no_expression(target: Target, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the text of table {target.table} is no valid expression ({why})",
        fix="correct [[tables]] text",
    )


def describe(info: TableInfo) -> str:
    """The relation's kind in words."""
    return KINDS.get(info.kind, f"relation of kind {info.kind}")
