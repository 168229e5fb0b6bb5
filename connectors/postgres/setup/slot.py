"""The replication slot's figures: what is not confirmed, and the disk that it costs.

Hazard: a slot that is not read keeps WAL until the disk is full, and the connector
itself cannot tell, because it is not there. So the figures come from the server.
"""

from collections.abc import Sequence
from typing import Any

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.health.lag import SlotLag


def read(session: Session, slot: str) -> SlotLag:
    """Read a slot; state `missing` when there is none of that name.

    Raises:
        TransientError: Postgres does not answer.
        ConfigurationError: it refuses the connection.
    """
    lines = session.rows(queries.text("slot"), {"slot": slot})
    if not lines:
        return SlotLag(slot, state="missing")
    active, wal_status, unconfirmed, retained, safe = lines[0]
    return SlotLag(
        slot,
        state="active" if active else "inactive",
        wal_status=wal_status,
        unconfirmed_bytes=_size(unconfirmed),
        retained_bytes=_size(retained),
        safe_wal_bytes=safe if safe is None else int(safe),
    )


def position(session: Session, slot: str) -> int | None:
    """Where a slot stands in the log, as a number.

    Returns:
        None when there is none of that name.

    Raises:
        as `read`.
    """
    return _number(session.rows(queries.text("slot_position"), {"slot": slot}))


def reader(session: Session, slot: str) -> int | None:
    """The server's process that a slot is read through.

    It is another one after each start of the reader.

    Returns:
        None when the slot is not read, or there is none of that name.

    Raises:
        as `read`.
    """
    query = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    return _number(session.rows(query, (slot,)))


def _number(lines: Sequence[Sequence[Any]]) -> int | None:
    """The single value; None without a line or a value."""
    if not lines or lines[0][0] is None:
        return None
    return int(lines[0][0])


def _size(distance: int | None) -> int | None:
    # Never negative: the slot may have moved on between the two positions.
    return None if distance is None else max(0, int(distance))
