"""Events whose key does not fit the table's: they are bad, or older than the key.

Hazard: which row was meant is not known, so all rows of the table are looked at.
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

_REASON = "an event came whose key is not one of the table's as it is now"


@dataclass(frozen=True, slots=True)
class MismatchedKey:
    """An event or deferred row whose key does not fit."""

    failure: Failure
    target: Target
    txids: frozenset[int]
    """The transactions that it names (32-bit ids)."""


@dataclass
class MismatchedKeys:
    """The mismatched keys of a batch, by position."""

    found: dict[str, MismatchedKey] = field(default_factory=dict)

    def add(self, failure: Failure, target: Target, txids: Iterable[int]) -> None:
        """Keep a mismatched key; the first of a position counts."""
        mismatched = MismatchedKey(failure, target, frozenset(txids))
        self.found.setdefault(failure.record.position, mismatched)

    def place(self, shapes: Shapes, retry: RetryPolicy) -> list[Failure]:
        """Have the tables looked at whose rows were meant.

        Args:
            shapes: knows when a table's key was changed.
            retry: how long Postgres is waited for.

        Returns:
            the bad events.

        Raises:
            TransientError: Postgres stayed away.
        """
        bad: list[Failure] = []
        tables: dict[TableName, None] = {}
        for mismatched in self.found.values():
            table = mismatched.target.table
            is_older = shapes.is_older(mismatched.target, mismatched.txids)
            # An event that names its transaction came through capture: even if it is
            # bad, some row of the table was meant.
            if is_older or mismatched.txids:
                tables[table] = None
            if is_older:
                _report_older(mismatched)
            else:
                bad.append(mismatched.failure)
        for table in tables:
            retry.call(shapes.ask, table, _REASON)
        return bad


def _report_older(mismatched: MismatchedKey) -> None:
    table = str(mismatched.target.table)
    log.warning(
        "event is older than the table's key; all rows will be looked at",
        table=table,
        record=mismatched.failure.record.position,
        reason=str(mismatched.failure.reason),
    )
    metrics.EVENTS.labels("live", table, "other_key").inc()
