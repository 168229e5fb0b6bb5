"""The last part of `init`: the connector gets its configuration, starts where this log
goes on, and what it did not see is looked at.

Hazard: what is to be looked at is asked for before the connector changes, so that an
`init` that is interrupted does not forget it, and again once the connector runs, since
the keeper may have been quick.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

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
        published: the tables of the publication before `init` changed it; None: there
            was none.
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
            before: what was there before anything was changed.
            made: topics that were made a moment ago.
            new_slot: whether the slot was made a moment ago.
            done: takes a line for each change.
            changed: the lines so far.

        Returns:
            what the operator should know.

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
            step = capture.ask_all(session, settings, "; ".join(reset.why))
            statement.run(
                session, step, lock_seconds=settings.postgres.lock_timeout_seconds, clock=self.clock
            )
            done(step.description)
        with origin_watch.looked_at(
            settings, session, self.connect.config(settings.connector), config
        ):
            if self.connect.register(
                settings.connector, config, forget_offsets=new_slot or bool(reset.why)
            ):
                done(f"start the connector {settings.connector}")
            self.connect.wait_running(
                settings.connector, also=lambda: _is_read(session, settings.slot)
            )
        for line in joined.ask(session, settings, looked):
            if line not in changed:
                done(line)
        return notices

    def _looked_at(self, made: Collection[str]) -> joined.Asked:
        """The tables that join capture by this `init`, and those whose topic it made
        again.
        """
        before = self.connect.config(self.settings.connector)
        looked = joined.uncaptured(before, self.tables) | joined.unpublished(
            self.published, self.tables
        )
        if before is not None or installation.mine(self.session, self.settings) is not None:
            looked |= joined.without_topic(self.settings, self.published, self.tables, made)
        return looked


def configuration(
    settings: Settings, session: Session, targets: Sequence[Target], major: int
) -> dict[str, str]:
    """What the connector shall be given; `major` is the server's version.

    Raises:
        ConfigurationError: Kafka Connect cannot reach the database as the settings name
            it.
        TransientError: Postgres does not answer.
    """
    return connector_config(
        settings,
        database(settings, session),
        targets,
        origin_filter=major >= ORIGIN_FILTER_FROM and not origins.foreign(session, settings),
        heartbeat_query=capture.HEARTBEAT_QUERY,
    )


def database(settings: Settings, session: Session) -> CapturedDatabase:
    """The database of the session, as the connector reaches it. Raises
    ConfigurationError as `database_of`.
    """
    info = session.connection().info
    return database_of(settings, info.dsn_parameters, info.password)


def stands_before_a_large_event(settings: Settings, connect: KafkaConnect) -> bool:
    """Whether the connector failed at an event that is too large, and later ones shall
    be smaller.

    A publication counts as of each change, so its columns change nothing about the
    events that are in the log.

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
