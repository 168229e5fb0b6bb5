"""The gate of `swap` and `finish`: every row has its new vector, every index its twin.

Hazard: rows are counted and indexes looked up before the locks of the step are taken.
A row written in between is filled by the workers under its new name; an index made in
between is not noticed.
"""

from collections.abc import Collection, Sequence

from connectors.ports import Clock
from connectors.postgres.migrations import twins
from connectors.postgres.session import Session
from schemas.errors import IndexesLacking, VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, table_flags
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.migration import in_flight
from streams.migration import status as migration_status
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.next_step import starting


def require_filled(
    settings: Settings, session: Session, clock: Clock, found: Collection[ColumnMigration]
) -> Sequence[ColumnStatus]:
    """Refuse to go on while rows lack their new vectors.

    Rows that are being embedded at this moment are waited for, and then ignored.

    Args:
        settings: all of them.
        session: any connection that may read the tables.
        clock: for the pauses in between.
        found: the columns that are to go on.

    Returns:
        The columns.

    Raises:
        VectrueError: with the number of rows and the command that fills them.
    """
    names = [str(made.table) for made in found]
    report = migration_status.read(settings, session, clock, names)
    # A command without -t is for all tables that are under way.
    names_tables = report.is_part or len(report.columns) > 1
    lines: list[ColumnStatus] = []
    for line in report.columns:
        if line.migration in found:
            _require_counted(line, table_flags([line.migration.table]) if names_tables else "")
            lines.append(line)
    _refuse_lacking(lines, report)
    return lines


def _refuse_lacking(lines: Sequence[ColumnStatus], report: MigrationStatus) -> None:
    """Refuse to go on while rows of one of these columns stay without a vector."""
    lack = [line for line in lines if line.staying]
    if not lack:
        return
    parts: list[str] = []
    tables: list[TableName] = []
    for line in lack:
        rows = f"{line.staying:,} rows"
        parts.append(f"{rows} of {line.migration.table}")
        tables.append(line.migration.table)
    flags = ""
    if report.is_part or len(report.columns) > len(lack):
        flags = table_flags(tables)
    raise VectrueError(
        f"{', '.join(parts)} lack a vector of {lack[0].migration.to_model}",
        fix=f"vectrue replay run{flags}",
    )


def _require_counted(line: ColumnStatus, flags: str) -> None:
    if line.problem is not None:
        raise VectrueError(
            f"{line.migration.name}: {line.problem.why}", fix=line.problem.typed(flags)
        )
    if line.staying is None:
        raise VectrueError(
            f"the rows of {line.migration.table} are not counted yet",
            fix=starting(line.migration).typed(flags),
        )


def require_indexes(
    session: Session,
    found: Sequence[ColumnMigration],
    without: Collection[str] | None = frozenset(),
) -> None:
    """Refuse to go on while an index of the old column has no twin in the catalogue.

    Args:
        session: any connection.
        found: the columns.
        without: the indexes that may be left behind, as the refusal named them; None:
            any.

    Raises:
        IndexesLacking: with their names and the command that builds them.
    """
    lacking, names, wanted = _lacking(session, found)
    # Agreed to by name: an index that lost its twin since then is refused again.
    refused = set() if without is None else names - set(without)
    if not refused:
        return
    if all(made.offline for made in lacking):
        said = "are yet to be built again"
    else:
        said = "of the old vectors have no twin on the new ones"
    raise IndexesLacking(
        f"{len(names)} of {wanted} indexes {said}: {', '.join(sorted(names))}",
        frozenset(names),
        fix=_how_to_go_on(found, lacking),
    )


def _lacking(
    session: Session, found: Sequence[ColumnMigration]
) -> tuple[list[ColumnMigration], set[str], int]:
    """Return the columns that lack twins, the indexes without one, and how many there are."""
    gone = in_flight.gone(session, found)
    lacking: list[ColumnMigration] = []
    names: set[str] = set()
    wanted = 0
    for made in found:
        # The catalogue cannot be asked about a table that does not exist.
        if made in gone:
            continue
        indexes = twins.standing(session, made)
        wanted += len(indexes.wanted)
        if indexes.lacking:
            lacking.append(made)
        for index in indexes.lacking:
            names.add(f"{index.label} of {made.name}")
    return lacking, names, wanted


def _how_to_go_on(found: Sequence[ColumnMigration], lacking: Sequence[ColumnMigration]) -> str:
    """Return the instruction: build them, or go on without them."""
    step = "swap"
    is_swapped = False
    tables: list[TableName] = []
    for made in lacking:
        tables.append(made.table)
        is_swapped = is_swapped or made.state is MigrationState.SWAPPED
        if made.offline or made.state is MigrationState.SWAPPED:
            step = "finish"
    build = f"vectrue migrate index{table_flags(tables)}"
    if is_swapped:
        build = "create on the new column what is needed"
    flags = table_flags(made.table for made in found)
    return f"{build}; or go on without them, with `vectrue migrate {step}{flags} --yes`"
