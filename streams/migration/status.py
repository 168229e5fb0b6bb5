"""How far each column of a migration is, and the command that comes next for it: by the
rule by which the steps decide.

While an application writes, a handful of rows always lack the new vector: they are on
their way. So `status` waits for them as the gate of `swap` does (`stragglers`), and
both speak of those that stay.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.models import describe_model
from connectors.ports import Clock
from connectors.postgres import catalog, queries
from connectors.postgres.audit import coverage
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.migrations import dependents, migration, twins
from connectors.postgres.migrations.twins import IndexTwins
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import IndexesLacking, VectrueError
from schemas.reports.coverage import Coverage
from schemas.reports.migration import ColumnMigration, MigrationState, table_flags
from schemas.rows.index_definition import Vectors, quoted
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import stragglers, targets
from streams.migration import in_flight as migrate_scope
from streams.migration.next_step import Elsewhere, Next, following, following_all, starting

__all__ = [
    "ColumnStatus",
    "MigrationStatus",
    "elsewhere",
    "new_column",
    "read",
    "require_filled",
    "require_indexes",
]


@dataclass(frozen=True, slots=True)
class ColumnStatus:
    """One column: its migration, the rows that still lack the new vector, the indexes
    that are built on it.

    Attributes:
        migration: its state.
        rows: of the table; None where the new column is not counted.
        lacking: those without a true new vector, the ones on their way to it among
            them; None likewise.
        staying: those of them that stay so; None likewise.
        built: indexes on the new column.
        problem: what somebody did to the table, and what to do; None where all is as
            the migration left it.
        run: a replay run over the table that does not give way; None without.
        named: whether the settings name the new model.
        behind: tables of the settings that are yet to follow to it.
        readers: what goes on reading the old vectors after the swap, as views do.
    """

    migration: ColumnMigration
    rows: int | None
    lacking: int | None
    indexes: IndexTwins | None = None
    staying: int | None = None
    problem: Next | None = None
    run: Next | None = None
    named: bool = True
    behind: tuple[TableName, ...] = ()
    readers: tuple[str, ...] = ()

    @property
    def next(self) -> Next:
        """What comes next for this column."""
        if self.problem is not None:
            return self.problem
        if self.run is not None:
            return self.run
        lacking = self.indexes.lacking if self.indexes else ()
        unbuilt = sum(index.constraint is None for index in lacking)
        return following(
            self.migration,
            staying=self.staying,
            unbuilt=unbuilt,
            named=self.named,
            behind=self.behind,
            is_read=bool(self.readers),
        )

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        m, found = self.migration, self.indexes
        return {
            "table": str(m.table),
            "column": m.column,
            "beside": m.beside,
            "state": str(m.state),
            "offline": m.offline,
            "frozen": m.frozen,
            "from_model": m.from_model,
            "from_dimensions": m.from_dimensions,
            "to_model": m.to_model,
            "to_dimensions": m.to_dimensions,
            "rows": self.rows,
            "lacking": self.lacking,
            "staying": self.staying,
            "indexes": len(found.wanted) if found else None,
            "indexes_built": found.built if found else None,
            "indexes_lacking": [index.label for index in found.lacking] if found else [],
            "indexes_invalid": [index.label for index in found.invalid] if found else [],
            "problem": self.problem.why if self.problem else None,
            "readers": list(self.readers),
            "next": self.next.typed(table_flags([m.table])),
        }


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """All columns that are under way, and what comes next.

    Attributes:
        columns: those in the scope.
        elsewhere: what is under way in the database and belongs to no table of the
            settings.
        is_part: whether the scope is a part of what is under way in the settings.
        left: tables that are not under way, and the migration whose like they are yet
            to take.
    """

    columns: Sequence[ColumnStatus]
    elsewhere: Sequence[Elsewhere] = ()
    is_part: bool = False
    left: Sequence[tuple[TableName, ColumnMigration]] = ()

    @property
    def steps(self) -> list[str]:
        """The commands that come next, each with the tables it is for where it is not
        for all of them.
        """
        if not self.columns and self.left:
            tables = [table for table, _ in self.left]
            return [starting(self.left[0][1]).typed(table_flags(tables))]
        return following_all(
            [(line.migration.table, line.next) for line in self.columns], is_part=self.is_part
        )

    @property
    def next(self) -> str | None:
        """The first of them; None without a migration."""
        return next(iter(self.steps), None)

    @property
    def notices(self) -> list[str]:
        """What is amiss, and what goes on reading the old vectors."""
        lines = [
            f"{line.migration.name}: {line.problem.why}" for line in self.columns if line.problem
        ]
        return lines + [
            f"{reader} goes on reading the old vectors, of {line.migration.name}"
            for line in self.columns
            for reader in line.readers
        ]

    @property
    def verdict(self) -> str:
        """The sentences, a line each."""
        lines = self.notices
        lines += [f"next: {step}" for step in self.steps] or ["no migration is under way"]
        return "\n".join([*lines, *(one.sentence for one in self.elsewhere)])

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        elsewhere = [
            {
                "table": str(o.migration.table),
                "column": o.migration.column,
                "state": str(o.migration.state),
                "installation": o.installation,
                "gone": o.gone,
            }
            for o in self.elsewhere
        ]
        return {"columns": [line.to_json() for line in self.columns], "next": self.next} | (
            {"elsewhere": elsewhere} if elsewhere else {}
        )


def read(
    settings: Settings, session: Session, clock: Clock, tables: Sequence[str] | None = None
) -> MigrationStatus:
    """Look at the columns of the settings' tables; counts every row once, and waits for
    those on their way.

    Args:
        settings: all of them.
        session: any connection that may read the tables.
        clock: for the pauses in between.
        tables: those that are asked about; None: all configured ones.

    Raises:
        ConfigurationError: a table is not configured, or the database does not know
            vectrue.
        TransientError: Postgres does not answer.
    """
    migration.require_known(session)
    every = migrate_scope.mine(settings, session)
    scoped = settings.only(tables)
    found = [made for made in every if made.table in {table.table for table in scoped.tables}]
    lines = [_column(settings, session, made) for made in found]
    whole = [line for line in lines if line.problem is None]
    counted = _counted(scoped, session, clock, lines, whole)
    left = (
        []
        if every
        else migrate_scope.left(scoped, session, describe_model(settings.model).model_id)
    )
    return MigrationStatus(
        counted, elsewhere(settings, session), is_part=len(found) < len(every), left=left
    )


def elsewhere(settings: Settings, session: Session) -> list[Elsewhere]:
    """What is under way in the database and belongs to no table of the settings.

    Raises:
        TransientError: Postgres does not answer.
    """
    others = migrate_scope.elsewhere(settings, session)
    gone = migrate_scope.gone(session, others)
    return [
        Elsewhere(made, migrate_scope.keeper_of(session, made), made in gone) for made in others
    ]


def require_filled(
    settings: Settings,
    session: Session,
    clock: Clock,
    found: Collection[ColumnMigration] | None = None,
) -> Sequence[ColumnStatus]:
    """Refuse to go on while rows lack their new vectors; rows that are on their way to
    one may.

    Args:
        settings: all of them.
        session: any connection that may read the tables.
        clock: for the pauses in between.
        found: the columns that shall go on; None: all that are under way.

    Returns:
        the columns.

    Raises:
        VectrueError: with the number of rows and the command that fills them.
    """
    names = None if found is None else [str(made.table) for made in found]
    report = read(settings, session, clock, names)
    lines = [line for line in report.columns if found is None or line.migration in found]
    for line in lines:
        flags = (
            table_flags([line.migration.table]) if report.is_part or len(report.columns) > 1 else ""
        )
        if line.problem is not None:
            raise VectrueError(
                f"{line.migration.name}: {line.problem.why}", fix=line.problem.typed(flags)
            )
        if line.staying is None:
            again = starting(line.migration)
            raise VectrueError(
                f"the rows of {line.migration.table} are not counted yet", fix=again.typed(flags)
            )
    if lack := [line for line in lines if line.staying]:
        flags = table_flags(line.migration.table for line in lack)
        said = ", ".join(f"{line.staying:,} rows of {line.migration.table}" for line in lack)
        raise VectrueError(
            f"{said} lack a vector of {lack[0].migration.to_model}",
            fix=(
                "vectrue replay "
                f"run{flags if report.is_part or len(report.columns) > len(lack) else ''}"
            ),
        )
    return lines


def require_indexes(
    session: Session,
    found: Sequence[ColumnMigration],
    without: Collection[str] | None = frozenset(),
) -> None:
    """Refuse to go on while an index of the old column has no twin, as the catalogue
    has it at this moment.

    Args:
        session: any connection.
        found: the columns.
        without: the ones that may be left behind, as the refusal named them; None: any.

    Raises:
        IndexesLacking: with their names and the command that builds them.
    """
    gone = migrate_scope.gone(session, found)
    standing = [(made, twins.standing(session, made)) for made in found if made not in gone]
    names = frozenset(
        f"{index.label} of {made.name}" for made, one in standing for index in one.lacking
    )
    if not names - (names if without is None else frozenset(without)):
        return
    lacking = [made for made, one in standing if one.lacking]
    swapped = any(made.state is MigrationState.SWAPPED for made in lacking)
    flags = table_flags(made.table for made in lacking)
    typed = f"vectrue migrate {{}}{table_flags(made.table for made in found)} --yes"
    built = (
        "create on the new column what is needed" if swapped else f"vectrue migrate index{flags}"
    )
    last = "finish" if swapped or any(made.offline for made in lacking) else "swap"
    count = f"{len(names)} of {sum(len(one.wanted) for _, one in standing)} indexes"
    lack = "have no twin on the new ones"
    said = (
        "are yet to be built again"
        if all(made.offline for made in lacking)
        else f"of the old vectors {lack}"
    )
    raise IndexesLacking(
        f"{count} {said}: {', '.join(sorted(names))}",
        names,
        fix=f"{built}; or go on without them, with `{typed.format(last)}`",
    )


def problem(session: Session, made: ColumnMigration) -> Next | None:
    """What somebody did to the table of a migration that is under way, and what to do;
    None where nothing.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not counting.stands(session, made.table):
        return Next(
            "vectrue migrate rollback",
            why=f"there is no table {made.table} any more",
            before="give the table its name back; or take it out of [[tables]], then",
        )
    info = catalog.inspect(session, made.table)
    if made.column not in info.columns:
        dimensions = (
            made.from_dimensions
            if made.state is MigrationState.STARTED and not made.offline
            else made.to_dimensions
        )
        add = _adding(session, made, dimensions)
        return Next(
            "vectrue replay run",
            why=f"the column {made.column} is gone",
            before=f"give it its name back; or {add}, then `vectrue init` and",
        )
    if made.beside is None or made.beside in info.columns:
        return None
    if made.state is MigrationState.STARTED:
        return replace(
            starting(made),
            why=f"started, but the column {made.beside} is missing",
            remark="or vectrue migrate rollback",
        )
    return Next("vectrue migrate finish", why=f"swapped, but the old column {made.beside} is gone")


