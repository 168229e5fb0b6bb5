"""Whether this is still the log that capture was set up on, and that the offset is of.

Hazard: positions move while they are asked. The order of the questions sees to it that
a connector that works never looks wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import installation, slot
from schemas.health.witness import Difference
from schemas.messages.log_identity import ConnectorSource, LogPositions, shown
from schemas.settings.reading import Settings

INIT = "vectrue init"


class Capture(Protocol):
    """The part of `connectors.debezium.client.KafkaConnect` that is needed here.

    Any method may raise TransientError.
    """

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration; None when there is none of that name."""
        ...

    def offset(self, name: str) -> int | None:
        """How far in the log a connector has read; None when it has read nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorAnswer:
    """What Kafka Connect says of a connector.

    Attributes:
        slot_before: where its slot stood before Connect was asked.
        config: its configuration; None where there is no such connector.
        offset: how far in the log it has read; None when it has read nothing.
    """

    slot_before: int | None
    config: Mapping[str, str] | None
    offset: int | None


def differences(session: Session, settings: Settings) -> list[Difference]:
    """Compare the server's log with the one that `init` recorded.

    Raises:
        TransientError: Postgres does not answer.
    """
    recorded = installation.mine(session, settings)
    here = installation.log_identity(session)
    if recorded is None:
        said = (
            f"`vectrue init` was not completed in database {here.database_name} for the prefix "
            f"{settings.kafka.topic_prefix}, so it is not known which log the connector's "
            "offset belongs to"
        )
        return [Difference(said, INIT, "init")]
    moved = here.moved_from(recorded.log)
    return [] if moved is None else [Difference(f"{moved}; changes may be skipped", INIT)]


def ask(session: Session, settings: Settings, connect: Capture) -> ConnectorAnswer:
    """Ask Kafka Connect, in the order that makes its answers comparable.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    # The slot before the connector, which may move on meanwhile.
    before = slot.position(session, settings.slot)
    return ConnectorAnswer(
        before, connect.config(settings.connector), connect.offset(settings.connector)
    )


def of_connector(session: Session, settings: Settings, said: ConnectorAnswer) -> list[Difference]:
    """Compare what the connector reads, and how far, with this database.

    Args:
        session: any role's.
        settings: names; connect.database_host and connect.database_port where they are
            set.
        said: what Kafka Connect says of the connector. A connector that it does not
            know is not a difference of this kind.

    Raises:
        TransientError: Postgres does not answer.
    """
    if said.config is None:
        return []
    name, read = settings.connector, ConnectorSource.of(said.config)
    wanted = _wanted_source(session, settings, read)
    another = _reads_another(name, read, wanted)
    if another is not None:
        return [Difference(another, INIT)]
    # The end of the log last: an offset beyond it belongs to another log.
    end = int(session.rows(queries.text("log_end"))[0][0])
    wrong = LogPositions(said.offset, said.slot_before, end).wrong(wanted.database, settings.slot)
    if said.offset is None or wrong is None:
        return []
    sentence = (
        f"the stored offset {shown(said.offset)} of connector {name} {wrong}: changes are skipped"
    )
    return [Difference(sentence, INIT)]


def _wanted_source(session: Session, settings: Settings, read: ConnectorSource) -> ConnectorSource:
    """What the connector should read; host and port are its own if none is known."""
    recorded = installation.mine(session, settings)
    database = installation.log_identity(session).database_name
    host, port = settings.connect.database_host, settings.connect.database_port
    if recorded is not None:
        host, port = host or recorded.host, port or recorded.port
    return ConnectorSource(host or read.host, port or read.port, database, settings.slot)


def _reads_another(name: str, read: ConnectorSource, wanted: ConnectorSource) -> str | None:
    if not read.is_database_of(wanted):
        return (
            f"connector {name} reads {read.where}, not {wanted.where}: changes here are not "
            "captured"
        )
    if read.slot != wanted.slot:
        return f"connector {name} reads replication slot {read.slot}, not {wanted.slot}"
    return None
