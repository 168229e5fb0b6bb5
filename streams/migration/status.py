"""Read how far the columns of a migration are, and what was done to their tables.

While an application writes, a few rows always lack the new vector: they are being
embedded. `status` waits for them as the gate of `swap` does (`stragglers`), and both
report only the rows that stay.

Hazard: every row of the tables is counted, which takes as long as a full scan.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from connectors.models import describe_model
from connectors.ports import Clock
from connectors.postgres import catalog, queries
from connectors.postgres.audit import coverage
from connectors.postgres.health.keeper import Fingerprint, KeeperStore
from connectors.postgres.migrations import dependents, migration, twins
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.rows.index_definition import Vectors, quoted
from schemas.rows.table import Key, TableName
from schemas.settings.reading import Settings
from streams.common import stragglers, targets
from streams.migration import in_flight, replays
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.in_flight import only_tables_of
from streams.migration.next_step import Elsewhere, Next, starting

_Place = tuple[str, str]
"""Table and column."""


def read(
    settings: Settings, session: Session, clock: Clock, tables: Sequence[str] | None = None
) -> MigrationStatus:
    """Look at the columns of the settings' tables.

    Every row is counted once; rows that are being embedded are waited for.

    Args:
        settings: all of them.
        session: any connection that may read the tables.
        clock: for the pauses in between.
        tables: names of the tables to look at; None: all configured tables.

    Raises:
        ConfigurationError: a table is not configured, or `vectrue init` was not run in
            this database.
        TransientError: Postgres does not answer.
    """
    migration.require_known(session)
    every = in_flight.mine(settings, session)
    scoped = settings.only(tables)
    lines = _lines(settings, scoped, session, every)
    counted = _counted(scoped, session, clock, lines)
    left: Sequence[tuple[TableName, ColumnMigration]] = ()
    if not every:
        left = in_flight.left(scoped, session, describe_model(settings.model).model_id)
    return MigrationStatus(
        columns=counted,
        elsewhere=elsewhere(settings, session),
        is_part=len(lines) < len(every),
        left=left,
    )


def _lines(
    settings: Settings, scoped: Settings, session: Session, every: Sequence[ColumnMigration]
) -> list[ColumnStatus]:
    """Return the columns of the tables in the scope, not counted yet."""
    names = {table.table for table in scoped.tables}
    lines: list[ColumnStatus] = []
    for made in every:
        if made.table in names:
            line = _column(settings, session, made)
            lines.append(line)
    return lines


def elsewhere(settings: Settings, session: Session) -> list[Elsewhere]:
    """Return the migrations in the database that are not of the settings' tables.

    Raises:
        TransientError: Postgres does not answer.
    """
    others = in_flight.elsewhere(settings, session)
    gone = in_flight.gone(session, others)
    found: list[Elsewhere] = []
    for made in others:
        installation = in_flight.keeper_of(session, made)
        found.append(Elsewhere(made, installation, made in gone))
    return found


def problem(session: Session, made: ColumnMigration) -> Next | None:
    """Say what was done to the table of a migration that is under way.

    Args:
        session: any connection that may read the catalogue.
        made: the migration.

    Returns:
        The problem, and what to do about it; None when there is none.

    Raises:
        TransientError: Postgres does not answer.
    """
    # First: the catalogue cannot be asked about a table that does not exist.
    if not counting.stands(session, made.table):
        return Next(
            "vectrue migrate rollback",
            why=f"table {made.table} no longer exists",
            before="give the table its name back; or take it out of [[tables]], then",
        )
    columns = catalog.inspect(session, made.table).columns
    if made.column not in columns:
        add = _adding(session, made)
        return Next(
            "vectrue replay run",
            why=f"the column {made.column} is gone",
            before=f"give it its name back; or {add}, then `vectrue init` and",
        )
    return _problem_beside(made, columns)


def _problem_beside(made: ColumnMigration, columns: Collection[str]) -> Next | None:
    """Return the problem where the column beside the served one is missing."""
    if made.beside is None or made.beside in columns:
        return None
    if made.state is MigrationState.STARTED:
        return replace(
            starting(made),
            why=f"started, but the column {made.beside} is missing",
            remark="or vectrue migrate rollback",
        )
    return Next("vectrue migrate finish", why=f"swapped, but the old column {made.beside} is gone")


def _adding(session: Session, made: ColumnMigration) -> str:
    """Return the statement that adds the served column again."""
    dimensions = made.to_dimensions
    # Until the swap the served column holds the old vectors.
    if made.state is MigrationState.STARTED and not made.offline:
        dimensions = made.from_dimensions
    # With its schema: that of the extension may not be on the search path.
    ((extension, *_),) = session.rows(queries.text("vector_schema"))
    table = f"{quoted(made.table.schema)}.{quoted(made.table.name)}"
    return (
        f"ALTER TABLE {table} ADD COLUMN {quoted(made.column)} "
        f"{quoted(extension)}.vector({dimensions})"
    )


def _column(settings: Settings, session: Session, made: ColumnMigration) -> ColumnStatus:
    """Look at a column, without counting its rows."""
    found = problem(session, made)
    if found is not None:
        return ColumnStatus(made, rows=None, lacking=None, problem=found)
    model = settings.model
    name = made.to_settings.get("name", model.name)
    behind = tuple(in_flight.behind(settings, session, [made.to_model]))
    return ColumnStatus(
        made,
        rows=None,
        lacking=None,
        indexes=twins.standing(session, made),
        run=replays.over(session, [str(made.table)]),
        named=(model.name, model.dimensions) == (name, made.to_dimensions),
        behind=behind,
        readers=_readers(session, made),
    )


def _readers(session: Session, made: ColumnMigration) -> tuple[str, ...]:
    if made.state is not MigrationState.SWAPPED or made.beside is None:
        return ()
    oid = catalog.inspect(session, made.table).oid
    found = dependents.of_columns(session, oid, Vectors(made.beside, 0, "").columns)
    said: list[str] = []
    for one in found:
        # Constraints of keys are indexes, which are looked at separately.
        if one.kind != "constraint":
            said.append(one.said)
    return tuple(said)


def _counted(
    settings: Settings, session: Session, clock: Clock, lines: Sequence[ColumnStatus]
) -> list[ColumnStatus]:
    """Return the columns with their rows counted, where their tables are as they were."""
    whole: list[ColumnMigration] = []
    places: set[_Place] = set()
    for line in lines:
        # A table that was changed by hand cannot be counted, and must not keep others
        # from it.
        if line.problem is None:
            whole.append(line.migration)
            places.add(_place(line))
    if not whole:
        return list(lines)
    healthy = only_tables_of(settings, whole)
    rows: dict[_Place, int] = {}
    lacking: dict[_Place, int] = {}
    for seen in coverage.read(session, healthy):
        place = (seen.table, seen.column)
        if place in places:
            rows[place] = seen.rows
            lacking[place] = seen.lacking
    staying = _staying(healthy, session, clock, lacking)
    found: list[ColumnStatus] = []
    for line in lines:
        place = _place(line)
        if line.problem is None and place in lacking:
            counts = (rows[place], lacking[place], staying[place])
            found.append(_with_counts(line, *counts))
        else:
            found.append(line)
    return found


def _with_counts(line: ColumnStatus, rows: int, lacking: int, staying: int) -> ColumnStatus:
    return replace(line, rows=rows, lacking=lacking, staying=staying)


def _place(line: ColumnStatus) -> _Place:
    return str(line.migration.table), new_column(line.migration)


def _staying(
    settings: Settings, session: Session, clock: Clock, lacking: Mapping[_Place, int]
) -> Mapping[_Place, int]:
    """Return how many of the lacking rows stay so."""
    # Where many rows lack a vector, the count alone is the answer: each look at them
    # reads every row.
    moving: set[_Place] = set()
    for place, rows in lacking.items():
        if 0 < rows <= stragglers.MOST:
            moving.add(place)
    if not moving:
        return lacking
    watched = {}
    for target in targets.resolve(settings, session):
        at = (str(target.table), target.column)
        if at in moving:
            watched[at] = target
    store = KeeperStore(session, settings.kafka.topic_prefix)

    def look() -> dict[Key, Fingerprint]:
        found: dict[Key, Fingerprint] = {}
        for place in sorted(watched):
            for key, seen in store.stale(watched[place], stragglers.MOST).items():
                found[(*place, *key)] = seen
        return found

    staying = dict(lacking)
    # All columns are waited for at once: the pauses would add up.
    staying.update(dict.fromkeys(watched, 0))
    for key in stragglers.staying(look, clock):
        table, column, *_ = key
        staying[table, column] += 1
    return staying


def new_column(made: ColumnMigration) -> str:
    """Return the column that holds the new vectors now."""
    if made.offline or made.state is MigrationState.SWAPPED:
        return made.column
    return made.beside or made.column