def _adding(session: Session, made: ColumnMigration, dimensions: int) -> str:
    ((extension, *_),) = session.rows(queries.text("vector_schema"))
    table = f"{quoted(made.table.schema)}.{quoted(made.table.name)}"
    return (
        f"ALTER TABLE {table} ADD COLUMN {quoted(made.column)} "
        f"{quoted(extension)}.vector({dimensions})"
    )


def _column(settings: Settings, session: Session, made: ColumnMigration) -> ColumnStatus:
    found = problem(session, made)
    if found is not None:
        return ColumnStatus(made, None, None, problem=found)
    model, wanted = settings.model, made.to_settings
    named = (model.name, model.dimensions) == (wanted.get("name", model.name), made.to_dimensions)
    behind = tuple(migrate_scope.behind(settings, session, [made.to_model]))
    return ColumnStatus(
        made,
        None,
        None,
        twins.standing(session, made),
        run=_run_over(session, [str(made.table)]),
        named=named,
        behind=behind,
        readers=_readers(session, made),
    )


def _readers(session: Session, made: ColumnMigration) -> tuple[str, ...]:
    if made.state is not MigrationState.SWAPPED or made.beside is None:
        return ()
    oid = catalog.inspect(session, made.table).oid
    found = dependents.of_columns(session, oid, Vectors(made.beside, 0, "").columns)
    return tuple(one.said for one in found if one.kind != "constraint")


