"""The indexes of a column under way, and which of them has a twin on the other column,
as the catalogue has it now.

Hazards:
- Nothing is remembered between two steps: indexes are made, dropped and renamed by
  others at any time. Only offline, where the served column's own indexes are dropped at
  the start, they are those that the migration recorded.
- A table's partitions have indexes of their own. One that is part of the index above is
  covered by that one; one whose index above is INVALID stands for itself, since queries
  use it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

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
        oid: its own; 0 of one that is only recorded.
        name: its name, in the table's schema.
        table: the table or partition that it is on.
        table_oid: that one's.
        level: how deep that one is under the migrated table, which is 0.
        framed: whether it is a table's with partitions, and holds nothing itself.
        parent: the index above that it is part of.
        definition: what it is.
        valid: false for what a failed CREATE INDEX CONCURRENTLY leaves, and for a frame
            whose parts are not complete.
        bytes: its size; 0 of a frame.
        tablespace: where it is kept, if not where the database is.
        constraint: the constraint that it serves.
        building: whether somebody is building it at this moment, as far as this role
            sees.
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
        """Whether a build was cut off; a frame holds nothing itself, and is not valid
        before its last part is there.
        """
        return not self.valid and not self.framed

    @property
    def label(self) -> str:
        """For messages: the name, with its table where that is a partition."""
        return self.name if self.level == 0 else f"{self.name} (of {self.table})"

    @property
    def sql_name(self) -> str:
        """As SQL takes it, with its schema."""
        return f"{quoted(self.table.schema)}.{quoted(self.name)}"

    @property
    def sql_table(self) -> str:
        """Its table as SQL takes it."""
        return f"{quoted(self.table.schema)}.{quoted(self.table.name)}"


@dataclass(frozen=True, slots=True)
class IndexTwins:
    """How the indexes of a column under way stand.

    Attributes:
        old: the vectors that are left.
        new: those that come.
        wanted: the indexes of the old that the new need as well.
        twins: the twin of a wanted one, by its oid; recorded ones are known by their
            place among the wanted.
        invalid: indexes of either that nothing uses, and that count neither as wanted
            nor as built; frames left out.
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
        return tuple(
            index for index, twin in zip(self.wanted, self.twins, strict=True) if twin is None
        )

    @property
    def built(self) -> int:
        """How many have one."""
        return len(self.wanted) - len(self.lacking)


def read(session: Session, oid: int, columns: Sequence[str]) -> list[Index]:
    """The indexes that read one of these columns of the table with this oid, or of its
    partitions.
    """
    with trial(session) as cursor:
        # so that a definition means the same in every session
        cursor.execute("SET LOCAL search_path = ''")
        cursor.execute(queries.text("vector_indexes"), {"oid": oid, "columns": list(columns)})
        return [
            Index(
                own,
                name,
                TableName(schema, table),
                table_oid,
                level,
                framed,
                parent,
                Definition(text),
                valid,
                int(size),
                space,
                constraint,
                building,
            )
            for own, name, schema, table, table_oid, level, framed, parent, text, valid, size, space, constraint, building in cursor.fetchall()
        ]


def wanted(indexes: Sequence[Index]) -> tuple[Index, ...]:
    """Those that stand for themselves: in use, and not part of one that is."""
    valid = {index.oid: index for index in indexes if index.valid}
    return tuple(index for index in valid.values() if index.parent not in valid)


def standing(session: Session, made: ColumnMigration) -> IndexTwins:
    """Look at a migration's indexes.

    Raises:
        ConfigurationError: there is no such table.
    """
    old, new = vectors(made)
    oid = catalog.inspect(session, made.table).oid
    of_new = read(session, oid, new.columns)
    of_old = [] if made.offline else read(session, oid, old.columns)
    needed = _recorded(session, oid, made) if made.offline else wanted(of_old)
    mine = {index.oid for index in of_old}
    # one that reads both columns is no twin of itself
    theirs = [index for index in of_new if index.oid not in mine]
    invalid = tuple(index for index in (*of_old, *theirs) if index.is_invalid)
    twins = _matched(needed, theirs, old, new)
    return IndexTwins(old, new, needed, twins, invalid, tuple(of_old), tuple(theirs))


