"""What `init` set up, and on which log: the row of embedsync.installations, written by `init`, compared by all others.

Hazard: a dump, a copy of a database and a restore bring this row along. It then names another log than the one it
stands in, which is how such a move is noticed.
"""

from dataclasses import astuple, dataclass

from psycopg2 import sql

from connectors.debezium import Database
from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render
from schemas.log_identity import LogIdentity
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """One line of embedsync.installations; host and port are the server's as the connector reaches it."""

    prefix: str
    log: LogIdentity
    slot: str
    publication: str
    connector: str
    search_path: str
    host: str | None
    port: int | None


def log_identity(session: Session) -> LogIdentity:
    """The log of the connected server and database.

    Raises:
        TransientError: Postgres does not answer.
    """
    return LogIdentity(*session.rows(queries.text("log_identity"))[0])


def read(session: Session) -> list[Installation]:
    """All installations of the database, in the order of their prefixes; none where `init` was not run.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('embedsync.installations') IS NOT NULL")[0][0]:
        return []
    lines = session.rows(queries.text("installations"))
    return [Installation(line[0], LogIdentity(*line[1:5]), *line[5:]) for line in lines]


def mine(session: Session, settings: Settings) -> Installation | None:
    """The installation of these settings; None before its first `init`. Raises as `read`."""
    return next((one for one in read(session) if one.prefix == settings.kafka.topic_prefix), None)


def wanted(session: Session, settings: Settings, database: Database) -> Installation:
    """What `init` records: the settings' names, log and search path of its own session, the connector's database."""
    path = str(session.rows("SELECT current_setting('search_path')")[0][0])
    return Installation(
        settings.kafka.topic_prefix, log_identity(session), settings.slot, settings.postgres.publication,
        settings.connector, path, database.host, database.port,
    )  # fmt: skip


def registration(session: Session, settings: Settings, database: Database) -> list[Statement]:
    """The statement that records the installation, where something else is recorded or nothing."""
    there, now = mine(session, settings), wanted(session, settings, database)
    if there == now:
        return []
    fields = (
        now.prefix,
        *astuple(now.log),
        now.slot,
        now.publication,
        now.connector,
        now.search_path,
        now.host,
        now.port,
    )
    values = sql.SQL(", ").join(map(sql.Literal, fields))
    body = render(session, queries.compose("register_installation", values=values))
    return [Statement(f"record the installation {now.prefix} and its log", body)]
