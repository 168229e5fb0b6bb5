"""Events whose key does not fit the table's: bad ones, or of before the key was
changed.

An event that names its transaction came through capture, and then some row of the table
is meant in either case: all of them are looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from schemas.health import metrics
from schemas.messages.dead_letter import Failure
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.common.retry import RetryPolicy
from streams.worker.watches.shapes import Shapes

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Misfit:
    """One such event, or deferred row, with the transactions that it names."""

    failure: Failure
    target: Target
    txids: frozenset[int]


@dataclass
class Misfits:
    """Those of the batch in hand, by position."""

    found: dict[str, Misfit] = field(default_factory=dict)

    def add(self, failure: Failure, target: Target, txids: Iterable[int]) -> None:
        """Keep one; the first of a position counts."""
        self.found.setdefault(failure.record.position, Misfit(failure, target, frozenset(txids)))

    def place(self, shapes: Shapes, retry: RetryPolicy) -> list[Failure]:
        """Have the tables looked at whose rows are meant; returns the bad events.

        Raises:
            TransientError: Postgres stays away.
        """
        bad: list[Failure] = []
        tables: dict[TableName, str] = {}
        for misfit in self.found.values():
            record, reason, table = (
                misfit.failure.record,
                misfit.failure.reason,
                misfit.target.table,
            )
            is_older = shapes.is_older(misfit.target, misfit.txids)
            if is_older or misfit.txids:
                tables[table] = "an event came whose key is not one of the table's as it is now"
            if is_older:
                log.warning(
                    "the event's key is of before the table's was changed: all rows are looked at",
                    table=str(table),
                    record=record.position,
                    reason=str(reason),
                )
                metrics.EVENTS.labels("live", str(table), "other_key").inc()
            else:
                bad.append(misfit.failure)
        for table, why in tables.items():
            retry.call(shapes.ask, table, why)
        return bad
