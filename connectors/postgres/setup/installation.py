"""What `init` set up, and on which log: the row of vectrue.installations.

`init` writes it, all others compare it.

Hazard: a dump, a copy of a database and a restore bring this row along. It then names
another log than the one it stands in, which is how such a move is noticed.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from connectors.debezium.config import CapturedDatabase
from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import lists
from connectors.postgres.statement import Statement, render
from schemas.health.witness import Difference
from schemas.messages.log_identity import LogIdentity
from schemas.settings.reading import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """One line of vectrue.installations.

    Attributes:
        prefix: kafka.topic_prefix.
        log: the server's log and the database.
        slot: name of the replication slot.
        publication: its name.
        connector: its name in Kafka Connect.
        search_path: of all sessions.
        host: the server as the connector reaches it; None before `init` recorded it.
        port: of that server; None before `init` recorded it.
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
    """All installations of the database, in the order of their prefixes.

    Returns:
        nothing where `init` was not run.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.installations') IS NOT NULL")[0][0]:
        return []
    lines = session.rows(queries.text("installations"))
    return [_installation(line) for line in lines]


def _installation(line: Sequence[Any]) -> Installation:
    prefix, log = line[0], LogIdentity(*line[1:5])
    slot, publication, connector, search_path, host, port, owner = line[5:]
    return Installation(
        prefix=prefix,
        log=log,
        slot=slot,
        publication=publication,
        connector=connector,
        search_path=search_path,
        host=host,
        port=port,
        owner=owner,
    )


def mine(session: Session, settings: Settings) -> Installation | None:
    """The installation of these settings; None before its first `init`.

    Raises as `read`.
    """
    return _mine(read(session), settings)


def publication_owner(session: Session, publication: str) -> str | None:
    """The role that owns a publication; None where there is none of that name.

    Raises as `read`.
    """
    lines = session.rows(queries.text("publication_owner"), {"publication": publication})
    return str(lines[0][0]) if lines else None


def differences(session: Session, settings: Settings) -> list[Difference]:
    """Say where the publication is another role's now, or another installation's too.

    Raises:
        TransientError: Postgres does not answer.
    """
    known = read(session)
    recorded = _mine(known, settings)
    if recorded is None:
        return []
    name = recorded.publication
    found: list[Difference] = []
    owner = publication_owner(session, name)
    if owner is not None and recorded.owner is not None and owner != recorded.owner:
        said = (
            f"publication {name} belongs to role {owner}, and belonged to {recorded.owner} "
            "when `init` ran: it was made again or given away"
        )
        found.append(Difference(said, "vectrue init"))
    for one in known:
        if one.prefix != recorded.prefix and one.publication == name:
            said = (
                f"publication {name} is also that of the installation with the prefix {one.prefix}"
            )
            fix = "give one of them another postgres.publication, and run vectrue init with it"
            found.append(Difference(said, fix))
            break
    return found


def wanted(session: Session, settings: Settings, database: CapturedDatabase) -> Installation:
    """What `init` records.

    Args:
        session: of the role that runs `init`; its log, search path and name are taken.
        settings: the names.
        database: as the connector reaches it.
    """
    publication = settings.postgres.publication
    # Where there is no publication yet, the role of this session will own it.
    owner = publication_owner(session, publication)
    return Installation(
        prefix=settings.kafka.topic_prefix,
        log=log_identity(session),
        slot=settings.slot,
        publication=publication,
        connector=settings.connector,
        search_path=session.path,
        host=database.host,
        port=database.port,
        owner=owner or str(session.rows("SELECT current_user")[0][0]),
    )


def registration(
    session: Session, settings: Settings, database: CapturedDatabase
) -> list[Statement]:
    """Record the installation, unless exactly this is recorded already."""
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
    values = lists.literals(fields)
    body = render(session, queries.compose("register_installation", values=values))
    return [Statement(f"record the installation {now.prefix} and its log", body)]


def _mine(known: Sequence[Installation], settings: Settings) -> Installation | None:
    for one in known:
        if one.prefix == settings.kafka.topic_prefix:
            return one
    return None
