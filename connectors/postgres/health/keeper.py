"""The keeper's side of the database: who it is, when it looked, which rows are stale.

Hazard: the lock belongs to the connection. After a failure it is asked for on another
connection, and another process may hold it by then: so `is_mine` is asked before each
duty, never remembered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from connectors.postgres import guard, locks, queries
from connectors.postgres.health import rounds
from connectors.postgres.session import Session
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target

Fingerprint = tuple[str, bytes | None, bytes | None, str | None]
"""State, hash of the text, stored hash and stored model of a row that is not true."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An unfinished run over a table.

    Attributes:
        run: its id.
        resumable: whether a keeper made it and it was not paused.
        done: how many rows are handled.
    """

    run: UUID
    resumable: bool
    done: int


class KeeperStore:
    """What the keeper asks and notes, over one connection."""

    def __init__(self, session: Session, prefix: str) -> None:
        """Use this connection.

        Args:
            session: used by nothing else, since the lock belongs to it.
            prefix: kafka.topic_prefix.
        """
        self._session = session
        self._prefix = prefix
        self._lock = f"keeper {prefix}"
        self._is_mine = False

    def is_mine(self) -> bool:
        """Whether this process is the keeper; takes the lock when it is free.

        Raises:
            TransientError: Postgres does not answer; the lock is then lost.
        """
        # A connection that ended meanwhile is replaced; the new one holds no lock.
        self._session.release()
        self._is_mine = False
        self._session.rows("SELECT 1")
        self._is_mine = locks.take(self._session, self._lock)
        if self._is_mine:
            # Until the next question: a duty ends with the connection that has the lock.
            self._session.hold()
        return self._is_mine

    def give_up(self) -> None:
        """Let another process be the keeper.

        Raises:
            TransientError: Postgres does not answer; the lock is lost then, too.
        """
        if self._is_mine:
            self._is_mine = False
            self._session.release()
            locks.give_back(self._session, self._lock)

    def begin(self) -> None:
        """Note that a worker with a keeper has started. Raises TransientError."""
        rounds.begin(self._session, self._prefix, "keeper")

    def note_round(self, every: float) -> None:
        """Note that all duties were done. Raises TransientError.

        Args:
            every: seconds until the next round.
        """
        rounds.note(self._session, self._prefix, "keeper", every)

    def is_busy(self, doing: str) -> None:
        """Note that the keeper begins what may take long. Raises TransientError.

        Args:
            doing: what, in a few words.
        """
        # A command uses this store, too, and is not the keeper.
        if self._is_mine:
            rounds.note(self._session, self._prefix, "keeper", None, doing)

    def since_reconcile(self) -> float | None:
        """How long ago all rows were last looked at by any worker.

        Returns:
            seconds; None where they never were, or a look at once is asked for.
        """
        lines = self._session.rows(queries.text("last_reconcile"), {"prefix": self._prefix})
        return lines[0][0] if lines else None

    def note_reconcile(self, found: int) -> None:
        """Note that all rows were looked at.

        Args:
            found: how many had stayed stale.
        """
        self._session.rows(queries.text("note_reconcile"), {"prefix": self._prefix, "found": found})

    def sweep(self, target: Target) -> int:
        """Remove from quarantine what has no row any more.

        Returns:
            how many entries.
        """
        # Quarantine is empty most of the time, and a sweep reads the table.
        if not self._session.rows("SELECT 1 FROM vectrue.quarantine LIMIT 1"):
            return 0

        def swept(of: Target) -> int:
            query = queries.for_target("sweep_quarantine", of, bound=False)
            return len(self._session.rows(query))

        return guard.around(target, swept)

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Rows that a replay would make true. Reads every row where few are stale.

        Args:
            target: the column.
            limit: how many are returned at most.

        Returns:
            what is known of each, by key.
        """
        self.is_busy(f"looking at all rows of {target.table}")
        parameters = {"model": target.model, "limit": limit}
        lines = guard.around(
            target, lambda t: self._session.rows(queries.for_target("stale_rows", t), parameters)
        )
        found: dict[Key, Fingerprint] = {}
        for key, state, text_hash, stored_hash, model in lines:
            found[tuple(key)] = (state, _bytes(text_hash), _bytes(stored_hash), model)
        return found

    def under_way(self, table: TableName) -> UnderWay | None:
        """The oldest unfinished run over a table; None without one."""
        lines = self._session.rows(queries.text("run_under_way"), {"table": str(table)})
        if not lines:
            return None
        run, resumable, done = lines[0]
        return UnderWay(UUID(run), bool(resumable), int(done))

    def expected(self, run: UUID) -> int:
        """Rows that a run set out to send."""
        query = (
            "SELECT coalesce(sum(expected), 0)::bigint FROM vectrue.replay_scopes WHERE run = %s"
        )
        return int(self._session.rows(query, (str(run),))[0][0])


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
