"""Build the vector indexes of a migration, by CREATE INDEX CONCURRENTLY.

Hazards:
- The statement runs outside of a transaction, waits for every older transaction of the
  database, and must not run under lock_timeout. It holds no lock that an application's
  read or write would wait for.
- A failed or killed build leaves an INVALID index: never used, but updated on every
  write. It is dropped, concurrently, before the next attempt.
"""

from collections.abc import Sequence

from connectors.ports import Clock
from connectors.postgres import statement
from connectors.postgres.migrations import twin_steps, twins
from connectors.postgres.migrations.twin_steps import Kind, TwinStep
from connectors.postgres.migrations.twins import IndexTwins
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration
from streams.migration import build as migrate_build
from streams.migration.build import Watch


class Builder:
    """Builds the indexes of columns that are under way."""

    def __init__(
        self, session: Session, watcher: Session, clock: Clock, *, lock_seconds: float
    ) -> None:
        """Build with these connections.

        Args:
            session: of the tables' owner; it is busy while an index is built.
            watcher: a second connection, for the progress.
            clock: for the pauses between two attempts.
            lock_seconds: lock timeout of the short statements.
        """
        self._session = session
        self._lock_seconds = lock_seconds
        self._watcher = watcher
        self._clock = clock

    def build(
        self, found: Sequence[ColumnMigration], watch: Watch, *, memory: str | None = None
    ) -> list[str]:
        """Build what is missing. After a kill, calling it again continues.

        Args:
            found: the columns.
            watch: called with the progress, twice a second.
            memory: `maintenance_work_mem` of the build, as in `2GB`; the server's when
                None.

        Returns:
            Names of the indexes that were built.

        Raises:
            VectrueError: an index cannot be carried over, or the server refuses it.
        """
        built: list[str] = []
        for made in found:
            built += self._complete(made, watch, memory)
        # Last: what can be built is built, although a constraint is then refused.
        for made in found:
            require_no_constraint(twins.standing(self._session, made))
        return built

    def _complete(self, made: ColumnMigration, watch: Watch, memory: str | None) -> list[str]:
        """Build what a column lacks; return the names of the indexes."""
        built: list[str] = []
        done: list[str] = []
        # Planned again after each statement: a build may take hours, and partitions
        # come and go meanwhile.
        while steps := twin_steps.plan(self._session, made):
            step = steps[0]
            # A statement that is asked for again had no effect, and would repeat forever.
            if step.sql in done:
                raise VectrueError(
                    f"index {step.index} of {step.table} was built, but is not what was asked for",
                    fix="vectrue migrate status, which names what is INVALID or lacks a twin",
                )
            self._run(step, watch, memory)
            done.append(step.sql)
            if step.kind is Kind.BUILD:
                built.append(step.index)
        return built

    def _run(self, step: TwinStep, watch: Watch, memory: str | None) -> None:
        if step.kind is Kind.BUILD:
            migrate_build.build(
                self._session, self._watcher, step.index, step.sql, watch, memory=memory
            )
        elif step.kind is Kind.DROP:
            # A concurrent DROP waits for every older transaction too.
            self._session.rows("SET lock_timeout = 0")
            self._session.rows(step.sql)
        else:
            # The short steps of a partitioned index: Postgres builds none concurrently.
            verb = "make the frame of" if step.kind is Kind.FRAME else "attach a part to"
            statement.run(
                self._session,
                Statement(f"{verb} the index {step.index}", step.sql),
                lock_seconds=self._lock_seconds,
                clock=self._clock,
            )


def script(session: Session, found: Sequence[ColumnMigration]) -> str:
    """Return what `build` would run, for psql.

    Raises:
        VectrueError: as `Builder.build`.
    """
    # The statements stand alone: a concurrent one cannot run in a transaction.
    lines = ["-- Run statement by statement (psql -f does), not with --single-transaction."]
    for made in found:
        stands = twins.standing(session, made)
        steps = twin_steps.plan_for(session, made, stands)
        lines.append(f"-- {made.name}: {_left(stands, len(steps))}")
        for step in steps:
            lines.append(f"{step.sql};")
    return "\n".join(lines) + "\n"


def _left(found: IndexTwins, statements: int) -> str:
    if statements:
        return "1 statement" if statements == 1 else f"{statements} statements"
    if not found.wanted:
        return "no index to build"
    if not found.lacking:
        return "every index is built"
    return "what is left are constraints, which are not carried over"


def require_no_constraint(found: IndexTwins) -> None:
    """Refuse where an index serves a constraint, which is not carried over.

    Raises:
        VectrueError: with the constraint.
    """
    for index in found.lacking:
        # Only its owner can know what the constraint should be on the new column.
        if index.constraint is not None:
            raise VectrueError(
                f"constraint {index.constraint} of {index.table} holds the vector column, "
                "and is not carried over",
                fix=f"ALTER TABLE {index.table} DROP CONSTRAINT {index.constraint}, "
                "or `vectrue migrate swap --yes`",
            )
