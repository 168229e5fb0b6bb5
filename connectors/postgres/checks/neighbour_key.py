"""Whether a table can be published by its key without breaking the application.

Hazard: an UPDATE fails in the application once a table without replica identity is
published: no primary key, a deferrable one, REPLICA IDENTITY NOTHING, a dropped index.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.postgres import catalog
from connectors.postgres.catalog import TableInfo
from schemas.errors import ConfigurationError
from schemas.health.shape import travels
from schemas.rows.target import KeyColumn


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One line of neighbour_facts in checks/checks.sql."""

    owned: bool
    sees_all_rows: bool
    key_immediate: bool
    key_base_types: dict[str, str]
    generated: list[str]
    not_null: list[str]
    inherited_from: bool
    partitions: list[dict[str, str]]
    root: str | None


def check(name: str, info: TableInfo, facts: TableFacts) -> None:
    """Refuse a key by which rows cannot be found again from their events.

    Raises:
        ConfigurationError: what is wrong with it, and the fix.
    """
    if info.is_partition:
        raise ConfigurationError(
            f"table {name} is a partition, and is kept in step through its root",
            fix=f"name {facts.root} in [[tables]]",
        )
    if facts.inherited_from:
        raise ConfigurationError(
            f"table {name} has tables that inherit from it, whose rows its primary key does "
            "not cover",
            fix="list the tables that hold the rows in [[tables]], or use declarative partitioning",
        )
    catalog.require_key(info, name)
    for column in info.primary_key:
        _check_column(name, column, facts)


def _check_column(name: str, column: KeyColumn, facts: TableFacts) -> None:
    # Keys come from events as text, and have to be cast back to the same value.
    if not travels(column, facts.key_base_types[column.name]):
        raise ConfigurationError(
            f"key column {column.name!r} of table {name} is of type {column.type}, whose "
            "values do not come through capture unchanged",
            fix="use a key of integers, numeric, text, uuid, boolean, enum, date or timestamp",
        )
    if column.name in facts.generated:
        raise ConfigurationError(
            f"key column {column.name!r} of table {name} is generated, and generated "
            "columns are not published",
            fix="use a key of ordinary columns",
        )


def check_replica_identity(name: str, info: TableInfo, facts: TableFacts) -> None:
    """Refuse a replica identity with which the application's updates would fail.

    Raises:
        ConfigurationError: what is wrong with it, and the fix.
    """
    if not facts.key_immediate:
        raise ConfigurationError(
            f"the primary key of table {name} is deferrable and so not a replica identity: "
            "once published, the application's updates would fail",
            fix="make the primary key NOT DEFERRABLE",
        )
    missing = info.replica_identity == "n" or (
        info.replica_identity == "i" and not info.identity_columns
    )
    if info.kind == "r" and missing:
        raise ConfigurationError(
            f"table {name} has REPLICA IDENTITY NOTHING: once published, the application's "
            "updates would fail",
            fix=f"ALTER TABLE {name} REPLICA IDENTITY DEFAULT",
        )
    # For a partitioned table the partitions decide, since the writes happen there.
    for part in facts.partitions:
        _check_partition(name, part)


def _check_partition(name: str, part: Mapping[str, str]) -> None:
    # Neither a foreign nor an unlogged table writes to the log.
    if part["kind"] != "r" or part["persistence"] != "p":
        raise ConfigurationError(
            f"partition {part['name']} of table {name} is a foreign or unlogged table, "
            "which cannot be captured",
            fix="make it an ordinary table, or detach it",
        )
    if part["replica_identity"] == "n":
        raise ConfigurationError(
            f"partition {part['name']} of table {name} has REPLICA IDENTITY NOTHING: once "
            "published, the application's updates would fail",
            fix=f"ALTER TABLE {part['name']} REPLICA IDENTITY DEFAULT",
        )
