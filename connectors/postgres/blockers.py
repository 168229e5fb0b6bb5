"""Who holds what a statement of ours waits for: asked while it waits, from another
connection.

A statement of `statement.py` has a `Lookout` of its own. Whatever else a command runs
is watched over by its `Watch`.

Hazards:
- Once a wait has ended nobody can say what it was for; so it is looked at while it
  lasts, and the last look counts.
- A look must not wait itself: it reads views of the server, no table. Where it fails,
  for want of a connection for example, nobody is named, and nothing else changes.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Self

import structlog

from connectors.clock import SystemClock
from connectors.postgres import open_connections, queries
from connectors.postgres.session import Session
from schemas.errors import Stopping, VectrueError
from schemas.health.blocker import Blocker

log = structlog.get_logger()

_WATCH_SECONDS = 0.5
_LOOK_SECONDS = 0.1
"""A wait for a lock takes seconds, and there are up to eight of them."""


def of(session: Session, pids: Sequence[int]) -> list[Blocker]:
    """Who holds what these server processes wait for, those first that wait for nobody.

    Args:
        session: another one than theirs.
        pids: of the waiting ones.

    Raises:
        VectrueError: Postgres does not answer.
    """
    return [Blocker(*line) for line in session.rows(queries.text("blockers"), {"pids": list(pids)})]


def named(session: Session, pid: int) -> Blocker | None:
    """One session by its id; None where it is gone. Raises as `of`."""
    lines = session.rows(queries.text("session_facts"), {"pid": pid})
    return Blocker(*lines[0]) if lines else None


class Lookout:
    """A thread that looks again and again while another one may wait. Use it in a
    `with`.
    """

    def __init__(self, waiting: Session) -> None:
        """Watch over this session's statements; the connection for it is opened here,
        before anything waits.

        Raises:
            VectrueError: the watched session has none.
        """
        self._pid = waiting.pid
        self._session = waiting.beside("looks")
        self._clock = SystemClock()
        self.seen: list[Blocker] = []
        """Who was in the way at the last look that found somebody."""
        self._thread = threading.Thread(target=self._keep, name="blockers", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._clock.stop()
        self._thread.join()
        self._session.close()

    def _keep(self) -> None:
        try:
            while True:
                self.seen = of(self._session, [self._pid]) or self.seen
                self._clock.wait(_LOOK_SECONDS)
        except Stopping:
            return
        except VectrueError as error:
            log.info("who holds the lock cannot be asked", reason=error.message)


class Watch:
    """A thread that looks after all statements of this process, and tells of whoever
    keeps one waiting.

    Nothing is asked, and nothing opened, before a statement has run for as long as two
    looks are apart.
    """

    def __init__(self, tell: Callable[[Sequence[Blocker]], None]) -> None:
        """Take what is told of everybody who is in the way at two looks in succession,
        once of each.
        """
        self._tell = tell
        self._clock = SystemClock()
        self._sessions: dict[str, Session] = {}
        self._busy: set[int] = set()
        self._before: set[object] = set()
        self._told: set[object] = set()

    def start(self) -> None:
        """Begin to look. The thread ends with the process."""
        threading.Thread(target=self._keep, name="lock waits", daemon=True).start()

    def _keep(self) -> None:
        while True:
            self._clock.wait(_WATCH_SECONDS)
            try:
                self._look()
            # no connection left, for example: the command goes on without it
            except VectrueError as error:
                log.info("who holds the lock cannot be asked", reason=error.message)
                return

    def _look(self) -> None:
        mine = {session.pid for session in self._sessions.values()}
        running = {one.pid: one for one in open_connections.busy() if one.pid not in mine}
        waiting = [one for pid, one in running.items() if pid in self._busy]
        self._busy = set(running)
        found: list[Blocker] = []
        for dsn in {one.dsn for one in waiting}:
            pids = [one.pid for one in waiting if one.dsn == dsn]
            found += self._asked(dsn, waiting, pids)
        again = [
            one for one in found if one.identity in self._before and one.identity not in self._told
        ]
        self._before = {one.identity for one in found}
        if again:
            self._told |= {one.identity for one in again}
            self._tell(again)

    def _asked(
        self, dsn: str, waiting: Sequence[open_connections.OpenConnection], pids: Sequence[int]
    ) -> list[Blocker]:
        if dsn not in self._sessions:
            guard = next(one.guard for one in waiting if one.dsn == dsn)
            self._sessions[dsn] = Session(dsn, role="looks", recorded=False, guard=guard)
        return of(self._sessions[dsn], pids)
