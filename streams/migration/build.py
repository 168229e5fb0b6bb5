"""One CREATE INDEX CONCURRENTLY: run in a thread, watched from a second connection, and
cancelled with its command.

Hazard: between its phases it waits for transactions that are older than it, of any
table of the database; one that is forgotten keeps it waiting for ever. Whoever it waits
for is part of its progress.
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
        phase: in the words of pg_stat_progress_create_index.
        done: tuples loaded, or else blocks read.
        total: of the same; 0 when the server does not know.
        waits_for: who holds it up now.
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
    """Build one index; whatever ends this ends the build on the server as well.

    Args:
        session: of the tables' owner; it is busy until the index is built.
        watcher: a second connection of the same role.
        name: of the index, for the progress.
        create: the statement.
        watch: takes the progress, twice a second.
        memory: `maintenance_work_mem` of the build, for example `2GB`; the server's
            when None.

    Raises:
        VectrueError: the server refuses it.
    """
    session.rows("SET lock_timeout = 0")
    if memory:
        session.rows("SELECT set_config('maintenance_work_mem', %s, false)", (memory,))
    pid = session.pid
    failures: list[VectrueError] = []

    def work() -> None:
        try:
            session.rows(create)
        except VectrueError as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="create index", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            _look(watcher, name, pid, watch)
            thread.join(_POLL_SECONDS)
    except BaseException:
        # Ctrl-C: the server would go on building for nobody. Again and again: the
        # statement may only be on its way.
        while thread.is_alive():
            watcher.rows("SELECT pg_cancel_backend(%s)", (pid,))
            thread.join(_POLL_SECONDS)
        raise
    if failures:
        raise failures[0]


def _look(watcher: Session, name: str, pid: int, watch: Watch) -> None:
    for phase, blocks, of_blocks, tuples, of_tuples in watcher.rows(
        queries.text("index_progress"), {"pid": pid}
    ):
        waits_for = blockers.of(watcher, [pid])
        watch(
            BuildProgress(
                name, phase, tuples or blocks or 0, of_tuples or of_blocks or 0, waits_for
            )
        )
