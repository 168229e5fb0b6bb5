"""Who holds what a statement of ours waits for, asked from another connection.

A statement of `statement.py` has a `Lookout` of its own. All other statements of a
command are covered by its `Watch`.

Hazards:
- After a wait has ended, Postgres no longer knows what it was for. So blockers are
  looked up while it lasts, and the last look counts.
- A look must not wait for a lock itself: it reads views of the server, not tables. If
  it fails, for want of a connection for example, no blocker is named, and nothing else
  changes.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import structlog

from connectors.clock import SystemClock
from connectors.postgres import open_connections, queries
from connectors.postgres.open_connections import OpenConnection
from connectors.postgres.session import Session
from schemas.errors import Stopping, TransientError, VectrueError
from schemas.health.blocker import Blocker

log = structlog.get_logger()

_WATCH_SECONDS = 0.5
_LOOK_SECONDS = 0.1
"""A wait for a lock takes seconds, and there are up to eight waits."""


def of(session: Session, pids: Sequence[int]) -> list[Blocker]:
    """Who holds what these server processes wait for.

    Args:
        session: another session.
        pids: of the waiting processes.

    Returns:
        blockers; those that do not wait themselves come first.

    Raises:
        VectrueError: Postgres does not answer.
    """
    lines = session.rows(queries.text("blockers"), {"pids": list(pids)})
    return [_blocker(line) for line in lines]


def named(session: Session, pid: int) -> Blocker | None:
    """One session by its process id; None if it is gone. Raises as `of`."""
    lines = session.rows(queries.text("session_facts"), {"pid": pid})
    return _blocker(lines[0]) if lines else None


def _blocker(line: tuple[Any, ...]) -> Blocker:
    pid, user, application, kind, state, seconds, waits, gid = line
    return Blocker(
        pid=pid,
        user=user,
        application=application,
        kind=kind,
        state=state,
        seconds=seconds,
        waits=waits,
        gid=gid,
    )


class Lookout:
    """A thread that looks for blockers of one session. Use it as a context manager.

    Attributes:
        seen: the blockers at the last look that found any.
    """

    def __init__(self, waiting: Session) -> None:
        """Prepare to watch this session.

        Raises:
            VectrueError: the session has no connection, and cannot get one.
        """
        self._pid = waiting.pid
        self._session = waiting.beside("looks")
        self._clock = SystemClock()
        self.seen: list[Blocker] = []
        self._thread = threading.Thread(target=self._keep, name="blockers", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
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
            log.info("blockers of a lock cannot be looked up", reason=error.message)


class Watch:
    """A thread that watches all statements of this process, and reports what blocks them.

    It opens no connection before a statement has run for as long as two looks are
    apart.
    """

    def __init__(self, tell: Callable[[Sequence[Blocker]], None]) -> None:
        """Prepare to watch.

        Args:
            tell: is called with blockers that were seen at two looks in succession;
                once for each.
        """
        self._tell = tell
        self._clock = SystemClock()
        self._sessions: dict[str, Session] = {}
        self._busy: set[int] = set()
        self._before: set[object] = set()
        self._told: set[object] = set()

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._keep, name="lock waits", daemon=True).start()

    def _keep(self) -> None:
        while True:
            self._clock.wait(_WATCH_SECONDS)
            try:
                self._look()
            except TransientError as error:
                # The command itself meets a server that is gone, and says so.
                log.debug("blockers of a lock cannot be looked up", reason=error.message)
                return
            except VectrueError as error:
                # There may be no connection left: the command goes on without it.
                log.info("blockers of a lock cannot be looked up", reason=error.message)
                return

    def _look(self) -> None:
        found = self._blockers(self._waiting())
        again: list[Blocker] = []
        identities: set[object] = set()
        for one in found:
            identities.add(one.identity)
            if one.identity in self._before and one.identity not in self._told:
                again.append(one)
        self._before = identities
        if again:
            self._told.update(one.identity for one in again)
            self._tell(again)

    def _waiting(self) -> list[OpenConnection]:
        """Connections that were busy at the last look too; our own left out."""
        mine = {session.pid for session in self._sessions.values()}
        running = {one.pid: one for one in open_connections.busy() if one.pid not in mine}
        waiting = [one for pid, one in running.items() if pid in self._busy]
        self._busy = set(running)
        return waiting

    def _blockers(self, waiting: Sequence[OpenConnection]) -> list[Blocker]:
        by_dsn: dict[str, list[OpenConnection]] = {}
        for one in waiting:
            by_dsn.setdefault(one.dsn, []).append(one)
        found: list[Blocker] = []
        for dsn, connections in by_dsn.items():
            if dsn not in self._sessions:
                guard = connections[0].guard
                self._sessions[dsn] = Session(dsn, role="looks", recorded=False, guard=guard)
            found += of(self._sessions[dsn], [one.pid for one in connections])
        return found
