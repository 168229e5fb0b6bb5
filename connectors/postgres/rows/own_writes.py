"""Transactions that write vectors or their provenance, labelled as ours for capture.

The label is a replication origin. It is set for the length of the transaction only, as
`session_replication_role` is (`SET LOCAL`). So a worker that is killed leaves neither
to the client that gets the server's connection next: DISCARD ALL, which a pooler in
session mode runs between clients, resets everything but an origin.

Hazard: an origin belongs to one transaction at a time. If all are in use, capture sees
the write, which costs one look-up.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import structlog
from psycopg2 import errors
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.idle import Frame
from connectors.postgres.session import Session
from connectors.postgres.setup import origins
from schemas.errors import VectrueError
from schemas.settings.sections import PostgresSettings

log = structlog.get_logger()

STATEMENT_TIMEOUT = "60s"
_UNTRIGGERED = "SET LOCAL session_replication_role = replica"
_RESET = "SELECT pg_replication_origin_session_reset()"
_NONE_TO_HAVE = (
    errors.UndefinedObject,
    errors.InsufficientPrivilege,
    errors.ConfigurationLimitExceeded,
)
"""`init` created none, or did not let this role use them, or the server has no room for
another one.
"""


class OwnWrites:
    """Transactions of one session, each under one of our origins that is free."""

    def __init__(self, session: Session, settings: PostgresSettings) -> None:
        self._session = session
        self._settings = settings
        self._number = 0
        self._unlabelled_in = -1
        """Generation of the connection in which no origin can be used. With the next
        connection it is tried again.
        """

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor within BEGIN and COMMIT, as `Session.transaction`."""
        with ExitStack() as stack:
            yield self._begun(stack)

    def _begun(self, stack: ExitStack) -> Cursor:
        self._session.connection()
        if self._unlabelled_in != self._session.generation:
            # The origin that was free last is probably free again.
            first = self._number
            for number in (*range(first, origins.COUNT), *range(first)):
                try:
                    cursor = stack.enter_context(self._session.transaction(self._frame(number)))
                except VectrueError as error:
                    # Another transaction has it at this moment: the next one is tried.
                    if isinstance(error.__cause__, errors.ObjectInUse):
                        continue
                    if not isinstance(error.__cause__, _NONE_TO_HAVE):
                        raise
                    self._unlabelled_in = self._session.generation
                    break
                self._number = number
                return cursor
            log.warning(
                "no replication origin: own writes come back as events",
                origins=self._settings.origin,
            )
        return stack.enter_context(self._session.transaction(self._frame(None)))

    def _frame(self, number: int | None) -> Frame:
        begin = "BEGIN" if self._settings.fire_triggers else f"BEGIN; {_UNTRIGGERED}"
        if number is None:
            return Frame(begin=begin)
        name = origins.labels(self._settings.origin)[number].replace("'", "''")
        label = f"SELECT pg_replication_origin_session_setup('{name}')"
        # ROLLBACK does not undo an origin, so each end resets it: in the message that
        # ends the transaction, so that no failure in between leaves it in the session.
        return Frame(
            begin=f"{begin}; {label}",
            commit=f"COMMIT; {_RESET}",
            rollback=f"ROLLBACK; {_RESET}",
        )


def limit_waits(connection: Connection, settings: PostgresSettings) -> None:
    """Set lock_timeout and statement_timeout in a session that writes."""
    milliseconds = round(settings.lock_timeout_seconds * 1000)
    with connection.cursor() as cursor:
        cursor.execute(queries.text("limit_lock_waits"), {"wanted": milliseconds})
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
