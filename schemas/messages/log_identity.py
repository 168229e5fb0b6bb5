"""Which log a position belongs to, and when a stored offset means nothing there.

These are rules, without I/O.

Hazard: an offset between the slot's position and the end of the log looks well,
whichever log it is from. Only the recorded identity, or the database that a connector
was seen to read, tells then.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log a position belongs to.

    Attributes:
        system_identifier: of the cluster, made by initdb; text, since it exceeds 63
            bits of JSON numbers.
        timeline: changes with each promotion and each restore to a point in time.
        database_oid: another one in each copy of a database.
        database_name: for messages.
    """

    system_identifier: str
    timeline: int
    database_oid: int
    database_name: str

    def is_log_of(self, other: "LogIdentity") -> bool:
        """Whether positions of the one log mean something in the other.

        A database may have been renamed.
        """
        return self.moved_from(other) is None

    def moved_from(self, recorded: "LogIdentity") -> str | None:
        """Why positions of the recorded log mean nothing here; None where they do."""
        if self.system_identifier != recorded.system_identifier:
            return (
                f"database {self.database_name} is on another server than the one that capture "
                "was set up on "
                f"(system identifier {self.system_identifier}, set up on "
                f"{recorded.system_identifier})"
            )
        if self.database_oid != recorded.database_oid:
            return (
                f"database {self.database_name} is another one than capture was set up in "
                f"({recorded.database_name}): "
                "a copy, or a restored dump"
            )
        if self.timeline != recorded.timeline:
            return (
                f"the server is on timeline {self.timeline}, and capture was set up on timeline "
                f"{recorded.timeline}: "
                "a promotion, or a restore to a point in time"
            )
        return None


@dataclass(frozen=True, slots=True)
class LogPositions:
    """Places in a log, in bytes.

    Attributes:
        offset: up to where the connector has read, as Connect keeps it; None: nothing
            is kept.
        slot: what the slot has confirmed, read before `offset`; None: there is no slot.
        end: end of the log, read after `offset`.
    """

    offset: int | None
    slot: int | None
    end: int

    def wrong(self, database: str, slot: str) -> str | None:
        """Why the offset is not of this log and slot, without its subject; None if it may be."""
        if self.offset is None:
            return None
        if self.offset > self.end:
            return f"lies ahead of the log of database {database} ({shown(self.end)})"
        if self.slot is not None and self.offset < self.slot:
            return (
                f"lies before the start of replication slot {slot} ({shown(self.slot)}), "
                "another slot than was read"
            )
        return None


@dataclass(frozen=True, slots=True)
class ConnectorSource:
    """What a connector reads, by its configuration."""

    host: str
    port: int
    database: str
    slot: str

    @classmethod
    def of(cls, config: Mapping[str, str]) -> "ConnectorSource":
        """Of a connector's configuration."""
        port = config.get("database.port", "")
        return cls(
            config.get("database.hostname", ""),
            int(port) if port.isdecimal() else 5432,
            config.get("database.dbname", ""),
            # Debezium's own default.
            config.get("slot.name", "debezium"),
        )

    @property
    def where(self) -> str:
        """For messages."""
        return f"database {self.database} at {self.host}:{self.port}"

    def is_database_of(self, other: "ConnectorSource") -> bool:
        """Whether both name one database; the names of the own machine are one name."""
        if (self.port, self.database) != (other.port, other.database):
            return False
        return _known_host(self.host) == _known_host(other.host)


def shown(position: int) -> str:
    """A position as Postgres writes it: `0/1A00000`."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def reasons(
    recorded: LogIdentity | None,
    here: LogIdentity,
    positions: LogPositions,
    read: ConnectorSource | None,
    wanted: ConnectorSource,
) -> list[str]:
    """Why a stored offset must not be used here, clauses; none where it may be.

    Args:
        recorded: the log that `init` recorded last; None: none yet.
        here: the existing log.
        positions: offset, slot and end of that log.
        read: what the connector reads until now; None: there is no connector.
        wanted: what it must read.
    """
    found = []
    if recorded is not None and (moved := here.moved_from(recorded)) is not None:
        found.append(moved)
    if read is not None and not read.is_database_of(wanted):
        found.append(f"the connector read {read.where}")
    elif read is not None and read.slot != wanted.slot:
        found.append(f"the connector read replication slot {read.slot}")
    if (wrong := positions.wrong(here.database_name, wanted.slot)) is not None:
        found.append(f"it {wrong}")
    if recorded is None and positions.offset is not None and not found:
        found.append("it is not recorded which log it belongs to")
    return found


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who would lose the connector.

    Attributes:
        read: what it reads now; None where there is none of that name.
        wanted: what it must read.
        is_recorded: whether this very log is the one that this installation was set up
            on.
        active_slot_of: another database of this very server whose slot of that name is
            being read.
        members: live workers of the group; None: it could not be told.
    """

    read: ConnectorSource | None
    wanted: ConnectorSource
    is_recorded: bool
    active_slot_of: str | None
    members: int | None

    def lost(self) -> str | None:
        """What another installation would lose if `init` went on; None if none works there."""
        foreign = self.read is not None and not self.read.is_database_of(self.wanted)
        there = self.read.where if self.read is not None and foreign else "another database"
        if foreign and self.active_slot_of is not None:
            return (
                f"the connector reads {there}, and its slot is active on this server: {there} "
                "would not be captured"
            )
        if self.is_recorded or (self.read is not None and not foreign):
            return None
        if self.members is None and foreign:
            return (
                f"it cannot be told whether live workers work for {there}, which would get the "
                "changes of this one"
            )
        if self.members:
            return (
                f"{self.members} live worker{'s' if self.members > 1 else ''} of this prefix "
                f"work for {there}, which "
                "would not be captured any more"
            )
        return None


def _known_host(host: str) -> str:
    return "localhost" if host in _LOOPBACK else host.lower()
