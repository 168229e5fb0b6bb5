"""What blocks a migration, and what a person has to do for it, step by step.

Hazards:
- Whatever knows the column by number (a view, a function with a parsed body, a trigger)
  keeps reading the old vectors after the swap, and has to be recreated before `finish`
  drops them.
- Of functions whose source is text, only the mention of the column's name is known.
  That is a hint to look, not more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connectors.postgres.migrations import dependents, outlook, twins
from connectors.postgres.migrations.dependents import Dependent
from connectors.postgres.migrations.twins import Index
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, growing, retired
from schemas.rows.index_definition import Vectors
from schemas.rows.target import Target

_MOST_HALF = 4000
"""Dimensions of a halfvec that HNSW and IVFFlat take (pgvector)."""


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing to do, before or with a step.

    Attributes:
        step: `start`, `replay`, `index`, `swap` or `finish`: by when.
        blocks: whether that step is refused, or fails, until it is done.
        what: one sentence.
        statement: SQL or a command that does it; None where only a person can know.
        who: who does it: a role of the database, or `you`.
        keep: a query whose output must be kept first, since the statement destroys what
            it prints.
        recreate: what to create again after the statement, and on which column.
    """

    step: str
    blocks: bool
    what: str
    statement: str | None
    who: str
    keep: str | None = None
    recreate: str | None = None

    @property
    def typed(self) -> str:
        """The statement as it is typed; the sentence when there is none."""
        if self.statement is None:
            return self.what
        # Only SQL is typed with a semicolon, and only SQL begins with capitals.
        is_sql = self.statement.split(" ", 1)[0].isupper()
        return f"{self.statement};" if is_sql else self.statement

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def too_long(indexes: Sequence[Index], old: Vectors, new: Vectors) -> Iterator[Todo]:
    """Yield the indexes that cannot hold the new vectors."""
    for index in indexes:
        found = index.definition.carried(old, new).too_long(new)
        if found is None:
            continue
        length, most = found
        # As halfvec for as long as HNSW takes that many dimensions, then as bits.
        if new.dimensions <= _MOST_HALF:
            cast = f"({old.column}::halfvec({old.dimensions}))"
        else:
            cast = f"(binary_quantize({old.column})::bit({old.dimensions}))"
        yield Todo(
            step="start",
            blocks=True,
            what=f"index {index.label} would have to hold {length:,} dimensions, and "
            f"pgvector takes {most:,}: have searches use an index on {cast} first, whose "
            "twin is then built, and drop this one",
            statement=f"DROP INDEX CONCURRENTLY {index.sql_name}",
            who="you",
        )


def constraints(indexes: Sequence[Index]) -> Iterator[Todo]:
    """Yield the constraints that hold the vector column, which are not carried over."""
    for index in indexes:
        if index.constraint is not None:
            yield Todo(
                step="start",
                blocks=True,
                what=f"constraint {index.constraint} of {index.table} holds the vector "
                "column, and is not carried over",
                statement=f"ALTER TABLE {index.sql_table} DROP CONSTRAINT {index.constraint}",
                who="you",
            )


def refuse(session: Session, oid: int, target: Target, new: Vectors) -> None:
    """Refuse to start where an index cannot be carried over, before any change.

    Args:
        session: any connection that may read the catalogue.
        oid: of the table.
        target: the served column.
        new: the vectors to come.

    Raises:
        VectrueError: with the index or constraint, and the statement that takes it out
            of the way.
    """
    old = Vectors(target.column, target.dimensions, target.model)
    wanted = twins.wanted(twins.read(session, oid, old.columns))
    for one in (*constraints(wanted), *too_long(wanted, old, new)):
        raise VectrueError(one.what, fix=one.statement)


def names(target: Target, columns: Sequence[str], made: ColumnMigration | None) -> Iterator[Todo]:
    """Yield the columns that have a name which the migration needs."""
    if made is not None:
        return
    for step, name in (
        ("start", growing(target.column)),
        ("swap", retired(target.column)),
    ):
        if name in columns:
            yield Todo(
                step=step,
                blocks=True,
                what=f"{target.table} has a column {name} already, which is the name that "
                f"`{step}` needs",
                statement=f'ALTER TABLE {target.table} RENAME COLUMN "{name}" TO ...',
                who="you",
            )


