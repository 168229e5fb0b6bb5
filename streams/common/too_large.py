"""The failure of a connector, with the row that was too large for it where that is the
reason.
"""

import threading

from connectors.postgres.rows import large_rows
from connectors.postgres.session import Session, limit_statements
from schemas.errors import VectrueError
from schemas.messages import too_large
from schemas.settings.reading import Settings

_SECONDS = 3.0
"""A report waits for it; a table that takes longer to look through is not named."""


class Explainer:
    """Explains reasons, each once: the failure stays the same as long as its event
    does.
    """

    def __init__(self, settings: Settings) -> None:
        """Remember where to look; nothing is opened yet."""
        self._settings = settings
        self._known: dict[str, str] = {}
        self._alone = threading.Lock()

    def explain(self, reason: str) -> str:
        """The reason, with the table and the row where an event was too large; as it is
        where it was not that.
        """
        if not too_large.is_too_large(reason):
            return reason
        with self._alone:
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
