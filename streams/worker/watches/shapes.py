"""What a lane does when rows and settings stop fitting each other: the table is looked
at before an event is given up.

A table's key may get another type, another column or another name while a worker runs.
The lane then meets keys that do not fit, or columns that are not there; it takes the
new shape and does the batch again, from its events on. What still does not fit is of
before the change: its table is looked at as a whole, since the key no longer says which
row.

Hazard: an application changes a table in steps, and `init` does too. So a mismatch is
waited for once, for as long as workers take between two looks, before it ends anything.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from connectors.ports import Clock
from schemas.errors import ConfigurationError, PoisonEvent, TargetMismatch, VectrueError
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.common.retry import RetryPolicy

log = structlog.get_logger()

LOOK_SECONDS = 3.0
"""Between two looks at what is configured: few small queries; a migration that adds a
column waits about that long.
"""


class Shapes(Protocol):
    """What the database says about the tables now;
    `streams.worker.watches.targets.TargetWatcher` in earnest.
    """

    def renewed(self) -> Sequence[Target] | None:
        """All targets, when a key has changed since they were last taken; None when
        none has.

        Raises:
            TargetMismatch: other columns or models are wanted, which a process that
                starts again takes.
            TransientError: Postgres does not answer.
        """
        ...

    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        """Whether these transactions may have written before the table took the shape
        it was last seen in.
        """
        ...

    def ask(self, table: TableName, reason: str) -> None:
        """Have all rows of a table looked at.

        Raises:
            TransientError: Postgres does not answer.
        """
        ...


class FixedShapes:
    """Tables that do not change."""

    def renewed(self) -> Sequence[Target] | None:
        """None."""
        return None

    def is_older(self, target: Target, txids: Collection[int]) -> bool:  # noqa: ARG002 - the signature is the Protocol's
        """No transaction is."""
        return False

    def ask(self, table: TableName, reason: str) -> None:
        """Only a log line: a keeper is not there to look."""
        log.warning("rows are to be looked at", table=str(table), reason=reason)


class Adaptation:
    """Decides for one lane whether work that failed is done again. One thread."""

    def __init__(
        self,
        shapes: Shapes,
        take: Callable[[Sequence[Target]], None],
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        """Join the parts; `take` gives the lane its new targets."""
        self.shapes = shapes
        self._take = take
        self._clock = clock
        self._retry = retry
        self._has_waited = False

    def renew(self) -> bool:
        """Take the new shape, if there is one; whether there was. Waits for Postgres:
        unseen is not unchanged.
        """
        targets = self._retry.call(self.shapes.renewed)
        if targets is None:
            return False
        self._take(targets)
        return True

    def again(self, error: VectrueError) -> bool:
        """Whether to do the work again that raised this; waits once where no change
        explains it.

        Raises:
            TargetMismatch: the process has to start again.
            Stopping: asked to stop while waiting.
        """
        if isinstance(error, TargetMismatch) or not isinstance(
            error, ConfigurationError | PoisonEvent
        ):
            return False
        if self.renew():
            return True
        if self._has_waited:
            self._has_waited = False
            return False
        log.warning("the database does not fit the settings; looking once more", reason=str(error))
        self._has_waited = True
        self._clock.wait(LOOK_SECONDS)
        self.renew()
        return True

    def settled(self) -> None:
        """The work is done: the next mismatch is another one."""
        self._has_waited = False
