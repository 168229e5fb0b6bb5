"""The configuration of the Debezium connector that captures keys.

Hazards:
- The include lists are regular expressions that ignore case, split at commas, with
  white space cut off, see `pattern`.
- The configuration holds the database password; it is never put into a message.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.debezium.always import ALWAYS, EXACT
from schemas.errors import ConfigurationError
from schemas.health import canary
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings


@dataclass(frozen=True, slots=True)
class CapturedDatabase:
    """The database as the connector reaches it.

    Attributes:
        host: its address.
        port: of the server.
        name: of the database.
        user: whom the connector logs in as.
        password: its password; None where none is needed.
        sslmode: libpq's; None is libpq's default.
        sslrootcert: libpq's: a PEM file where Kafka Connect runs.
    """

    host: str
    port: int
    name: str
    user: str
    password: str | None
    sslmode: str | None
    sslrootcert: str | None = None


def connector_config(
    settings: Settings,
    database: CapturedDatabase,
    targets: Sequence[Target],
    *,
    origin_filter: bool,
    heartbeat_query: str,
) -> dict[str, str]:
    """The connector's configuration.

    Args:
        settings: names, prefix, intervals.
        database: where the connector connects to.
        targets: their tables and key columns are captured, and the canary, nothing
            else.
        origin_filter: whether the server can leave writes with an origin out
            (PostgreSQL 16); an older one refuses to stream when asked to.
        heartbeat_query: what moves the slot while the tables are quiet.

    Returns:
        the whole of it: what it does not name is Debezium's default.
    """
    config = {
        **ALWAYS,
        **_captured(targets),
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.dbname": database.name,
        "database.user": database.user,
        "topic.prefix": settings.kafka.topic_prefix,
        "slot.name": settings.slot,
        "publication.name": settings.postgres.publication,
        "heartbeat.interval.ms": str(settings.connect.heartbeat_seconds * 1000),
        "heartbeat.action.query": heartbeat_query,
        "poll.interval.ms": str(settings.connect.poll_interval_ms),
    }
    if origin_filter:
        config["slot.stream.params"] = "origin=none"
    return config | _login(database)


def _captured(targets: Sequence[Target]) -> dict[str, str]:
    """The lists of what is captured: tables, and their key columns."""
    captured: dict[TableName, Iterable[str]] = {}
    for target in targets:
        captured[target.table] = [column.name for column in target.key]
    captured[canary.TABLE] = canary.COLUMNS
    tables: set[str] = set()
    columns: set[str] = set()
    for table, names in captured.items():
        tables.add(pattern(table.schema, table.name))
        columns.update(pattern(table.schema, table.name, name) for name in names)
    return {
        "table.include.list": ",".join(sorted(tables)),
        "column.include.list": ",".join(sorted(columns)),
    }


def _login(database: CapturedDatabase) -> dict[str, str]:
    """What is set only where it is known: an empty value would be one, too."""
    login: dict[str, str] = {}
    if database.password is not None:
        login["database.password"] = database.password
    if database.sslmode is not None:
        login["database.sslmode"] = database.sslmode
    if database.sslrootcert is not None:
        login["database.sslrootcert"] = database.sslrootcert
    return login


def pattern(*names: str) -> str:
    """A regular expression of Java that matches exactly these names joined by dots.

    It survives Debezium's lists.
    """
    return EXACT + r"\.".join(_escaped(name) for name in names)


def _escaped(name: str) -> str:
    # A comma would split the list, white space at its ends would be cut off.
    written = ""
    for character in name:
        if character.isalnum() or character == "_":
            written += character
        else:
            written += f"\\x{{{ord(character):x}}}"
    return written


def database_of(
    settings: Settings, parameters: Mapping[str, str], password: str | None
) -> CapturedDatabase:
    """The database as the connector reaches it.

    Args:
        settings: connect.database_host, connect.database_port and
            connect.database_sslrootcert win.
        parameters: of an open connection, by libpq's names.
        password: what that connection used.

    Raises:
        ConfigurationError: it is reached through a Unix socket, which Java cannot use.
    """
    host = _host(settings, parameters)
    # A host may be an address of this machine alone; where Connect runs elsewhere, the
    # settings of [connect] say how it reaches the server.
    port = settings.connect.database_port or int(parameters.get("port") or 5432)
    root = settings.connect.database_sslrootcert or parameters.get("sslrootcert")
    return CapturedDatabase(
        host,
        port,
        name=parameters["dbname"],
        user=parameters["user"],
        password=password or None,
        sslmode=parameters.get("sslmode"),
        sslrootcert=root,
    )


def _host(settings: Settings, parameters: Mapping[str, str]) -> str:
    host = settings.connect.database_host or parameters.get("host") or "localhost"
    if host.startswith(("/", "@")):
        raise ConfigurationError(
            f"postgres.dsn leads to the Unix socket {host}, which Kafka Connect cannot use",
            fix="set connect.database_host to the server's address",
        )
    return host
