"""Tables whose rows are stored elsewhere than before: a duty of the keeper, which has
them looked at.

Hazard: an offline migration rewrites its table, and has all its rows on their way by
itself. Such a table is noted and not looked at.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from connectors.postgres.health.table_marks import Mark
from schemas.rows.table import TableName

log = structlog.get_logger()

REASON = "its storage or publication is another than it was, which may bring rows without events"


class MarkDatabase(Protocol):
    """`connectors.postgres.health.table_marks.TableMarkStore` in earnest. May raise
    TransientError.
    """

    def read(self, tables: Sequence[TableName]) -> Sequence[Mark]:
        """How tables are stored, and how they were when they were noted."""
        ...

    def note(self, mark: Mark) -> None:
        """Note how a table is stored now."""
        ...


class Marks:
    """Compares the tables with what was noted; driven from outside by `tick`."""

    def __init__(
        self,
        desk: MarkDatabase,
        tables: Sequence[TableName],
        rewritten: Callable[[], Collection[TableName]],
        ask: Callable[[TableName, str], None],
    ) -> None:
        """Join the parts.

        Args:
            desk: reads and notes.
            tables: which.
            rewritten: tables that an offline migration has in hand. May raise
                TransientError.
            ask: has a table looked at. May raise TransientError.
        """
        self._desk = desk
        self._tables = tables
        self._rewritten = rewritten
        self._ask = ask

    def tick(self) -> None:
        """Compare once. What is asked for is noted afterwards, so that no change is
        forgotten.

        Raises:
            TransientError: Postgres does not answer.
        """
        changed = [mark for mark in self._desk.read(self._tables) if mark.now != mark.noted]
        if not changed:
            return
        in_hand = self._rewritten()
        for mark in changed:
            if mark.noted is not None and mark.now and mark.table not in in_hand:
                log.warning("events may have been missed", table=str(mark.table), reason=REASON)
                self._ask(mark.table, REASON)
            self._desk.note(mark)

    def forget(self) -> None:
        """Somebody else is the keeper now: nothing is remembered here."""
