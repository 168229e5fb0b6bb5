"""Whose connector is it, and of which log is its offset?

`init` asks before it gives a connector another configuration: a copy of a database must
not take the connector of the original, and an offset of another log would skip changes.

Hazard: nothing is changed here. The offsets are reset by `Connect.register`, while the
connector's tasks are stopped.
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
    """Agree to nothing: there is no one to ask."""
    return False


@dataclass(frozen=True, slots=True)
class Before:
    """What existed before `init` changed anything.

    Attributes:
        recorded: the log that capture was set up on; None when not recorded.
        here: the log of this database.
        read: what the connector of that name reads; None when it does not exist.
        wanted: what it is to read.
    """

    recorded: LogIdentity | None
    here: LogIdentity
    read: ConnectorSource | None
    wanted: ConnectorSource

    @property
    def taken(self) -> str | None:
        """The notice about a connector that read another database; None otherwise."""
        if self.read is None or self.read.is_database_of(self.wanted):
            return None
        return f"the connector read {self.read.where}, and reads {self.wanted.where} from now on"


def look(
    settings: Settings, session: Session, connect: KafkaConnect, config: Mapping[str, str]
) -> Before:
    """Look at what exists.

    Args:
        settings: names.
        session: of the role that runs `init`.
        connect: where the connector is.
        config: what the connector is to be given.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    recorded = installation.mine(session, settings)
    present = connect.config(settings.connector)
    return Before(
        recorded=None if recorded is None else recorded.log,
        here=installation.log_identity(session),
        read=None if present is None else ConnectorSource.of(present),
        wanted=ConnectorSource.of(config),
    )


def consent(
    before: Before, settings: Settings, session: Session, clock: Clock, agree: Agree
) -> None:
    """Go on only if no other database loses the connector, or that is agreed.

    Args:
        before: what existed before anything was changed.
        settings: names.
        session: of the role that runs `init`.
        clock: to wait by.
        agree: asked when another database would lose the connector.

    Raises:
        ConfigurationError: another database would lose it, and that is not agreed.
    """
    said = _lost(before, settings, session, clock)
    name = settings.connector
    if said is None or agree(f"connector {name}: {said}"):
        return
    raise ConfigurationError(
        f"connector {name} is not for database {before.wanted.database} alone: {said}",
        fix="give this database a kafka.topic_prefix of its own, from which connector, "
        "slot, topics and groups follow; or, if it is to replace the other one, stop the "
        "workers and the connector there, or run `vectrue init --yes`",
    )


def _lost(before: Before, settings: Settings, session: Session, clock: Clock) -> str | None:
    """Return what another database would lose, once dead workers have left; or None."""
    end = clock.monotonic() + settings.kafka.session_timeout_seconds + _POLL_SECONDS
    while True:
        neighbours = _neighbours(before, settings, session, clock)
        said = neighbours.lost()
        if said is None:
            return None
        # A worker that was killed is a member until its session has timed out.
        may_be_dead = neighbours.members and neighbours.active_slot_of is None
        if not may_be_dead or clock.monotonic() >= end:
            return said
        clock.wait(_POLL_SECONDS)


def _neighbours(before: Before, settings: Settings, session: Session, clock: Clock) -> Neighbours:
    # Where the recorded log is the one here, the workers are this database's own.
    is_recorded = before.recorded is not None and before.here.is_log_of(before.recorded)
    active = None
    if before.read is not None:
        for name, database, used in session.rows(queries.text("other_slots")):
            if name == before.read.slot and used:
                active = database
                break
    foreign = before.read is None or not before.read.is_database_of(before.wanted)
    members = _members(settings, clock) if foreign and not is_recorded else 0
    return Neighbours(
        read=before.read,
        wanted=before.wanted,
        is_recorded=is_recorded,
        active_slot_of=active,
        members=members,
    )


def _members(settings: Settings, clock: Clock) -> int | None:
    """Return how many live workers run; None when Kafka does not answer."""
    group = settings.live_group
    offsets = KafkaOffsets(settings, clock)
    try:
        return offsets.read({group: [settings.deferred_topic]})[group].members
    except TransientError:
        return None
    finally:
        offsets.close()


@dataclass(frozen=True, slots=True)
class Reset:
    """Why the connector's offset must be reset.

    Attributes:
        why: clauses; none when the offset is kept.
        offset: in bytes of the log; None when the connector has none.
    """

    why: tuple[str, ...]
    offset: int | None

    def notice(self, settings: Settings, starts: int | None) -> str:
        """Return what `init` prints.

        Args:
            settings: names.
            starts: position of the slot, in bytes of the log; None when not known.
        """
        because = "; ".join(self.why)
        looked = "all rows of all tables are looked at"
        if self.offset is None:
            return f"{looked}, because {because}"
        at = "" if starts is None else f", at {shown(starts)}"
        return (
            f"the offset {shown(self.offset)} of connector {settings.connector} is reset, "
            f"because {because}: it starts where replication slot {settings.slot} stands{at}, "
            f"and {looked}"
        )


def reset(
    before: Before, settings: Settings, session: Session, connect: KafkaConnect, *, new_slot: bool
) -> Reset:
    """Decide whether the connector's offset must be reset: it may be of another log.

    Args:
        before: what existed before anything was changed.
        settings: names.
        session: of the role that runs `init`.
        connect: where the offset is.
        new_slot: whether this `init` has created the slot, so that the offset means
            nothing anyway.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    # In this order: a connector records an offset before it confirms it to its slot,
    # and reads no further than the end of the log.
    starts = slot.position(session, settings.slot)
    offset = connect.offset(settings.connector)
    end = int(session.rows(queries.text("log_end"))[0][0])
    positions = LogPositions(offset, starts, end)
    # A new slot makes any offset meaningless, so it is not compared with the log.
    if new_slot:
        positions = LogPositions(None, None, end)
    why = reasons(before.recorded, before.here, positions, before.read, before.wanted)
    return Reset(tuple(why), offset)
