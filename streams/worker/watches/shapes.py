"""What a lane does when rows and settings no longer fit.

The table is looked at before an event is given up. A table's key may get another type,
column or name while a worker runs. The lane then meets keys that do not fit, or columns
that do not exist. It takes the new shape and does the batch again, from its events.
What still does not fit is older than the change: its key no longer says which row, so
all rows of its table are looked at.

Hazard: a mismatch is waited for once, for as long as workers take between two looks,
before it ends anything.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog
from typing_extensions import override

from connectors.ports import Clock
from schemas.errors import ConfigurationError, PoisonEvent, TargetMismatch, VectrueError
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.common.retry import RetryPolicy

log = structlog.get_logger()

LOOK_SECONDS = 3.0
"""Between two looks at what is configured. A look takes a few small queries; a
migration that adds a column waits about that long.
"""


class Shapes(Protocol):
    """What the database says about the tables now.

    In production this is `streams.worker.watches.targets.TargetWatcher`.
    """

    def renewed(self) -> Sequence[Target] | None:
        """Return all targets if a key has changed since they were last taken, else None.

        Raises:
            TargetMismatch: other columns or models are wanted, so the process has to
                restart.
            TransientError: Postgres does not answer.
        """
        ...

    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        """Whether these transactions may have written before the table's last change."""
        ...

    def ask(self, table: TableName, reason: str) -> None:
        """Have all rows of a table looked at.

        Raises:
            TransientError: Postgres does not answer.
        """
        ...


class FixedShapes(Shapes):
    """Tables that do not change."""

    @override
    def renewed(self) -> Sequence[Target] | None:
        return None

    @override
    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        return False

    @override
    def ask(self, table: TableName, reason: str) -> None:
        log.warning("rows should be looked at", table=str(table), reason=reason)


class Adaptation:
    """Decides for one lane whether failed work is done again. One thread."""

    def __init__(
        self,
        shapes: Shapes,
        take: Callable[[Sequence[Target]], None],
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        """Join the parts.

        Args:
            shapes: what the tables are like now.
            take: gives the lane its new targets.
            clock: waits.
            retry: how long Postgres is waited for.
        """
        self.shapes = shapes
        self._take = take
        self._clock = clock
        self._retry = retry
        self._has_waited = False

    def renew(self) -> bool:
        """Take the tables' new shape; return whether there was one.

        Raises:
            TargetMismatch: the process has to restart.
            TransientError: Postgres stayed away.
        """
        targets = self._retry.call(self.shapes.renewed)
        if targets is None:
            return False
        self._take(targets)
        return True

    def again(self, error: VectrueError) -> bool:
        """Whether to do failed work again; waits once where no change explains it.

        Args:
            error: what the work raised.

        Raises:
            TargetMismatch: the process has to restart.
            Stopping: asked to stop while waiting.
        """
        # Only a restart helps, so it is not waited for.
        if isinstance(error, TargetMismatch):
            return False
        if not isinstance(error, ConfigurationError | PoisonEvent):
            return False
        if self.renew():
            return True
        if self._has_waited:
            self._has_waited = False
            return False
        # An application changes a table in steps, and so does `init`.
        log.warning("the database does not fit the settings; looking again", reason=str(error))
        self._has_waited = True
        self._clock.wait(LOOK_SECONDS)
        self.renew()
        return True

    def settled(self) -> None:
        """Note that the work is done: the next mismatch is another one."""
        self._has_waited = False