def _run_over(session: Session, tables: Sequence[str]) -> Next | None:
    for run, state, yields, _ in session.rows(
        queries.text("replay_of_tables"), {"tables": list(tables)}
    ):
        if not yields:
            return waiting_for(str(run), str(state))
    return None


def filling(session: Session, columns: Collection[Coverage]) -> str:
    """What fills the rows that these columns lack: a replay run, the one that is under
    way above all.

    Raises:
        TransientError: Postgres does not answer.
    """
    run = _run_over(session, sorted({column.table for column in columns}))
    return (run or Next("vectrue replay run")).typed()


def waiting_for(run: str, state: str) -> Next:
    """What to do while a replay run is not finished."""
    if state == "paused":
        return Next(
            "vectrue replay resume",
            run,
            takes_tables=False,
            remark=f"or vectrue replay cancel {run}",
        )
    remark = f"a replay run is under way: wait until it has ended, or vectrue replay cancel {run}"
    return Next("vectrue replay status", run, takes_tables=False, remark=remark)


def _counted(
    settings: Settings,
    session: Session,
    clock: Clock,
    lines: Sequence[ColumnStatus],
    whole: Sequence[ColumnStatus],
) -> list[ColumnStatus]:
    if not whole:
        return list(lines)
    names = {line.migration.table for line in whole}
    healthy = settings.model_copy(
        update={"tables": tuple(t for t in settings.tables if t.table in names)}
    )
    counted = {(line.table, line.column): line for line in coverage.read(session, healthy)}
    lacking = {}
    for line in whole:
        place = (str(line.migration.table), new_column(line.migration))
        if place in counted:
            lacking[place] = counted[place].lacking
    staying = _staying(healthy, session, clock, lacking)
    found = []
    for line in lines:
        place = (str(line.migration.table), new_column(line.migration))
        if line in whole and place in counted:
            rows = counted[place].rows
            line = replace(line, rows=rows, lacking=lacking[place], staying=staying[place])  # noqa: PLW2901
        found.append(line)
    return found


