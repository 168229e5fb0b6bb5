"""The indexes of a column under way, and which of them has a twin on the other column.

Hazards:
- Nothing is remembered between two steps, since others may create, drop and rename
  indexes at any time. The exception is an offline migration, whose start drops the
  served column's indexes: there the recorded ones count.
- The partitions of a table have indexes of their own. An index that is part of the one
  above is covered by it. If the one above is INVALID, the part counts for itself, since
  queries use it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql

from connectors.postgres import catalog, queries
from connectors.postgres.session import Session
from connectors.postgres.statement import render, trial
from schemas.reports.migration import (
    ColumnMigration,
    IndexNames,
    MigrationState,
    index_names,
    suffixed,
)
from schemas.rows.index_definition import Definition, Vectors, quoted
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class Index:
    """An index that reads a vector column or its provenance.

    Attributes:
        oid: its own; 0 if it is only recorded.
        name: its name, in the table's schema.
        table: the table or partition that it is on.
        table_oid: oid of that table.
        level: how deep that table is under the migrated one, which is 0.
        framed: whether its table has partitions, so that it holds nothing itself.
        parent: oid of the index above that it is part of.
        definition: its CREATE INDEX.
        valid: false for what a failed CREATE INDEX CONCURRENTLY leaves, and for a frame
            that does not have all its parts.
        bytes: its size; 0 for a frame.
        tablespace: where it is kept, if not where the database is.
        constraint: the constraint that it serves.
        building: whether it is being built at this moment, as far as this role sees.
    """

    oid: int
    name: str
    table: TableName
    table_oid: int
    level: int
    framed: bool
    parent: int | None
    definition: Definition
    valid: bool
    bytes: int
    tablespace: str | None = None
    constraint: str | None = None
    building: bool = False

    @property
    def is_invalid(self) -> bool:
        """Whether a build failed. A frame does not count: it is not valid before it has
        its last part.
        """
        return not self.valid and not self.framed

    @property
    def label(self) -> str:
        """The name for messages, with the table if that is a partition."""
        return self.name if self.level == 0 else f"{self.name} (of {self.table})"

    @property
    def sql_name(self) -> str:
        """Its name in SQL, with the schema."""
        return f"{quoted(self.table.schema)}.{quoted(self.name)}"

    @property
    def sql_table(self) -> str:
        """The name of its table in SQL."""
        return f"{quoted(self.table.schema)}.{quoted(self.table.name)}"


@dataclass(frozen=True, slots=True)
class IndexTwins:
    """The indexes of a column under way, and their twins.

    Attributes:
        old: the vectors that the migration leaves.
        new: those it goes to.
        wanted: the indexes of the old vectors, which the new ones need too.
        twins: the twin of each wanted index, in the same order.
        invalid: indexes of either that nothing uses, and that count neither as wanted
            nor as built; without frames.
        of_old: all indexes of the old column.
        of_new: all indexes of the new column.
    """

    old: Vectors
    new: Vectors
    wanted: tuple[Index, ...]
    twins: tuple[Index | None, ...]
    invalid: tuple[Index, ...]
    of_old: tuple[Index, ...] = field(repr=False)
    of_new: tuple[Index, ...] = field(repr=False)

    @property
    def lacking(self) -> tuple[Index, ...]:
        """The wanted ones without a twin."""
        pairs = zip(self.wanted, self.twins, strict=True)
        return tuple(index for index, twin in pairs if twin is None)

    @property
    def built(self) -> int:
        """How many wanted ones have a twin."""
        return len(self.wanted) - len(self.lacking)


def read(session: Session, oid: int, columns: Sequence[str]) -> list[Index]:
    """The indexes of the table with this oid, and its partitions, on these columns."""
    with trial(session) as cursor:
        # With every name qualified, a definition means the same in every session.
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute(queries.text("vector_indexes"), {"oid": oid, "columns": list(columns)})
        return [_index(line) for line in cursor.fetchall()]


def _index(line: tuple[Any, ...]) -> Index:
    oid, name, schema, table, table_oid, level, framed, parent, *about = line
    definition, valid, size, tablespace, constraint, building = about
    return Index(
        oid=oid,
        name=name,
        table=TableName(schema, table),
        table_oid=table_oid,
        level=level,
        framed=framed,
        parent=parent,
        definition=Definition(definition),
        valid=valid,
        bytes=int(size),
        tablespace=tablespace,
        constraint=constraint,
        building=building,
    )


def wanted(indexes: Sequence[Index]) -> tuple[Index, ...]:
    """Those that count for themselves: valid, and not part of a valid one."""
    valid = {index.oid: index for index in indexes if index.valid}
    return tuple(index for index in valid.values() if index.parent not in valid)


def standing(session: Session, made: ColumnMigration) -> IndexTwins:
    """Look up a migration's indexes.

    Raises:
        ConfigurationError: the table does not exist.
    """
    old, new = vectors(made)
    oid = catalog.inspect(session, made.table).oid
    of_new = read(session, oid, new.columns)
    # Offline there is one column, and its start dropped the old indexes.
    of_old = [] if made.offline else read(session, oid, old.columns)
    needed = _recorded(session, oid, made) if made.offline else wanted(of_old)
    mine = _oids(of_old)
    # An index that reads both columns is not its own twin.
    theirs = [index for index in of_new if index.oid not in mine]
    twins = _matched(needed, theirs, old, new)
    return IndexTwins(
        old=old,
        new=new,
        wanted=needed,
        twins=twins,
        invalid=_invalid(*of_old, *theirs),
        of_old=tuple(of_old),
        of_new=tuple(theirs),
    )


def _invalid(*indexes: Index) -> tuple[Index, ...]:
    found: list[Index] = []
    for index in indexes:
        if index.is_invalid:
            found.append(index)
    return tuple(found)


def vectors(made: ColumnMigration) -> tuple[Vectors, Vectors]:
    """The old and the new vectors, under the names of their columns now."""
    old, new = made.column, made.beside or made.column
    if made.state is MigrationState.SWAPPED:
        old, new = new, old
    return (
        Vectors(old, made.from_dimensions, made.from_model),
        Vectors(new, made.to_dimensions, made.to_model),
    )


def pairs(session: Session, made: ColumnMigration) -> list[tuple[Index, Index]]:
    """Each index of the old vectors with its twin, those of the partitions too."""
    found = standing(session, made)
    family: list[tuple[Index, Index]] = []
    for index, twin in zip(found.wanted, found.twins, strict=True):
        if twin is not None:
            family += _family(index, twin, found)
    return family


def renames(session: Session, made: ColumnMigration, aside: Callable[[str], str]) -> list[str]:
    """Statements that give the coming indexes the names of those that step aside.

    Args:
        session: any connection.
        made: the migration before the step: what is served now steps aside.
        aside: the new name of an index that steps aside, unless it is taken.
    """
    # All names are freed before the first is taken.
    stepping, taking, taken = [], [], set[tuple[str, str]]()
    for old, new in pairs(session, made):
        leaving, coming = (new, old) if made.state is MigrationState.SWAPPED else (old, new)
        schema = leaving.table.schema
        name = free_name(session, schema, aside(leaving.name), taken)
        taken.add((schema, name))
        stepping.append(_rename(session, schema, leaving.name, name))
        taking.append(_rename(session, schema, coming.name, leaving.name))
    return [*stepping, *taking]


def free_name(session: Session, schema: str, name: str, taken: set[tuple[str, str]]) -> str:
    """This name, or one like it that no relation of the schema has.

    Args:
        session: any connection.
        schema: where.
        name: the first choice.
        taken: schema and name of relations that are yet to be created.
    """
    asked = (
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = "
        "to_regnamespace(quote_ident(%s)) AND relname = %s)"
    )
    choice, number = name, 1
    while (schema, choice) in taken or session.rows(asked, (schema, choice))[0][0]:
        number += 1
        choice = suffixed(name, f"_{number}")
    return choice


def records(session: Session, oid: int, column: str) -> tuple[IndexNames, ...]:
    """What an offline migration records of the indexes that its start drops."""
    found = wanted(read(session, oid, [column]))
    return tuple(index_names(one.name, one.definition.text, one.tablespace) for one in found)


def drops(session: Session, oid: int, column: str) -> list[str]:
    """Statements that drop every index that reads a column."""
    found = read(session, oid, [column])
    known = _oids(found)
    statements = []
    for index in found:
        # Postgres refuses to drop a part; it goes with the index above.
        if index.parent in known:
            continue
        name = sql.Identifier(index.table.schema, index.name)
        drop = sql.SQL("DROP INDEX IF EXISTS {}").format(name)
        statements.append(render(session, drop))
    return statements


def _oids(indexes: Iterable[Index]) -> set[int]:
    return {index.oid for index in indexes}


def _rename(session: Session, schema: str, name: str, to: str) -> str:
    query = sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}")
    return render(session, query.format(sql.Identifier(schema, name), sql.Identifier(to)))


def _matched(
    needed: Sequence[Index], others: Sequence[Index], old: Vectors, new: Vectors
) -> tuple[Index | None, ...]:
    """The twin of each needed index; an index is a twin of one other at most."""
    claimed = set[int]()
    found: list[Index | None] = []
    for index in needed:
        free = [other for other in others if other.valid and other.oid not in claimed]
        twin = _twin(index, free, old, new)
        found.append(twin)
        if twin is not None:
            # Its parts too: they are covered by it, and no twins of their own.
            claimed |= with_parts(twin, others)
    return tuple(found)


def _twin(index: Index, others: Iterable[Index], old: Vectors, new: Vectors) -> Index | None:
    """The likeliest twin among indexes of the new vectors.

    Better one that is not part of another, then one with the name that a migration
    gives, then the first by name.
    """
    expected = index.definition.carried(old, new).identity(new)
    place = (index.framed, index.table)
    likely: list[Index] = []
    for other in others:
        is_there = (other.framed, other.table) == place
        if is_there and other.definition.identity(new) == expected:
            likely.append(other)
    name = suffixed(index.name, "_v2")
    likely.sort(key=lambda other: (other.parent is not None, other.name != name, other.name))
    return likely[0] if likely else None


def with_parts(index: Index, others: Sequence[Index]) -> set[int]:
    """Oids of the index and of all that are part of it."""
    oids = {index.oid}
    for other in others:
        if other.parent == index.oid:
            oids |= with_parts(other, others)
    return oids


def _family(index: Index, twin: Index, found: IndexTwins) -> Iterator[tuple[Index, Index]]:
    """An index with its twin, and their parts in pairs."""
    yield index, twin
    for part in found.of_old:
        if part.parent != index.oid:
            continue
        for other in found.of_new:
            if other.parent == twin.oid and other.table_oid == part.table_oid:
                yield from _family(part, other, found)


def _recorded(session: Session, oid: int, made: ColumnMigration) -> tuple[Index, ...]:
    """The indexes that an offline start dropped, on the tables that exist now."""
    tables: dict[TableName, tuple[int, int, bool]] = {}
    lines = session.rows(queries.text("table_tree"), {"oid": oid})
    for place, (own, _, schema, name, kind) in enumerate(lines):
        tables.setdefault(TableName(schema, name), (own, min(place, 1), kind == "p"))
    found = []
    for names in made.indexes:
        definition = Definition(names.definition)
        own, level, framed = tables.get(definition.table, (0, 1, False))
        recorded = Index(
            oid=0,
            name=names.served,
            table=definition.table,
            table_oid=own,
            level=level,
            framed=framed,
            parent=None,
            definition=definition,
            valid=True,
            bytes=0,
            tablespace=names.tablespace,
        )
        found.append(recorded)
    return tuple(found)
