"""What is left to do until every index of a column under way has its twin: statements,
in an order that Postgres takes.

A table without partitions takes `CREATE INDEX CONCURRENTLY`. One with partitions does
not: there it is a frame (`CREATE INDEX ... ON ONLY`, of no rows, at once), then each
partition's index, concurrently, then `ALTER INDEX ... ATTACH PARTITION`; a partition
with partitions is the same again, from the deepest. With its last part a frame becomes
valid.

Planned from the catalogue, so what was killed goes on where it was, and a partition
that came meanwhile is found.
"""

from collections.abc import Collection
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
        kind: what it does; DROP and BUILD are concurrent, the others are over in
            moments.
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
    """The statements that are left; none where all is built.

    Raises:
        VectrueError: an index cannot have a twin, or somebody is building it already.
    """
    return plan_for(session, made, twins.standing(session, made))


def plan_for(session: Session, made: ColumnMigration, found: IndexTwins) -> list[TwinStep]:
    """As `plan`, of what was looked up before."""
    oid = catalog.inspect(session, made.table).oid
    tables = [
        _Table(own, parent, TableName(schema, name), kind)
        for own, parent, schema, name, kind in session.rows(
            queries.text("table_tree"), {"oid": oid}
        )
    ]
    planner = _Planner(session, found, tables)
    return [
        step for index in found.lacking if index.constraint is None for step in planner.steps(index)
    ]


class _Planner:
    def __init__(self, session: Session, found: IndexTwins, tables: list[_Table]) -> None:
        self._session = session
        self._found = found
        self._tables = tables
        self._taken: set[tuple[str, str]] = set()
        self._used = {
            part.oid
            for twin in found.twins
            if twin is not None
            for part in twins.parts_of(twin, found.of_new)
        }

    def steps(self, index: Index) -> list[TwinStep]:
        table = next((t for t in self._tables if t.name == index.table), None)
        if table is None:
            raise VectrueError(
                f"index {index.name} was on {index.table}, which is not there any more",
                fix="create on its successor what you need, then `vectrue migrate finish --yes`",
            )
        carried = index.definition.carried(self._found.old, self._found.new)
        name, steps = self._on(table, index, carried)
        if not steps:
            raise _stuck(name, table)
        return steps

    def _on(
        self, table: _Table, index: Index | None, carried: Definition, frame: Index | None = None
    ) -> tuple[str, list[TwinStep]]:
        """The name of the index on one table, there or to be, and the statements for
        it.
        """
        there = self._there(table, carried)
        if table.kind == "p":
            return self._framed(table, index, carried, frame or next(iter(there), None))
        if frame is not None:
            raise _stuck(frame.name, table)
        ready = next((other for other in there if other.valid), None)
        leftovers = [other for other in self._leftovers(table, index) if other not in there]
        leftovers += [other for other in there if not other.valid]
        drops = [_drop(other) for other in leftovers]
        self._used |= {other.oid for other in leftovers}
        if ready is not None:
            self._used.add(ready.oid)
            return ready.name, drops
        name = self._name(table, index, {other.name for other in leftovers})
        sql = carried.create(
            name, table.name, concurrently=True, tablespace=index.tablespace if index else None
        )
        return name, [*drops, TwinStep(Kind.BUILD, name, table.name, sql)]

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
            if inside is not None and inside.valid:
                continue
            child, below = self._on(part, self._part_of(index, part), carried, inside)
            steps += below
            if inside is None:
                on = f"{quoted(table.name.schema)}.{quoted(name)}"
                to = f"{quoted(part.name.schema)}.{quoted(child)}"
                steps.append(
                    TwinStep(
                        Kind.ATTACH, name, part.name, f"ALTER INDEX {on} ATTACH PARTITION {to}"
                    )
                )
        return name, steps

    def _there(self, table: _Table, carried: Definition) -> list[Index]:
        """What is on this table already and has the right definition, the valid ones
        first.
        """
        wanted = carried.identity(self._found.new)
        found = [
            other
            for other in self._found.of_new
            if (other.table_oid, other.parent, other.constraint) == (table.oid, None, None)
            and other.oid not in self._used
            and other.definition.identity(self._found.new) == wanted
        ]
        for other in found:
            if other.building:
                raise VectrueError(
                    f"index {other.label} is being built at this moment, by somebody else",
                    fix=(
                        "wait until that ends (pg_stat_progress_create_index shows it), then "
                        "`vectrue migrate index`"
                    ),
                )
        return sorted(found, key=lambda other: (not other.valid, other.name))

    def _attached(self, frame: Index | None, part: _Table) -> Index | None:
        if frame is None:
            return None
        return next(
            (o for o in self._found.of_new if o.parent == frame.oid and o.table_oid == part.oid),
            None,
        )

    def _part_of(self, index: Index | None, part: _Table) -> Index | None:
        if index is None:
            return None
        return next(
            (o for o in self._found.of_old if o.parent == index.oid and o.table_oid == part.oid),
            None,
        )

    def _leftovers(self, table: _Table, index: Index | None) -> list[Index]:
        """What a killed build left under the name that the new index is to have, with
        other options perhaps.
        """
        wished = self._wished(table, index)
        return [
            other
            for other in self._found.of_new
            if (other.table_oid, other.name, other.parent) == (table.oid, wished, None)
            and not (other.valid or other.building or other.framed)
            and other.oid not in self._used
        ]

    def _wished(self, table: _Table, index: Index | None) -> str:
        if index is None:
            return suffixed(table.name.name, f"_{self._found.new.column}_idx")
        # Offline the names are free again, since the old indexes were dropped.
        offline = self._found.old.column == self._found.new.column
        return index.name if offline else suffixed(index.name, "_v2")

    def _name(self, table: _Table, index: Index | None, free: Collection[str] = ()) -> str:
        wished = self._wished(table, index)
        if wished in free:
            return wished
        name = twins.free_name(self._session, table.name.schema, wished, self._taken)
        self._taken.add((table.name.schema, name))
        return name


def _drop(index: Index) -> TwinStep:
    return TwinStep(
        Kind.DROP, index.name, index.table, f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql_name}"
    )


def _stuck(name: str, table: _Table) -> VectrueError:
    index = f"{quoted(table.name.schema)}.{quoted(name)}"
    return VectrueError(
        (
            f"index {name} of {table.name} is INVALID, and building does not mend it: one of its "
            "parts is"
        ),
        fix=f"DROP INDEX {index} (or the one that it is part of), then `vectrue migrate index`",
    )