def ownership(session: Session, oid: int, target: Target, dsn: str) -> Iterator[Todo]:
    """Yield what the role that makes the changes lacks to make them."""
    owner, role, may = outlook.may_change(session, oid, dsn)
    if may is False:
        yield Todo(
            step="start",
            blocks=True,
            what=f"role {role} of postgres.admin_dsn does not own {target.table}, {owner} does",
            statement=f'GRANT "{owner}" TO "{role}"',
            who=owner,
        )


def readers(
    session: Session, oid: int, target: Target, made: ColumnMigration | None, *, offline: bool
) -> list[Todo]:
    """Return what depends on the served column, and after the swap on the old one.

    Args:
        session: any connection that may read the catalogue.
        oid: of the table.
        target: the served column.
        made: its migration; None where it is not being migrated.
        offline: whether the column itself is, or will be, emptied.
    """
    column = target.column
    # Since the swap the old vectors are in the column beside.
    if made is not None and made.beside and made.state is MigrationState.SWAPPED:
        column = made.beside
    todo: list[Todo] = []
    for one in dependents.of_columns(session, oid, Vectors(column, 0, "").columns):
        # Constraints of keys are indexes, which are looked at separately.
        if one.kind != "constraint":
            whose = outlook.owner(session, oid, one)
            todo.append(of_dependent(one, whose, target, made, offline=offline))
    todo += _mentioning(session, target)
    return todo


def _mentioning(session: Session, target: Target) -> Iterator[Todo]:
    """Yield the functions whose source mentions the column's name."""
    # Postgres does not know what a source text depends on: this is a hint, not more.
    for name, whose in outlook.mentioning(session, target.column):
        yield Todo(
            step="swap",
            blocks=False,
            what=f"look at function {name}: its source mentions {target.column}, the "
            "new vectors from the swap on",
            statement=f"\\sf {name}",
            who=whose,
        )


def of_dependent(
    one: Dependent, whose: str, target: Target, made: ColumnMigration | None, *, offline: bool
) -> Todo:
    """Return what to do about something that knows the vector column by number.

    Args:
        one: what depends on the column.
        whose: its owner.
        target: the served column.
        made: its migration; None where it is not being migrated.
        offline: whether the column itself is, or will be, emptied.
    """
    step = "start" if offline else "finish"
    if offline and not one.blocks:
        what = f"{one.said} depends on {target.column}: check whether it fits the new vectors"
        return Todo(step, blocks=False, what=what, statement=None, who=whose)
    now, then, on = _replaced(one, target, made, offline=offline)
    # A default or a trigger goes along with the column without a word.
    said = f"{step} silently drops it"
    if one.blocks:
        said = f"{step} is refused while it exists"
    recreate = f"{one.said}, {on}"
    if one.besides:
        recreate += f", with its {one.besides}"
    return Todo(
        step=step,
        blocks=one.blocks,
        what=f"{one.said} {now}, and {said}: {then}",
        statement=one.drops or None,
        who=whose,
        keep=one.shows or None,
        recreate=recreate,
    )


def _replaced(
    one: Dependent, target: Target, made: ColumnMigration | None, *, offline: bool
) -> tuple[str, str, str]:
    """Return what the dependent reads, how to replace it, and on which column."""
    kept = f"keep its {one.lost}"
    if one.shows:
        kept += f" ({one.shows} prints all of it)"
    on = f"on {target.column}"
    if offline:
        now = f"depends on {target.column}, whose type changes"
        then = f"{kept} before the start, drop it, and recreate it after the start"
    elif made is not None and made.state is MigrationState.SWAPPED:
        # Its definition says the name that the old column has by now.
        on += f" where it says {made.beside}"
        now = f"has read the old vectors, {made.beside}, since the swap"
        then = f"{kept}, drop it, and recreate it, {on}"
    else:
        now = f"knows {target.column} by number: from the swap on it reads the old vectors"
        then = f"{kept} before the swap, drop it after it, and recreate it {on}"
    return now, then, on
