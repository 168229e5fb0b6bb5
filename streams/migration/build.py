"""Run one CREATE INDEX CONCURRENTLY in a thread, watched from a second connection.

Hazard: between its phases it waits for transactions that are older than it, of any
table of the database; one that is forgotten keeps it waiting forever. The sessions that
it waits for are part of its progress.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.postgres import blockers, queries
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.health.blocker import Blocker

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        index: its name.
        phase: as pg_stat_progress_create_index names it.
        done: tuples loaded, or blocks read.
        total: of the same unit; 0 when the server does not know.
        waits_for: the sessions that block it now.
    """

    index: str
    phase: str
    done: int
    total: int
    waits_for: Sequence[Blocker] = field(default=())


Watch = Callable[[BuildProgress], None]


def build(
    session: Session,
    watcher: Session,
    name: str,
    create: str,
    watch: Watch,
    *,
    memory: str | None = None,
) -> None:
    """Build one index. An exception here cancels the build on the server too.

    Args:
        session: of the tables' owner; it is busy until the index is built.
        watcher: a second connection of the same role.
        name: of the index, for the progress.
        create: the statement.
        watch: called with the progress, twice a second.
        memory: `maintenance_work_mem` of the build, as in `2GB`; the server's when None.

    Raises:
        VectrueError: the server refuses it.
    """
    # The build waits for every older transaction, however long it takes.
    session.rows("SET lock_timeout = 0")
    if memory:
        session.rows("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
    # Read before the thread begins, which has the connection from then on.
    pid = session.pid
    failures: list[VectrueError] = []
    work = (session, create, failures)
    # A daemon: an exit of the command must not wait for the server.
    thread = threading.Thread(target=_work, args=work, name="create index", daemon=True)
    thread.start()
    _follow(thread, watcher, name, pid, watch)
    if failures:
        raise failures[0]


def _work(session: Session, create: str, failures: list[VectrueError]) -> None:
    """Run the statement; its error is for the thread that started this one."""
    try:
        session.rows(create)
    except VectrueError as error:
        failures.append(error)


def _follow(thread: threading.Thread, watcher: Session, name: str, pid: int, watch: Watch) -> None:
    """Watch a build to its end, and cancel it on the server on any exception here."""
    try:
        while thread.is_alive():
            _look(watcher, name, pid, watch)
            thread.join(_POLL_SECONDS)
    except BaseException:
        # Ctrl-C: the server would continue the build. The cancel is repeated, since
        # the statement may not have reached the server yet.
        while thread.is_alive():
            watcher.rows("SELECT pg_cancel_backend(%s)", (pid,))
            thread.join(_POLL_SECONDS)
        raise


def _look(watcher: Session, name: str, pid: int, watch: Watch) -> None:
    lines = watcher.rows(queries.text("index_progress"), {"pid": pid})
    for phase, blocks, of_blocks, tuples, of_tuples in lines:
        progress = BuildProgress(
            index=name,
            phase=phase,
            # Blocks in the phases in which the server counts no tuples.
            done=tuples or blocks or 0,
            total=of_tuples or of_blocks or 0,
            waits_for=blockers.of(watcher, [pid]),
        )
        watch(progress)
