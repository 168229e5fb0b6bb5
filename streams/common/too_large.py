"""Explains the failure of a connector; if an event was too large, it finds the row."""

import threading

from connectors.postgres.rows import large_rows
from connectors.postgres.session import Session, limit_statements
from schemas.errors import VectrueError
from schemas.messages import too_large
from schemas.settings.reading import Settings

_SECONDS = 3.0
"""Time to look for the row, since a report waits for it."""


class Explainer:
    """Explains reasons, each one once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, str] = {}
        self._alone = threading.Lock()

    def explain(self, reason: str) -> str:
        """Return the reason; with table and row if an event was too large."""
        if not too_large.is_too_large(reason):
            return reason
        # One search at a time, since it reads whole tables.
        with self._alone:
            # Once: a failure stays the same as long as its event does.
            if reason not in self._known:
                self._known[reason] = self._explained(reason)
            return self._known[reason]

    def _explained(self, reason: str) -> str:
        limit, prefix = limit_statements(_SECONDS), self._settings.kafka.topic_prefix
        session = Session(
            self._settings.postgres.dsn, role="large rows", prefix=prefix, setup=limit
        )
        try:
            row = large_rows.largest(session, [table.table for table in self._settings.tables])
        except VectrueError as error:
            return (
                f"an event is too large ({reason}); which, is not known: {error.message}: "
                f"{too_large.FIX}"
            )
        finally:
            session.close()
        return f"{too_large.sentence(reason, row)}: {too_large.FIX}"
