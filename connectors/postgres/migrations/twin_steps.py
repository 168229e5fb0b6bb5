"""The statements that are left until every index of a column under way has its twin.

They are in an order that Postgres accepts.

A table without partitions takes `CREATE INDEX CONCURRENTLY`. One with partitions does
not: it gets a frame first (`CREATE INDEX ... ON ONLY`, without rows, in a moment), then
each partition gets its index, concurrently, and is attached by `ALTER INDEX ... ATTACH
PARTITION`. A partition with partitions is the same again, from the deepest. A frame
becomes valid with its last part.

Hazard: everything is planned from the catalogue, so a killed build continues where it
was, and a partition that was added meanwhile is found. Nothing else may be remembered.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.postgres import catalog, queries
from connectors.postgres.migrations import twins
from connectors.postgres.migrations.twins import Index, IndexTwins
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, suffixed
from schemas.rows.index_definition import Definition, quoted
from schemas.rows.table import TableName


class Kind(StrEnum):
    """How a statement is run."""

    FRAME = "frame"
    DROP = "drop"
    BUILD = "build"
    ATTACH = "attach"


@dataclass(frozen=True, slots=True)
class TwinStep:
    """One statement, outside of a transaction.

    Attributes:
        kind: what it does; DROP and BUILD are concurrent, the others take a moment.
        index: the name of the index, for messages.
        table: the table that it is on.
        sql: the statement.
    """

    kind: Kind
    index: str
    table: TableName
    sql: str


@dataclass(frozen=True, slots=True)
class _Table:
    oid: int
    parent: int | None
    name: TableName
    kind: str


def plan(session: Session, made: ColumnMigration) -> list[TwinStep]:
    """The statements that are left; none if every twin exists.

    Raises:
        VectrueError: an index cannot have a twin, or another session is building it.
    """
    return plan_for(session, made, twins.standing(session, made))


def plan_for(session: Session, made: ColumnMigration, found: IndexTwins) -> list[TwinStep]:
    """As `plan`, with indexes that were looked up before."""
    oid = catalog.inspect(session, made.table).oid
    tables = []
    for own, parent, schema, name, kind in session.rows(queries.text("table_tree"), {"oid": oid}):
        tables.append(_Table(own, parent, TableName(schema, name), kind))
    planner = _Planner(session, found, tables)
    steps: list[TwinStep] = []
    for index in found.lacking:
        # An index that serves a constraint is created with the constraint.
        if index.constraint is None:
            steps += planner.steps(index)
    return steps


class _Planner:
    """Plans one index after the other; remembers what the plan uses already."""

    def __init__(self, session: Session, found: IndexTwins, tables: list[_Table]) -> None:
        self._session = session
        self._found = found
        self._tables = tables
        self._taken: set[tuple[str, str]] = set()
        self._used: set[int] = set()
        for twin in found.twins:
            if twin is not None:
                self._used |= twins.with_parts(twin, found.of_new)

    def steps(self, index: Index) -> list[TwinStep]:
        table = self._table(index.table)
        if table is None:
            raise VectrueError(
                f"index {index.name} was on {index.table}, which no longer exists",
                fix="create on its successor what you need, then `vectrue migrate finish --yes`",
            )
        carried = index.definition.carried(self._found.old, self._found.new)
        name, steps = self._on(table, index, carried)
        if not steps:
            raise _stuck(name, table)
        return steps

    def _table(self, name: TableName) -> _Table | None:
        for table in self._tables:
            if table.name == name:
                return table
        return None

    def _on(
        self, table: _Table, index: Index | None, carried: Definition, frame: Index | None = None
    ) -> tuple[str, list[TwinStep]]:
        """The name of the index on one table, and the statements that lead to it."""
        there = self._there(table, carried)
        if table.kind == "p":
            return self._framed(table, index, carried, frame or _first(there))
        # A part without parts of its own that is INVALID: no build makes it valid.
        if frame is not None:
            raise _stuck(frame.name, table)
        steps, free = [], []
        for other in self._leftovers(table, index, there):
            steps.append(_drop(other))
            free.append(other.name)
            self._used.add(other.oid)
        # The valid ones come first.
        if there and there[0].valid:
            self._used.add(there[0].oid)
            return there[0].name, steps
        name = self._name(table, index, free)
        space = index.tablespace if index else None
        sql = carried.create(name, table.name, concurrently=True, tablespace=space)
        steps.append(TwinStep(Kind.BUILD, name, table.name, sql))
        return name, steps

    def _framed(
        self, table: _Table, index: Index | None, carried: Definition, frame: Index | None
    ) -> tuple[str, list[TwinStep]]:
        steps = []
        if frame is None:
            name = self._name(table, index)
            space = index.tablespace if index else None
            sql = carried.create(name, table.name, concurrently=False, tablespace=space)
            steps.append(TwinStep(Kind.FRAME, name, table.name, sql))
        else:
            name = frame.name
            self._used.add(frame.oid)
        for part in self._tables:
            if part.parent != table.oid or part.kind not in "rp":
                continue
            inside = self._attached(frame, part)
            # An attached part that is not valid is a frame that lacks parts itself.
            if inside is not None and inside.valid:
                continue
            child, below = self._on(part, self._part_of(index, part), carried, inside)
            steps += below
            if inside is None:
                steps.append(_attach(table, name, part, child))
        return name, steps

    def _there(self, table: _Table, carried: Definition) -> list[Index]:
        """What is on this table already, rightly defined; the valid ones first."""
        wanted = carried.identity(self._found.new)
        place = (table.oid, None, None)
        found = []
        for other in self._found.of_new:
            if (other.table_oid, other.parent, other.constraint) != place:
                continue
            if other.oid in self._used or other.definition.identity(self._found.new) != wanted:
                continue
            if other.building:
                raise VectrueError(
                    f"index {other.label} is being built at this moment by another session",
                    fix=(
                        "wait until it is built (pg_stat_progress_create_index shows it), then "
                        "run `vectrue migrate index`"
                    ),
                )
            found.append(other)
        return sorted(found, key=lambda other: (not other.valid, other.name))

    def _attached(self, frame: Index | None, part: _Table) -> Index | None:
        return _part_on(self._found.of_new, frame, part)

    def _part_of(self, index: Index | None, part: _Table) -> Index | None:
        return _part_on(self._found.of_old, index, part)

    def _leftovers(self, table: _Table, index: Index | None, there: Sequence[Index]) -> list[Index]:
        """What killed builds left on this table.

        These are the invalid ones among `there`, and one with other options under the
        name that the new index will have.
        """
        place = (table.oid, self._wished(table, index), None)
        found = []
        for other in self._found.of_new:
            is_here = (other.table_oid, other.name, other.parent) == place
            is_used = other.valid or other.building or other.framed or other.oid in self._used
            if is_here and not is_used and other not in there:
                found.append(other)
        for other in there:
            if not other.valid:
                found.append(other)
        return found

    def _wished(self, table: _Table, index: Index | None) -> str:
        if index is None:
            return suffixed(table.name.name, f"_{self._found.new.column}_idx")
        # Offline, the start dropped the old indexes, so their names are free.
        offline = self._found.old.column == self._found.new.column
        return index.name if offline else suffixed(index.name, "_v2")

    def _name(self, table: _Table, index: Index | None, free: Collection[str] = ()) -> str:
        wished = self._wished(table, index)
        if wished in free:
            return wished
        name = twins.free_name(self._session, table.name.schema, wished, self._taken)
        self._taken.add((table.name.schema, name))
        return name


def _first(indexes: Sequence[Index]) -> Index | None:
    return indexes[0] if indexes else None


def _part_on(indexes: Sequence[Index], above: Index | None, part: _Table) -> Index | None:
    """The index on a partition that is part of the one above."""
    if above is None:
        return None
    for index in indexes:
        if index.parent == above.oid and index.table_oid == part.oid:
            return index
    return None


def _drop(index: Index) -> TwinStep:
    sql = f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql_name}"
    return TwinStep(Kind.DROP, index.name, index.table, sql)


def _attach(table: _Table, name: str, part: _Table, child: str) -> TwinStep:
    """Attach the index `child` of a partition to the index `name` of its table."""
    on = f"{quoted(table.name.schema)}.{quoted(name)}"
    to = f"{quoted(part.name.schema)}.{quoted(child)}"
    return TwinStep(Kind.ATTACH, name, part.name, f"ALTER INDEX {on} ATTACH PARTITION {to}")


def _stuck(name: str, table: _Table) -> VectrueError:
    index = f"{quoted(table.name.schema)}.{quoted(name)}"
    return VectrueError(
        f"index {name} of {table.name} is INVALID, and building does not fix it: one of its "
        "parts is INVALID",
        fix=(
            f"DROP INDEX {index} (or the one that it is part of), then run `vectrue migrate index`"
        ),
    )
