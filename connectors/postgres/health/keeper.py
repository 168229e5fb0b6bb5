"""The keeper's side of the database: who is the keeper, when rows were last looked at,
which rows are stale.

Hazard: the lock belongs to the connection. Whoever asks for it again after a failure
asks on another connection, and somebody else may hold it by then: so `is_mine` is asked
before each duty, never remembered.
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
    """An unfinished run over a table; `resumable` when a keeper made it and nobody
    paused it.
    """

    run: UUID
    resumable: bool
    done: int


class KeeperStore:
    """What the keeper asks and notes, over one connection."""

    def __init__(self, session: Session, prefix: str) -> None:
        """Use this connection, which nobody else may use: the lock is its own.
        `prefix`: kafka.topic_prefix.
        """
        self._session = session
        self._prefix = prefix
        self._lock = f"keeper {prefix}"
        self._is_mine = False

    def is_mine(self) -> bool:
        """Whether this process is the keeper of the installation; takes the lock when
        it is free.

        Raises:
            TransientError: Postgres does not answer; the lock is then lost.
        """
        # a connection that ended meanwhile is replaced; nothing is held in the new one
        self._session.release()
        self._is_mine = False
        self._session.rows("SELECT 1")
        self._is_mine = locks.take(self._session, self._lock)
        if self._is_mine:
            # until the next question: a duty ends with the connection that has the lock
            self._session.hold()
        return self._is_mine

    def give_up(self) -> None:
        """Let another process be the keeper.

        Raises:
            TransientError: Postgres does not answer; the lock is then lost all the
                same.
        """
        if self._is_mine:
            self._is_mine = False
            self._session.release()
            locks.give_back(self._session, self._lock)

    def begin(self) -> None:
        """A worker has started whose keeper will work, if it is let. Raises
        TransientError.
        """
        rounds.begin(self._session, self._prefix, "keeper")

    def note_round(self, every: float) -> None:
        """All duties were done; the next round is in `every` seconds. Raises
        TransientError.
        """
        rounds.note(self._session, self._prefix, "keeper", every)

    def is_busy(self, doing: str) -> None:
        """The keeper begins what may take long; whoever else has this desk notes
        nothing. Raises TransientError.
        """
        if self._is_mine:
            rounds.note(self._session, self._prefix, "keeper", None, doing)

    def since_reconcile(self) -> float | None:
        """Seconds since all rows were last looked at by any worker; None: never, or
        somebody wants it done at once.
        """
        lines = self._session.rows(queries.text("last_reconcile"), {"prefix": self._prefix})
        return lines[0][0] if lines else None

    def note_reconcile(self, found: int) -> None:
        """All rows were looked at; so many had stayed stale."""
        self._session.rows(queries.text("note_reconcile"), {"prefix": self._prefix, "found": found})

    def sweep(self, target: Target) -> int:
        """Take lines out of quarantine that no row answers to any more; returns how
        many.
        """
        if not self._session.rows("SELECT 1 FROM vectrue.quarantine LIMIT 1"):
            return 0
        return guard.around(
            target,
            lambda t: len(
                self._session.rows(queries.for_target("sweep_quarantine", t, bound=False))
            ),
        )

    def stale(self, target: Target, limit: int) -> Mapping[Key, Fingerprint]:
        """Rows that a replay would make true, at most `limit`. Reads every row once
        where few are stale.
        """
        self.is_busy(f"looking at all rows of {target.table}")
        parameters = {"model": target.model, "limit": limit}
        lines = guard.around(
            target, lambda t: self._session.rows(queries.for_target("stale_rows", t), parameters)
        )
        return {
            tuple(key): (state, _bytes(text_hash), _bytes(stored_hash), model)
            for key, state, text_hash, stored_hash, model in lines
        }

    def under_way(self, table: TableName) -> UnderWay | None:
        """The oldest unfinished run over a table."""
        lines = self._session.rows(queries.text("run_under_way"), {"table": str(table)})
        return UnderWay(UUID(lines[0][0]), bool(lines[0][1]), int(lines[0][2])) if lines else None

    def expected(self, run: UUID) -> int:
        """Rows that a run set out to send."""
        query = (
            "SELECT coalesce(sum(expected), 0)::bigint FROM vectrue.replay_scopes WHERE run = %s"
        )
        return int(self._session.rows(query, (str(run),))[0][0])


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
