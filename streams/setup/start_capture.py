"""The last part of `init`: the connector is configured and started where this log goes on.

Hazard: the keeper is asked to look before the connector changes, so that an interrupted
`init` does not forget it, and again once the connector runs, since a look in between
does not count.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from connectors.debezium.client import KafkaConnect
from connectors.debezium.config import CapturedDatabase, connector_config, database_of
from connectors.ports import Clock
from connectors.postgres import queries, statement
from connectors.postgres.checks.server import ORIGIN_FILTER_FROM
from connectors.postgres.session import Session
from connectors.postgres.setup import capture, installation, origins, slot
from schemas.messages.too_large import is_too_large
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.keeper import origin_watch
from streams.setup import joined, takeover


@dataclass(frozen=True, slots=True)
class Start:
    """The start of the connector.

    Attributes:
        settings: names.
        session: of the role that runs `init`.
        connect: where the connector is.
        clock: for pauses and deadlines.
        tables: those of the settings.
        published: the tables of the publication before `init` changed it; None without
            a publication.
    """

    settings: Settings
    session: Session
    connect: KafkaConnect
    clock: Clock
    tables: Sequence[TableName]
    published: Collection[TableName] | None

    def run(
        self,
        config: Mapping[str, str],
        before: takeover.Before,
        made: Collection[str],
        *,
        new_slot: bool,
        done: Callable[[str], None],
        changed: Sequence[str],
    ) -> list[str]:
        """Start it, and return when its slot is read.

        Args:
            config: whole.
            before: what existed before anything was changed.
            made: topics that this `init` has created.
            new_slot: whether this `init` has created the slot.
            done: called with a line for each change.
            changed: the lines so far.

        Returns:
            What the operator should know.

        Raises:
            TransientError: a service does not answer.
            VectrueError: the connector failed, with its own message.
        """
        notices: list[str] = []
        settings, session = self.settings, self.session
        looked = self._looked_at(made)
        joined.ask(session, settings, looked)
        reset = takeover.reset(before, settings, session, self.connect, new_slot=new_slot)
        if reset.why:
            notices.append(reset.notice(settings, slot.position(session, settings.slot)))
            self._look_at_all(reset, done)
        name = settings.connector
        with origin_watch.looked_at(settings, session, self.connect.config(name), config):
            forget = new_slot or bool(reset.why)
            if self.connect.register(name, config, forget_offsets=forget):
                done(f"start the connector {name}")
            is_read = partial(_is_read, session, settings.slot)
            self.connect.wait_running(name, also=is_read)
        # The keeper may have looked before the connector captured these tables.
        for line in joined.ask(session, settings, looked):
            if line not in changed:
                done(line)
        return notices

    def _look_at_all(self, reset: takeover.Reset, done: Callable[[str], None]) -> None:
        """Ask for all rows of all tables: changes may lie before the new offset."""
        settings, session = self.settings, self.session
        step = capture.ask_all(session, settings, "; ".join(reset.why))
        limit = settings.postgres.lock_timeout_seconds
        statement.run(session, step, lock_seconds=limit, clock=self.clock)
        done(step.description)

    def _looked_at(self, made: Collection[str]) -> joined.Asked:
        """Return the tables that join capture, and those whose topic was lost."""
        before = self.connect.config(self.settings.connector)
        looked = joined.uncaptured(before, self.tables)
        looked |= joined.unpublished(self.published, self.tables)
        # The very first `init` creates all topics: none of them was lost.
        if before is not None or installation.mine(self.session, self.settings) is not None:
            looked |= joined.without_topic(self.settings, self.published, self.tables, made)
        return looked


def configuration(
    settings: Settings, session: Session, targets: Sequence[Target], major: int
) -> dict[str, str]:
    """Return the configuration of the connector.

    Args:
        settings: all of them.
        session: of the role that runs `init`.
        targets: the columns to capture.
        major: version of the server.

    Raises:
        ConfigurationError: Kafka Connect cannot reach the database as the settings name
            it.
        TransientError: Postgres does not answer.
    """
    reached = database(settings, session)
    # The server can only leave out writes of every origin, those of other
    # replication too.
    is_filtered = major >= ORIGIN_FILTER_FROM and not origins.foreign(session, settings)
    return connector_config(
        settings,
        reached,
        targets,
        origin_filter=is_filtered,
        heartbeat_query=capture.HEARTBEAT_QUERY,
    )


def database(settings: Settings, session: Session) -> CapturedDatabase:
    """Return the database of the session, as the connector reaches it.

    Raises:
        ConfigurationError: as `database_of`.
    """
    info = session.connection().info
    return database_of(settings, info.dsn_parameters, info.password)


def stands_before_a_large_event(settings: Settings, connect: KafkaConnect) -> bool:
    """Whether the connector failed at a too large event, and later ones will be smaller.

    A publication applies from each change on: new columns do not shrink the events that
    are in the log already.

    Raises:
        TransientError: Kafka Connect does not answer.
    """
    if settings.postgres.publication_columns != "keys":
        return False
    status = connect.status(settings.connector)
    return status is not None and status.error is not None and is_too_large(status.error)


def _is_read(session: Session, slot: str) -> bool:
    lines = session.rows(queries.text("slot_facts"), {"slot": slot})
    return bool(lines and lines[0][3])
