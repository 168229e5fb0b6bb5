"""The canary's side of the database: beats, arrivals, where the slot stood meanwhile.

Hazard: the notes of arrivals are never published: an arrival that came back as an event
would be a loop.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.health.canary import CanaryRecord

_LEAST_WAIT_SECONDS = 0.05
_UNWATCHED_BEATS = 3
_UNWATCHED_SECONDS = 60.0
"""After so long without a look it is not known whether the slot stood still meanwhile."""


class CanaryStore:
    """What is written about one installation's canary, over one connection."""

    def __init__(self, session: Session, prefix: str, slot: str) -> None:
        """Use this connection.

        Args:
            session: without a replication origin; used by nothing else.
            prefix: kafka.topic_prefix.
            slot: name of the replication slot.
        """
        self._session = session
        self._prefix = prefix
        self._slot = slot

    def beat(self, every_seconds: float) -> float:
        """Write a beat unless another worker has written one within the period.

        Returns:
            seconds until the next one is due, more than 0.

        Raises:
            TransientError: Postgres does not answer.
        """
        # Without a replication origin: capture leaves out what one has labelled, and
        # the canary would never come back.
        parameters = {"prefix": self._prefix, "seconds": every_seconds}
        wait = float(self._session.rows(queries.text("write_canary"), parameters)[0][0])
        # Never 0, which would be a busy loop, and never longer than the period.
        return min(max(wait, _LEAST_WAIT_SECONDS), every_seconds)

    def note_slot(self, every_seconds: float) -> None:
        """Note where the slot stands, and since when. Raises as `beat`."""
        # After a longer gap without a look the standstill begins again.
        gap = max(_UNWATCHED_BEATS * every_seconds, _UNWATCHED_SECONDS)
        parameters = {"prefix": self._prefix, "slot": self._slot, "gap": gap}
        self._session.rows(queries.text("note_slot"), parameters)

    def arrived(self, records: Sequence[CanaryRecord], worker_at: datetime) -> None:
        """Note beats that came back. Raises as `beat`.

        Args:
            records: the beats, with the times of each hop.
            worker_at: when the worker received them.
        """
        parameters: dict[str, Any] = {
            "prefix": self._prefix,
            "worker_at": worker_at,
            "beats": [],
            "sent": [],
            "captured": [],
            "queued": [],
        }
        for record in records:
            parameters["beats"].append(record.beat.number)
            parameters["sent"].append(record.beat.sent_at)
            parameters["captured"].append(record.captured_at)
            parameters["queued"].append(record.queued_at)
        self._session.rows(queries.text("note_arrivals"), parameters)
        self._session.rows(queries.text("prune_arrivals"), {"prefix": self._prefix})

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        self._session.close()


def limit_arrivals(connection: Connection) -> None:
    """Set up the session that notes arrivals."""
    # A lock that another session holds may cost the live lane half a second, not more.
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '500ms'; SET statement_timeout = '5s'")
