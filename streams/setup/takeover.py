"""Whose connector is it, and of which log is its offset? What `init` asks before it
gives a connector another configuration, so that a copy of a database takes none from
the original, and no offset of another log skips changes.

Hazard: nothing is changed here but the connector's offsets, and these only while its
tasks are stopped, by `Connect.register`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.debezium.client import KafkaConnect
from connectors.kafka.offsets import KafkaOffsets
from connectors.ports import Clock
from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import installation, slot
from schemas.errors import ConfigurationError, TransientError
from schemas.messages.log_identity import (
    ConnectorSource,
    LogIdentity,
    LogPositions,
    Neighbours,
    reasons,
    shown,
)
from schemas.settings.reading import Settings

Agree = Callable[[str], bool]
"""Asked whether what a sentence says is meant."""

_POLL_SECONDS = 0.5


def refuse(_: str) -> bool:
    """Agree to nothing: nobody is there to ask."""
    return False


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before `init` changed anything.

    Attributes:
        recorded: the log that capture was set up on; None: not recorded.
        here: the log of this database.
        read: what the connector of that name reads; None: there is none.
        wanted: what it shall read.
    """

    recorded: LogIdentity | None
    here: LogIdentity
    read: ConnectorSource | None
    wanted: ConnectorSource

    @property
    def taken(self) -> str | None:
        """The notice about a connector that reads another database until now."""
        if self.read is None or self.read.is_database_of(self.wanted):
            return None
        return f"the connector read {self.read.where}, and reads {self.wanted.where} from now on"


def look(
    settings: Settings, session: Session, connect: KafkaConnect, config: Mapping[str, str]
) -> Before:
    """See what is there.

    Args:
        settings: names.
        session: of the role that runs `init`.
        connect: where the connector is.
        config: what the connector shall be given.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    recorded = installation.mine(session, settings)
    there = connect.config(settings.connector)
    return Before(
        None if recorded is None else recorded.log,
        installation.log_identity(session),
        None if there is None else ConnectorSource.of(there),
        ConnectorSource.of(config),
    )


def consent(
    before: Before, settings: Settings, session: Session, clock: Clock, agree: Agree
) -> None:
    """Go on only if nobody loses the connector, or that is meant.

    Raises:
        ConfigurationError: somebody would, and it is not.
    """
    end = clock.monotonic() + settings.kafka.session_timeout_seconds + _POLL_SECONDS
    while (lost := _neighbours(before, settings, session, clock)).lost() is not None:
        # A worker that was killed is a member until its session has timed out.
        if lost.members and lost.active_slot_of is None and clock.monotonic() < end:
            clock.wait(_POLL_SECONDS)
            continue
        break
    said = lost.lost()
    if said is None or agree(f"connector {settings.connector}: {said}"):
        return
    raise ConfigurationError(
        (
            f"connector {settings.connector} is not for database {before.wanted.database} alone: "
            f"{said}"
        ),
        fix="give this database a kafka.topic_prefix of its own, from which connector, slot, "
        "topics and groups follow; "
        "or, if it shall take the place of the other one, stop the workers and the connector "
        "there, or run "
        "`vectrue init --yes`",
    )


def _neighbours(before: Before, settings: Settings, session: Session, clock: Clock) -> Neighbours:
    is_recorded = before.recorded is not None and before.here.is_log_of(before.recorded)
    active = None
    if before.read is not None:
        lines = session.rows(queries.text("other_slots"))
        active = next(
            (database for name, database, used in lines if name == before.read.slot and used), None
        )
    foreign = before.read is None or not before.read.is_database_of(before.wanted)
    members = _members(settings, clock) if foreign and not is_recorded else 0
    return Neighbours(before.read, before.wanted, is_recorded, active, members)


def _members(settings: Settings, clock: Clock) -> int | None:
    offsets = KafkaOffsets(settings, clock)
    try:
        return offsets.read({settings.live_group: [settings.deferred_topic]})[
            settings.live_group
        ].members
    except TransientError:
        return None
    finally:
        offsets.close()


@dataclass(frozen=True, slots=True)
class Reset:
    """Why the connector's offset must go, clauses, and what it is; None: nothing is
    kept.
    """

    why: tuple[str, ...]
    offset: int | None

    def notice(self, settings: Settings, starts: int | None) -> str:
        """What `init` says of it."""
        because = "; ".join(self.why)
        looked = "all rows of all tables are looked at"
        if self.offset is None:
            return f"{looked}, because {because}"
        at = "" if starts is None else f", at {shown(starts)}"
        return (
            f"the offset {shown(self.offset)} of connector {settings.connector} is reset, "
            f"because {because}: it starts "
            f"where replication slot {settings.slot} stands{at}, and {looked}"
        )


def reset(
    before: Before, settings: Settings, session: Session, connect: KafkaConnect, *, new_slot: bool
) -> Reset:
    """Whether the connector's offset may be one of this log.

    Args:
        before: what was there before anything was changed.
        settings: names.
        session: of the role that runs `init`.
        connect: where the offset is.
        new_slot: whether the slot was made a moment ago, so that the offset means
            nothing anyway.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    # In this order: what a connector confirms to its slot it has noted as read, and it
    # reads no further than the end.
    starts = slot.position(session, settings.slot)
    offset = connect.offset(settings.connector)
    end = int(session.rows(queries.text("log_end"))[0][0])
    positions = LogPositions(None if new_slot else offset, None if new_slot else starts, end)
    return Reset(
        tuple(reasons(before.recorded, before.here, positions, before.read, before.wanted)), offset
    )
