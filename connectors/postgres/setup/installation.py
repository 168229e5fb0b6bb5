"""What `init` set up, and on which log: the row of vectrue.installations, written by
`init`, compared by all others.

Hazard: a dump, a copy of a database and a restore bring this row along. It then names
another log than the one it stands in, which is how such a move is noticed.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from psycopg2 import sql

from connectors.debezium.config import CapturedDatabase
from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render
from schemas.health.witness import Difference
from schemas.messages.log_identity import LogIdentity
from schemas.settings.reading import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """One line of vectrue.installations.

    Attributes:
        host, port: the server as the connector reaches it; None before `init` recorded
            them.
        owner: role that owns the publication; None before `init` recorded it.
    """

    prefix: str
    log: LogIdentity
    slot: str
    publication: str
    connector: str
    search_path: str
    host: str | None
    port: int | None
    owner: str | None


def log_identity(session: Session) -> LogIdentity:
    """The log of the connected server and database.

    Raises:
        TransientError: Postgres does not answer.
    """
    return LogIdentity(*session.rows(queries.text("log_identity"))[0])


def read(session: Session) -> list[Installation]:
    """All installations of the database, in the order of their prefixes; none where
    `init` was not run.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.installations') IS NOT NULL")[0][0]:
        return []
    lines = session.rows(queries.text("installations"))
    return [Installation(line[0], LogIdentity(*line[1:5]), *line[5:]) for line in lines]


def mine(session: Session, settings: Settings) -> Installation | None:
    """The installation of these settings; None before its first `init`. Raises as
    `read`.
    """
    return _mine(read(session), settings)


def publication_owner(session: Session, publication: str) -> str | None:
    """The role that owns a publication; None where there is none of that name. Raises
    as `read`.
    """
    lines = session.rows(queries.text("publication_owner"), {"publication": publication})
    return str(lines[0][0]) if lines else None


def differences(session: Session, settings: Settings) -> list[Difference]:
    """Whose the publication is, where it is another role's than `init` recorded, or
    another installation's as well.

    Raises:
        TransientError: Postgres does not answer.
    """
    known = read(session)
    recorded = _mine(known, settings)
    if recorded is None:
        return []
    name, found = recorded.publication, []
    owner = publication_owner(session, name)
    if owner is not None and recorded.owner is not None and owner != recorded.owner:
        said = (
            f"publication {name} belongs to role {owner}, and belonged to {recorded.owner} when "
            "`init` ran"
        )
        found.append(Difference(f"{said}: somebody made it again or gave it away", "vectrue init"))
    others = [one for one in known if one.prefix != recorded.prefix and one.publication == name]
    if others:
        said = (
            f"publication {name} is also that of the installation with the prefix "
            f"{others[0].prefix}"
        )
        found.append(
            Difference(
                said, "give one of them another postgres.publication, and run vectrue init with it"
            )
        )
    return found


def wanted(session: Session, settings: Settings, database: CapturedDatabase) -> Installation:
    """What `init` records: the settings' names, log and search path of its own session,
    the connector's database.
    """
    publication = settings.postgres.publication
    owner = publication_owner(session, publication) or str(
        session.rows("SELECT current_user")[0][0]
    )
    return Installation(
        settings.kafka.topic_prefix,
        log_identity(session),
        settings.slot,
        publication,
        settings.connector,
        session.path,
        database.host,
        database.port,
        owner,
    )


def registration(
    session: Session, settings: Settings, database: CapturedDatabase
) -> list[Statement]:
    """The statement that records the installation, where something else is recorded or
    nothing.
    """
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
        now.owner,
    )
    values = sql.SQL(", ").join(map(sql.Literal, fields))
    body = render(session, queries.compose("register_installation", values=values))
    return [Statement(f"record the installation {now.prefix} and its log", body)]


def _mine(known: Sequence[Installation], settings: Settings) -> Installation | None:
    return next((one for one in known if one.prefix == settings.kafka.topic_prefix), None)
