"""The good-neighbour checks: what would break the application, or hide rows.

It is refused before anything is changed; what is merely worth knowing becomes a notice.

Hazard: an UPDATE fails in the application once its table is published by a column list
that does not cover its replica identity: FULL, or an index on other columns. Such a
table is published with all its columns. For a partitioned table the partitions decide,
since the writes happen there.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.postgres import catalog, queries
from connectors.postgres.catalog import TableInfo
from connectors.postgres.checks import neighbour_key, text_check
from connectors.postgres.checks.neighbour_key import TableFacts
from connectors.postgres.checks.server import COLUMN_LISTS_FROM, Server
from connectors.postgres.checks.text_check import TextFacts
from connectors.postgres.session import Session
from schemas import command
from schemas.errors import ConfigurationError, HiddenRows, VectrueError
from schemas.rows.target import Target
from schemas.settings.sections import TableSettings

_PERSISTENCE = {"u": "unlogged", "t": "temporary"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A configured table that can be kept in step.

    Attributes:
        target: its vector column.
        info: what the catalogue says.
        text_columns: columns the text expression reads, by relation; an empty tuple:
            whole rows.
        keys_only: whether the publication may carry the key columns alone.
        notices: what the operator should know.
    """

    target: Target
    info: TableInfo
    text_columns: dict[int, tuple[str, ...]]
    keys_only: bool
    notices: tuple[str, ...]


def examine(
    session: Session,
    table: TableSettings,
    server: Server,
    *,
    worker: str,
    model: str,
    dimensions: int,
    changing: bool = True,
) -> Examined:
    """Check one table and describe it.

    Args:
        session: connection of the role that will change the table; of any that may read
            it when nothing is changed.
        table: as configured.
        server: what `server.check` returned.
        worker: role of the workers, which must see all rows.
        model: id of the wanted model.
        dimensions: length of its vectors.
        changing: whether the role has to own the table.

    Raises:
        ConfigurationError: what is wrong with it, and the fix.
    """
    info = catalog.inspect(session, table.table, role=worker)
    _check_kind(table.name, info)
    facts = _facts(session, info.oid, worker)
    neighbour_key.check(table.name, info, facts)
    neighbour_key.check_replica_identity(table.name, info, facts)
    if changing:
        _check_owned(table.name, facts, server)
    _check_visible(table.name, facts, worker)
    target = catalog.target_of(info, table, model=model, dimensions=dimensions)
    _check_columns(target, info, facts)
    try:
        catalog.check_text(session, target)
    except HiddenRows:
        # Which rows the owner sees says nothing about the worker.
        if not changing:
            raise
    text = text_check.look(session, target, info.oid)
    _check_others_visible(session, text.columns.keys() - {info.oid}, worker)
    return Examined(
        target,
        info,
        text_columns=text.columns,
        keys_only=_keys_only(info, facts, server),
        notices=tuple(_notices(table.name, info, text)),
    )


def _facts(session: Session, oid: int, worker: str) -> TableFacts:
    lines = session.rows(queries.text("neighbour_facts"), {"oid": oid, "worker": worker})
    if not lines:
        raise VectrueError(
            "the table or the role was dropped while it was looked at",
            fix=f"repeat {command.again()}",
        )
    return TableFacts(*lines[0])


def _check_kind(name: str, info: TableInfo) -> None:
    if info.kind not in ("r", "p"):
        raise ConfigurationError(
            f"{name} is a {catalog.describe(info)}, and only tables can be captured",
            fix="name the table that holds the rows in [[tables]]",
        )
    if info.persistence != "p":
        fix = "use a permanent table"
        if info.persistence == "u":
            fix = f"ALTER TABLE {name} SET LOGGED"
        raise ConfigurationError(
            f"table {name} is {_PERSISTENCE.get(info.persistence, 'not permanent')}: "
            "its changes are not written to the log that capture reads",
            fix=fix,
        )


def _check_owned(name: str, facts: TableFacts, server: Server) -> None:
    if not facts.owned:
        raise ConfigurationError(
            f"role {server.role} does not own table {name}, and only an owner can add columns "
            "and publish it",
            fix="name the owner, or a superuser, in postgres.admin_dsn",
        )


def _check_visible(name: str, facts: TableFacts, worker: str) -> None:
    if not facts.sees_all_rows:
        raise ConfigurationError(
            f"row-level security of table {name} would hide rows from role {worker} without an "
            "error",
            fix=f'ALTER ROLE "{worker}" BYPASSRLS',
        )


def _check_others_visible(session: Session, oids: Iterable[int], worker: str) -> None:
    """Refuse policies on other relations that the text reads."""
    # The text would be another one for the worker.
    for oid in sorted(oids):
        schema, name, _ = session.rows(queries.text("relation_columns"), {"oid": oid})[0]
        _check_visible(f"{schema}.{name}", _facts(session, oid, worker), worker)


def _check_columns(target: Target, info: TableInfo, facts: TableFacts) -> None:
    name = f"{target.table}.{target.column}"
    times = Counter(column.lower() for column in info.columns)
    for column, count in times.items():
        if count > 1:
            raise ConfigurationError(
                f"table {target.table} has columns that differ from {column!r} by case alone, "
                "and Debezium would stop capture of all tables",
                fix=f"ALTER TABLE {target.table} RENAME one of them",
            )
    if target.column in facts.not_null:
        raise ConfigurationError(
            f"column {name} is NOT NULL, but a row without text has no vector",
            fix=f'ALTER TABLE {target.table} ALTER COLUMN "{target.column}" DROP NOT NULL',
        )
    # A column of the application may have the name of one that is to be added.
    wanted = {
        target.hash_column: "bytea",
        target.model_column: "text",
        target.time_column: "timestamp with time zone",
        target.digest_column: "bytea",
    }
    for column, kind in wanted.items():
        there = info.columns.get(column)
        if there is not None and (there["type"] != kind or column in facts.generated):
            raise ConfigurationError(
                f"column {target.table}.{column} is of type {there['type']}, but vectrue needs "
                f"it as {kind} beside {target.column}",
                fix="rename that column, or the vector column and [[tables]] column",
            )


def _keys_only(info: TableInfo, facts: TableFacts, server: Server) -> bool:
    if server.major < COLUMN_LISTS_FROM:
        return False
    # A list that does not cover the replica identity makes the application's UPDATEs
    # fail; for a partitioned table those of the partitions count.
    if info.kind == "p":
        return all(part["replica_identity"] == "d" for part in facts.partitions)
    if info.replica_identity == "d":
        return True
    key = {column.name for column in info.primary_key}
    return info.replica_identity == "i" and set(info.identity_columns) <= key


def _notices(name: str, info: TableInfo, text: TextFacts) -> list[str]:
    notices: list[str] = []
    if info.update_triggers:
        notices.append(
            f"writing a vector fires the UPDATE triggers of {name} "
            f"({', '.join(info.update_triggers)}); "
            "with postgres.fire_triggers = false it does not"
        )
    for other in text.others:
        said = f"the text of {name} reads {other} too, whose changes are not captured"
        notices.append(said)
    for call in text.stable:
        said = (
            f"the text of {name} calls {call}, which may find something else for the same row: "
            "that is not captured"
        )
        notices.append(said)
    return notices