def vectors(made: ColumnMigration) -> tuple[Vectors, Vectors]:
    """The old and the new vectors, under the names that they have now."""
    beside = made.beside or made.column
    names = (beside, made.column) if made.state is MigrationState.SWAPPED else (made.column, beside)
    return (
        Vectors(names[0], made.from_dimensions, made.from_model),
        Vectors(names[1], made.to_dimensions, made.to_model),
    )


def pairs(session: Session, made: ColumnMigration) -> list[tuple[Index, Index]]:
    """Each index of the old vectors with its twin, those of the partitions too."""
    found = standing(session, made)
    return [
        pair
        for index, twin in zip(found.wanted, found.twins, strict=True)
        if twin is not None
        for pair in _family(index, twin, found)
    ]


def renames(session: Session, made: ColumnMigration, aside: Callable[[str], str]) -> list[str]:
    """Statements that give the coming indexes the names of those that step aside.

    Args:
        session: any connection.
        made: the migration before the step: what is served now steps aside.
        aside: the name that one of these gets; another one where that is taken.
    """
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
        taken: names that are given away already.
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
    """What an offline migration writes down of the indexes that its start drops."""
    found = wanted(read(session, oid, [column]))
    return tuple(index_names(i.name, i.definition.text, i.tablespace) for i in found)


def drops(session: Session, oid: int, column: str) -> list[str]:
    """Statements that drop every index that reads a column; those that are part of one
    go with it.
    """
    found = read(session, oid, [column])
    known = {index.oid for index in found}
    names = [sql.Identifier(i.table.schema, i.name) for i in found if i.parent not in known]
    return [render(session, sql.SQL("DROP INDEX IF EXISTS {}").format(name)) for name in names]


def _rename(session: Session, schema: str, name: str, to: str) -> str:
    query = sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}")
    return render(session, query.format(sql.Identifier(schema, name), sql.Identifier(to)))


def _matched(
    needed: Sequence[Index], others: Sequence[Index], old: Vectors, new: Vectors
) -> tuple[Index | None, ...]:
    claimed = set[int]()
    found: list[Index | None] = []
    for index in needed:
        expected = index.definition.carried(old, new).identity(new)
        likely = [
            other
            for other in others
            if other.valid
            and other.oid not in claimed
            and other.framed == index.framed
            and other.table == index.table
            and other.definition.identity(new) == expected
        ]
        likely.sort(
            key=lambda other: (
                other.parent is not None,
                other.name != suffixed(index.name, "_v2"),
                other.name,
            )
        )
        twin = likely[0] if likely else None
        found.append(twin)
        if twin is not None:
            claimed |= {part.oid for part in parts_of(twin, others)}
    return tuple(found)


def parts_of(index: Index, others: Sequence[Index]) -> Iterator[Index]:
    """The index and all that are part of it."""
    yield index
    for other in others:
        if other.parent == index.oid:
            yield from parts_of(other, others)


def _family(index: Index, twin: Index, found: IndexTwins) -> Iterator[tuple[Index, Index]]:
    yield index, twin
    for part in found.of_old:
        for other in found.of_new:
            if (part.parent, other.parent) == (
                index.oid,
                twin.oid,
            ) and part.table_oid == other.table_oid:
                yield from _family(part, other, found)


def _recorded(session: Session, oid: int, made: ColumnMigration) -> tuple[Index, ...]:
    """Those that an offline start dropped, on the tables that are there."""
    tables: dict[TableName, tuple[int, int, bool]] = {}
    for place, (own, _, schema, name, kind) in enumerate(
        session.rows(queries.text("table_tree"), {"oid": oid})
    ):
        tables.setdefault(TableName(schema, name), (own, min(place, 1), kind == "p"))
    found = []
    for names in made.indexes:
        definition = Definition(names.definition)
        own, level, framed = tables.get(definition.table, (0, 1, False))
        found.append(
            Index(
                0,
                names.served,
                definition.table,
                own,
                level,
                framed,
                None,
                definition,
                True,
                0,
                names.tablespace,
            )
        )
    return tuple(found)
