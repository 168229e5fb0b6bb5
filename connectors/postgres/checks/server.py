"""The server, the database and the roles: what must hold before a table is looked at."""

from dataclasses import dataclass

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError

OLDEST = 14
COLUMN_LISTS_FROM = 15
PARAMETER_GRANTS_FROM = 15
ORIGIN_FILTER_FROM = 16


@dataclass(frozen=True, slots=True)
class Server:
    """One line of server_facts in checks/checks.sql; `version` is 180004 for 18.4."""

    version: int
    database: str
    role: str
    standby: bool
    wal_level: str
    may_replicate: bool
    may_create: bool
    slot_limit: str
    slot_free: bool
    vector_schema: str | None
    vector_available: bool
    worker_exists: bool
    encoding: str = "UTF8"

    @property
    def major(self) -> int:
        """18 for 18.4."""
        return self.version // 10_000


def check(session: Session, worker: str) -> Server:
    """Refuse a server, database or role that cannot work.

    Raises:
        ConfigurationError: with the statement that mends it.
    """
    server = facts(session, worker)
    if (problem := refusal(server, worker)) is not None:
        raise problem
    return server


def facts(session: Session, worker: str) -> Server:
    """Ask what decides it, and judge nothing."""
    return Server(*session.rows(queries.text("server_facts"), {"worker": worker})[0])


def refusal(server: Server, worker: str) -> ConfigurationError | None:
    """The first reason why vectrue cannot work with this server; None when it can."""
    return next(iter(problems(server, worker)), None)


def problems(server: Server, worker: str, *, setting_up: bool = True) -> list[ConfigurationError]:
    """All reasons why vectrue cannot work with this server; without `setting_up` those
    that a worker meets.
    """
    checks = (
        (
            server.major < OLDEST,
            f"PostgreSQL {server.major} is too old",
            "use PostgreSQL 14 or newer",
        ),
        (server.standby, "this server is a standby", "name the primary in postgres.dsn"),
        (
            server.wal_level != "logical",
            f"wal_level is {server.wal_level}, and changes can be captured only with logical",
            "ALTER SYSTEM SET wal_level = 'logical', then restart the server",
        ),
        (
            setting_up and not server.may_replicate,
            f"role {server.role} may not read the replication stream",
            f'ALTER ROLE "{server.role}" REPLICATION, or name another role in postgres.admin_dsn',
        ),
        (
            setting_up and not server.may_create,
            (
                f"role {server.role} may not create a schema and a publication in database "
                f"{server.database}"
            ),
            f'GRANT CREATE ON DATABASE "{server.database}" TO "{server.role}", or name its owner in postgres.admin_dsn',
        ),
        (
            # SQL_ASCII holds bytes of any encoding; of the others, not one holds all
            # that a message or a query may.
            server.encoding != "UTF8",
            (
                f"database {server.database} is in {server.encoding}, and texts are hashed, logged "
                "and searched in UTF8"
            ),
            "dump it, and restore it into a database made WITH ENCODING 'UTF8' TEMPLATE template0",
        ),
        (
            server.vector_schema is None,
            f"database {server.database} has no extension vector",
            "CREATE EXTENSION vector"
            if server.vector_available
            else "install pgvector on the server",
        ),
        (
            not server.worker_exists,
            f"there is no role {worker}, which postgres.dsn names",
            f"CREATE ROLE \"{worker}\" LOGIN PASSWORD '...'",
        ),
    )
    return [ConfigurationError(what, fix=fix) for bad, what, fix in checks if bad]


def notices(server: Server) -> list[str]:
    """What the operator should know about the server."""
    notices = []
    if server.slot_limit == "-1":
        notices.append(
            "max_slot_wal_keep_size is -1: a slot that nobody reads can fill the disk; "
            "set a limit, for example ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'"
        )
    if server.major < ORIGIN_FILTER_FROM:
        notices.append(
            f"PostgreSQL {server.major} cannot leave the worker's own writes out of capture (16 "
            "can): "
            "each comes back as an event and is dropped by the worker"
        )
    return notices
