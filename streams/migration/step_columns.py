"""Which columns a step of `vectrue migrate` is for, by its tables and their states."""

from collections.abc import Sequence

from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.migration import (
    ColumnMigration,
    MigrationState,
    MigrationStep,
    require,
    table_flags,
)
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.migration import check, in_flight
from streams.migration import status as migration_status

_NEEDS_NO_COLUMN_BESIDE = {
    MigrationStep.ROLLBACK: MigrationState.STARTED,
    MigrationStep.FINISH: MigrationState.SWAPPED,
}
"""The step that drops the column beside, by the state in which it does."""


class StepColumns:
    """The columns in the scope of a command."""

    def __init__(self, settings: Settings, session: Session, tables: Sequence[str]) -> None:
        """Look at these tables only.

        Args:
            settings: all of them.
            session: any connection that may read the schema vectrue.
            tables: names of the tables in the scope; all configured tables when empty.
        """
        self._every = settings
        self._session = session
        self._names = tuple(tables)

    @property
    def flags(self) -> str:
        """The scope as it was typed: nothing, or ` -t public.questions`."""
        return table_flags(map(TableName.parse, self._names))

    @property
    def settings(self) -> Settings:
        """The settings with the tables of the scope only.

        Raises:
            ConfigurationError: a named table is not configured.
        """
        return self._every.only(self._names)

    def open(self) -> list[ColumnMigration]:
        """Return the columns of the scope that are under way.

        Raises:
            ConfigurationError: a named table is not configured.
            TransientError: Postgres does not answer.
        """
        tables = {table.table for table in self.settings.tables}
        found: list[ColumnMigration] = []
        for made in in_flight.mine(self._every, self._session):
            if made.table in tables:
                found.append(made)
        return found

    def require(self, step: MigrationStep) -> list[ColumnMigration]:
        """Return the columns that a step is for.

        Raises:
            VectrueError: it is too early or too late for it, or a table is not as its
                migration left it; with the command that comes next.
        """
        # First: such a table is not in the settings, and would count as no migration.
        if step is MigrationStep.ROLLBACK:
            lost = self._lost()
            if lost:
                return lost
        found = self.open()
        if not found:
            self._refuse_without_migration(step)
        # No worker restarts when an index is built.
        if step is not MigrationStep.INDEX:
            check.refuse_lost_tables(self._every, self._session)
        for made in found:
            self._refuse_problem(step, made)
        return require(step, found)

    def _refuse_problem(self, step: MigrationStep, made: ColumnMigration) -> None:
        problem = migration_status.problem(self._session, made)
        if problem is None:
            return
        # A step that drops the column beside does not need it.
        if made.state is _NEEDS_NO_COLUMN_BESIDE.get(step) and not made.offline:
            return
        raise VectrueError(
            f"cannot {step} {made.name}: {problem.why}",
            fix=problem.typed(table_flags([made.table])),
        )

    def _lost(self) -> list[ColumnMigration]:
        """Return the migrations of the named tables, if `rollback` only ends them.

        That is so when none of the tables is configured, and none exists any more.
        """
        named = set(map(TableName.parse, self._names))
        listed = {table.table for table in self._every.tables}
        unlisted = named - listed
        others: list[ColumnMigration] = []
        for made in in_flight.elsewhere(self._every, self._session):
            if made.table in unlisted:
                others.append(made)
        lost = in_flight.gone(self._session, others)
        tables = {made.table for made in lost}
        # All of them or none: a name that was mistyped must not be passed over.
        return lost if lost and len(tables) == len(named) else []

    def _refuse_without_migration(self, step: MigrationStep) -> None:
        migration.require_known(self._session)
        others = in_flight.mine(self._every, self._session)
        others += in_flight.elsewhere(self._every, self._session)
        if others:
            where = f" of {', '.join(self._names)}" if self._names else ""
            names = [made.name for made in others]
            raise VectrueError(
                f"cannot {step}: no migration{where} is under way, only {', '.join(names)}",
                fix="vectrue migrate status",
            )
        require(step, [])
