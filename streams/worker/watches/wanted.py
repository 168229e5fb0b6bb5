"""The targets that a lane works for, and the one check for one that it does not know.

Hazard: a message that is ahead of its worker must not be given up: the worker restarts
with what the database wants now.
"""

from collections.abc import Callable, Collection, Sequence

from schemas.errors import TargetMismatch
from schemas.rows.table import TableName
from schemas.rows.target import Target


class WantedTargets:
    """The targets of one lane. One thread."""

    def __init__(self, targets: Sequence[Target], outdated: Callable[[], bool]) -> None:
        """Take the targets.

        Args:
            targets: what to work for.
            outdated: whether the database wants other columns or models than the worker
                started with.
        """
        self._outdated = outdated
        self._by_table: dict[TableName, list[Target]] = {}
        self._by_column: dict[tuple[TableName, str], Target] = {}
        self.renew(targets)

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on."""
        self._by_table.clear()
        self._by_column.clear()
        for target in targets:
            self._by_table.setdefault(target.table, []).append(target)
            self._by_column[target.table, target.column] = target

    @property
    def tables(self) -> Collection[TableName]:
        """The tables that have a target."""
        return self._by_table.keys()

    def of(self, table: TableName) -> Sequence[Target]:
        """Return the targets of a table; none where it has none."""
        return self._by_table.get(table, ())

    def find(self, table: TableName, column: str) -> Target | None:
        """Return the target of a column; None where it has none."""
        return self._by_column.get((table, column))

    def check_current(self, what: str) -> None:
        """Check that a target which is not among these is not a new one.

        Args:
            what: the target, for the message.

        Raises:
            TargetMismatch: the database wants other targets than these, so the worker
                has to restart.
        """
        # A migration sends rows of a new column, or for another model, before the
        # worker looks at its targets again.
        if self._outdated():
            raise TargetMismatch(
                f"{what} is new to this worker",
                fix="no action needed: the worker restarts itself",
            )
