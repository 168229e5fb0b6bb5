"""What `init` sets up for capture: origins, publication, heartbeat row, slot.

Hazard: the slot comes last and before the connector: everything written after it is
captured, and everything before it is counted in the report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from connectors.postgres.setup import lists
from connectors.postgres.setup import origins as origin_rules
from connectors.postgres.statement import Statement, render
from schemas.errors import ConfigurationError
from schemas.health import canary
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

HEARTBEAT = TableName("vectrue", "heartbeat")
OURS: dict[TableName, frozenset[str] | None] = {HEARTBEAT: None, canary.TABLE: None}
"""Published beside the configured tables, whole."""
HEARTBEAT_QUERY = (
    "INSERT INTO vectrue.heartbeat (id, at) VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET at "
    "= excluded.at"
)
# A deleted row takes its vector with it, and a truncated table has none, so neither is
# published.
_OPTIONS = "publish = 'insert, update', publish_via_partition_root = true"
# A new slot waits for every transaction that writes at that moment; nothing waits behind
# it.
_SLOT_SECONDS = 60.0

GAP = (
    "changes made while there was no slot were not captured; the keeper of the replay workers "
    "finds them within minutes, or run `vectrue replay run --only stale` now"
)
"""What `init` says whenever a slot was lost."""
_Listed = dict[TableName, frozenset[str] | None]
"""Published tables, each with its published columns; None: with all."""


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """What happens to the slot.

    Attributes:
        statements: that make or replace it.
        notices: what was lost.
        made: whether it is created.
        replaced: whether an unusable one goes first.
    """

    statements: tuple[Statement, ...]
    notices: tuple[str, ...]
    made: bool
    replaced: bool


def origins(session: Session, prefix: str, server: Server) -> tuple[list[Statement], list[str]]:
    """The replication origins that label the workers' writes.

    Args:
        session: connection of the role that will make them.
        prefix: `postgres.origin`.
        server: tells the role.

    Returns:
        the statements that make what is missing, and a notice where the role may not.
    """
    names, may_create = session.rows(queries.text("origins"))[0]
    missing: list[str] = []
    for name in origin_rules.made(prefix):
        if name not in names:
            missing.append(name)
    # Without the mark alone, nothing of ours comes back.
    is_only_mark = missing == [f"{prefix}_{origin_rules.MARK}"]
    if not missing or (not may_create and is_only_mark):
        return [], []
    if not may_create:
        notice = (
            f"role {server.role} may not create replication origins: the worker's own writes "
            "come back as events, which costs one key look-up each; a superuser can run the "
            "output of `vectrue init --print-sql`"
        )
        return [], [notice]
    one = sql.SQL("SELECT pg_replication_origin_create({})")
    calls: list[sql.Composed] = []
    for name in missing:
        calls.append(one.format(sql.Literal(name)))
    create = sql.SQL(";\n").join(calls)
    what = f"create the replication origins {', '.join(missing)}"
    return [Statement(what, render(session, create))], []


def publication(
    session: Session, name: str, tables: Sequence[Examined], *, columns: str = "all"
) -> tuple[list[Statement], bool]:
    """The publication of the configured tables.

    Args:
        session: connection of the role that will make it.
        name: of the publication.
        tables: what it will publish.
        columns: `postgres.publication_columns`.

    Returns:
        the statements, and whether it is a new one.

    Raises:
        ConfigurationError: there is one of that name which is not vectrue's.
    """
    wanted = _wanted(tables, keys=columns == "keys")
    entries = [_entry(table, listed, tables) for table, listed in wanted.items()]
    listed = sql.SQL(", ").join(entries)
    identifier, options = sql.Identifier(name), sql.SQL(_OPTIONS)
    shown = f"publication {name} for {', '.join(str(table) for table in wanted)}"
    lines = session.rows(queries.text("publication_facts"), {"publication": name})
    if not lines:
        create = sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})").format(
            identifier, listed, options
        )
        return [Statement(f"create the {shown}", render(session, create))], True
    all_tables, options_right, found = lines[0]
    actual = _listed(found)
    # A publication that vectrue made always holds the heartbeat.
    if all_tables or HEARTBEAT not in actual:
        raise ConfigurationError(
            f"publication {name} was not made by vectrue, and something else may read it",
            fix="set postgres.publication to a name of its own",
        )
    commands = []
    # SET TABLE also removes a row filter, which would leave changes out.
    if actual != wanted or any(table["filtered"] for table in found):
        commands.append(sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(identifier, listed))
    if not options_right:
        commands.append(sql.SQL("ALTER PUBLICATION {} SET ({})").format(identifier, options))
    if not commands:
        return [], False
    change = render(session, sql.SQL(";\n").join(commands))
    return [Statement(f"change the {shown}", change)], False


def _listed(found: Sequence[Mapping[str, Any]]) -> _Listed:
    """What a publication publishes now."""
    actual: _Listed = {}
    for table in found:
        columns = table["columns"]
        published = None if columns is None else frozenset(columns)
        actual[TableName(table["schema"], table["name"])] = published
    return actual


def heartbeat(session: Session, *, founded: bool) -> list[Statement]:
    """The row that the connector touches while the tables are quiet."""
    if founded and session.rows("SELECT 1 FROM vectrue.heartbeat"):
        return []
    return [Statement("write the first heartbeat", HEARTBEAT_QUERY)]


def slot(
    session: Session,
    settings: Settings,
    server: Server,
    *,
    new_publication: bool,
    founded: bool,
    too_large: bool = False,
) -> SlotPlan:
    """The replication slot.

    Args:
        session: connection of the role that will make it.
        settings: its name.
        server: what `server.check` returned.
        new_publication: whether the publication is made by the same plan.
        founded: whether the installation was set up before, so that a slot that is not
            there was there once.
        too_large: whether the connector failed at an event that is too large, and has
            to pass over it.

    Raises:
        ConfigurationError: its name is taken by a slot that cannot be used, or no slot
            is free.
    """
    lines = session.rows(queries.text("slot_facts"), {"slot": settings.slot})
    if not lines:
        return _new_slot(session, settings, server, founded=founded)
    plugin, database, wal_status, _ = lines[0]
    _require_usable(settings.slot, server, plugin, database)
    if wal_status == "lost":
        reason = "the server has removed the log it needs"
    elif too_large:
        reason = "an event was too large for Kafka Connect"
    # A slot that is older than its publication cannot be read: the publication is
    # looked up as of each change.
    elif new_publication:
        reason = "its publication was gone"
    else:
        return SlotPlan((), (), made=False, replaced=False)
    return _replaced_slot(session, settings, reason)


def _new_slot(session: Session, settings: Settings, server: Server, *, founded: bool) -> SlotPlan:
    name = settings.slot
    if not server.slot_free:
        raise ConfigurationError(
            "all replication slots of the server are in use",
            fix=(
                "ALTER SYSTEM SET max_replication_slots to a larger number and restart, or "
                "drop an unused slot"
            ),
        )
    body = render(session, queries.compose("create_slot", slot=sql.Literal(name)))
    create = Statement(f"create the replication slot {name}", body, _SLOT_SECONDS)
    if not founded:
        return SlotPlan((create,), (), made=True, replaced=False)
    gone = f"replication slot {name} was gone"
    # After the slot: a transaction that has written cannot create one, and what comes
    # later is captured.
    asked = ask_all(session, settings, gone)
    notice = f"{gone} and is created again: {GAP}"
    return SlotPlan((create, asked), (notice,), made=True, replaced=False)


def _replaced_slot(session: Session, settings: Settings, reason: str) -> SlotPlan:
    name = settings.slot
    asked = ask_all(session, settings, f"replication slot {name} was lost: {reason}")
    body = render(session, queries.compose("recreate_slot", slot=sql.Literal(name)))
    replace = Statement(f"create the replication slot {name} again", body, _SLOT_SECONDS)
    notice = f"replication slot {name} is created again, because {reason}: {GAP}"
    return SlotPlan((replace, asked), (notice,), made=True, replaced=True)


def _require_usable(name: str, server: Server, plugin: str | None, database: str | None) -> None:
    if database is not None and database != server.database:
        # Another name for the slot alone would lead to the other database's connector
        # and topics.
        raise ConfigurationError(
            f"replication slot {name} belongs to database {database} of this server",
            fix=(
                "give this database a kafka.topic_prefix of its own, from which slot, "
                f"connector, topics and groups follow; if {database} is no longer kept by "
                "vectrue, drop the slot there first: "
                f"SELECT pg_drop_replication_slot('{name}')"
            ),
        )
    if plugin != "pgoutput":
        raise ConfigurationError(
            f"replication slot {name} exists for {plugin or 'physical replication'}",
            fix="give vectrue a kafka.topic_prefix of its own, or postgres.slot another name",
        )


def ask_all(session: Session, settings: Settings, reason: str) -> Statement:
    """Have the keeper look at all rows of all tables. Run it after the slot."""
    tables = [table.table for table in settings.tables]
    return looks.asking(session, settings.kafka.topic_prefix, tables, reason)


def unlisted(tables: Sequence[Examined]) -> list[str]:
    """A notice for each table that cannot be published by its key alone.

    Ask where `publication_columns` is "keys".
    """
    notices: list[str] = []
    for examined in tables:
        table = examined.target.table
        if not examined.keys_only:
            notices.append(
                f"table {table} is published with all its columns, because its replica "
                "identity is not its primary key or PostgreSQL is older than 15; the connector "
                "still passes on the key alone"
            )
    return notices


def _wanted(tables: Sequence[Examined], *, keys: bool) -> _Listed:
    wanted: _Listed = {}
    for examined in tables:
        key = frozenset(column.name for column in examined.target.key)
        wanted[examined.target.table] = key if keys and examined.keys_only else None
    return {**wanted, **OURS}


def _entry(
    table: TableName, columns: frozenset[str] | None, tables: Sequence[Examined]
) -> sql.Composable:
    name = queries.table(table)
    if columns is None:
        return name
    for examined in tables:
        if examined.target.table == table:
            # In the order of the key, which a set does not keep.
            key = lists.identifiers([column.name for column in examined.target.key])
            return sql.SQL("{} ({})").format(name, key)
    raise LookupError(table)
