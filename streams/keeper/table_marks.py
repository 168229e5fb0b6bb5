"""Tables whose storage or publication changed, which the keeper has looked at.

Hazard: an offline migration rewrites its table, and sends all its rows itself. Such a
table is noted and not looked at.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from connectors.postgres.health.table_marks import Mark
from schemas.rows.table import TableName

log = structlog.get_logger()

REASON = "its storage or publication is another than it was, which may bring rows without events"


class MarkDatabase(Protocol):
    """What the database says.

    In production `connectors.postgres.health.table_marks.TableMarkStore`. May raise
    TransientError.
    """

    def read(self, tables: Sequence[TableName]) -> Sequence[Mark]:
        """Return how tables are stored, and how they were when that was noted."""
        ...

    def note(self, mark: Mark) -> None:
        """Note how a table is stored now."""
        ...


class Marks:
    """Compares the tables with what was noted. The keeper calls `tick`."""

    def __init__(
        self,
        database: MarkDatabase,
        tables: Sequence[TableName],
        rewritten: Callable[[], Collection[TableName]],
        ask: Callable[[TableName, str], None],
    ) -> None:
        """Join the parts.

        Args:
            database: reads and notes.
            tables: those configured.
            rewritten: tables that an offline migration is rewriting. May raise
                TransientError.
            ask: has a table looked at. May raise TransientError.
        """
        self._database = database
        self._tables = tables
        self._rewritten = rewritten
        self._ask = ask

    def tick(self) -> None:
        """Compare once.

        Raises:
            TransientError: Postgres does not answer.
        """
        changed = [mark for mark in self._database.read(self._tables) if mark.now != mark.noted]
        if not changed:
            return
        in_hand = self._rewritten()
        for mark in changed:
            if mark.noted is not None and mark.now and mark.table not in in_hand:
                log.warning("events may have been missed", table=str(mark.table), reason=REASON)
                self._ask(mark.table, REASON)
            # After the look was asked for, so that no change is forgotten.
            self._database.note(mark)

    def forget(self) -> None:
        """Do nothing: nothing is remembered here."""