def _staying(
    settings: Settings, session: Session, clock: Clock, lacking: Mapping[tuple[str, str], int]
) -> Mapping[tuple[str, str], int]:
    """Of the rows that lack a vector those that stay so, by column: all are waited for
    at once.
    """
    moving = {place for place, rows in lacking.items() if 0 < rows <= stragglers.MOST}
    if not moving:
        return lacking
    known = {(str(t.table), t.column): t for t in targets.resolve(settings, session)}
    watched = [known[place] for place in sorted(moving) if place in known]
    desk = KeeperStore(session, settings.kafka.topic_prefix)

    def look() -> dict[tuple[str, ...], Any]:
        return {
            (str(t.table), t.column, *key): seen
            for t in watched
            for key, seen in _stale(desk, t).items()
        }

    left = list(stragglers.staying(look, clock))
    places = {(str(t.table), t.column) for t in watched}
    return {
        place: sum(key[:2] == place for key in left) if place in places else rows
        for place, rows in lacking.items()
    }


def _stale(desk: KeeperStore, target: Target) -> Mapping[tuple[str, ...], Any]:
    return desk.stale(target, stragglers.MOST)


def new_column(made: ColumnMigration) -> str:
    """The column that holds the new vectors now."""
    return (
        made.column
        if made.offline or made.state is MigrationState.SWAPPED
        else made.beside or made.column
    )
