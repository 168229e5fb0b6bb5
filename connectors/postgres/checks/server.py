"""The server, the database and the roles: what must hold before a table is looked at.

Hazard: a standby answers everything that is asked here, and captures nothing.
"""

from collections.abc import Iterator
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
        ConfigurationError: with the statement that fixes it.
    """
    server = facts(session, worker)
    problem = refusal(server, worker)
    if problem is not None:
        raise problem
    return server


def facts(session: Session, worker: str) -> Server:
    """Ask the server what the checks need; judge nothing."""
    lines = session.rows(queries.text("server_facts"), {"worker": worker})
    return Server(*lines[0])


def refusal(server: Server, worker: str) -> ConfigurationError | None:
    """The first reason why vectrue cannot work with this server; None when it can."""
    found = problems(server, worker)
    return found[0] if found else None


def problems(server: Server, worker: str, *, setting_up: bool = True) -> list[ConfigurationError]:
    """All reasons why vectrue cannot work with this server.

    Args:
        server: what it said.
        worker: role of the workers.
        setting_up: whether the role also has to set vectrue up; if not, only those that
            a worker meets.
    """
    found = list(_of_server(server))
    if setting_up:
        found += _of_role(server)
    found += _of_database(server, worker)
    return found


def _of_server(server: Server) -> Iterator[ConfigurationError]:
    if server.major < OLDEST:
        yield ConfigurationError(
            f"PostgreSQL {server.major} is too old", fix="use PostgreSQL 14 or newer"
        )
    if server.standby:
        yield ConfigurationError("this server is a standby", fix="name the primary in postgres.dsn")
    if server.wal_level != "logical":
        yield ConfigurationError(
            f"wal_level is {server.wal_level}, and changes can be captured only with logical",
            fix="ALTER SYSTEM SET wal_level = 'logical', then restart the server",
        )


def _of_role(server: Server) -> Iterator[ConfigurationError]:
    role, database = server.role, server.database
    if not server.may_replicate:
        yield ConfigurationError(
            f"role {role} may not read the replication stream",
            fix=f'ALTER ROLE "{role}" REPLICATION, or name another role in postgres.admin_dsn',
        )
    if not server.may_create:
        yield ConfigurationError(
            f"role {role} may not create a schema and a publication in database {database}",
            fix=(
                f'GRANT CREATE ON DATABASE "{database}" TO "{role}", or name its owner in '
                "postgres.admin_dsn"
            ),
        )


def _of_database(server: Server, worker: str) -> Iterator[ConfigurationError]:
    # SQL_ASCII holds bytes of any encoding; of the others, not one holds all that a
    # message or a query may.
    if server.encoding != "UTF8":
        yield ConfigurationError(
            f"database {server.database} is in {server.encoding}, and texts are hashed, logged "
            "and searched in UTF8",
            fix=(
                "dump it, and restore it into a database made WITH ENCODING 'UTF8' TEMPLATE "
                "template0"
            ),
        )
    if server.vector_schema is None:
        fix = "install pgvector on the server"
        if server.vector_available:
            fix = "CREATE EXTENSION vector"
        yield ConfigurationError(f"database {server.database} has no extension vector", fix=fix)
    if not server.worker_exists:
        yield ConfigurationError(
            f"there is no role {worker}, which postgres.dsn names",
            fix=f"CREATE ROLE \"{worker}\" LOGIN PASSWORD '...'",
        )


def notices(server: Server) -> list[str]:
    """What the operator should know about the server."""
    notices = []
    if server.slot_limit == "-1":
        notices.append(
            "max_slot_wal_keep_size is -1: a slot that is not read can fill the disk; "
            "set a limit, for example ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'"
        )
    if server.major < ORIGIN_FILTER_FROM:
        notices.append(
            f"PostgreSQL {server.major} cannot leave the worker's own writes out of capture (16 "
            "can): each comes back as an event and is dropped by the worker"
        )
    return notices
