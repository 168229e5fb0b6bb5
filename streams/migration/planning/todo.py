"""What stands in the way of a migration and what a person has to do for it, step by
step.

Hazards:
- Whatever knows the column by number (a view, a function with a parsed body, a trigger)
  stays with the old vectors over the swap, and has to be made anew before `finish`
  drops them.
- Of functions whose source is text only the mention of the column's name is known: a
  hint to look, no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connectors.postgres.migrations import dependents, outlook, twins
from connectors.postgres.migrations.dependents import Dependent
from connectors.postgres.migrations.twins import Index
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, growing, retired
from schemas.rows.index_definition import Vectors
from schemas.rows.target import Target

_MOST_HALF = 4000
"""Dimensions of a halfvec that HNSW and IVFFlat take (pgvector)."""


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing, before or with a step.

    Attributes:
        step: `start`, `replay`, `index`, `swap` or `finish`: by when.
        blocks: whether that step is refused, or fails, while it is not done.
        what: one sentence.
        statement: SQL or a command that does it; None where only a person can know.
        who: whose part it is: a role of the database, or `you`.
        keep: a query whose answer is to be kept before, since the statement destroys
            what it prints.
        anew: what is to be created anew after the statement, and on which column.
    """

    step: str
    blocks: bool
    what: str
    statement: str | None
    who: str
    keep: str | None = None
    anew: str | None = None

    @property
    def typed(self) -> str:
        """The statement as it is typed, with its semicolon where it is SQL; the
        sentence where there is none.
        """
        if self.statement is None:
            return self.what
        return f"{self.statement};" if self.statement.split(" ", 1)[0].isupper() else self.statement

    def to_json(self) -> dict[str, Any]:
        """By field name."""
        return asdict(self)


def too_long(indexes: Sequence[Index], old: Vectors, new: Vectors) -> Iterator[Todo]:
    """The indexes that cannot hold the new vectors."""
    for index in indexes:
        found = index.definition.carried(old, new).too_long(new)
        if found is None:
            continue
        length, most = found
        half = (
            f"halfvec({old.dimensions})"
            if new.dimensions <= _MOST_HALF
            else f"bit({old.dimensions})"
        )
        cast = (
            f"({old.column}::{half})"
            if new.dimensions <= _MOST_HALF
            else f"(binary_quantize({old.column})::{half})"
        )
        yield Todo(
            "start",
            True,
            f"index {index.label} would have to hold {length:,} dimensions, and pgvector takes "
            f"{most:,}: have searches "
            f"use an index on {cast} first, whose twin is then built, and drop this one",
            f"DROP INDEX CONCURRENTLY {index.sql_name}",
            "you",
        )


def constraints(indexes: Sequence[Index]) -> Iterator[Todo]:
    """Constraints that hold the vector column, which are not carried over."""
    for index in indexes:
        if index.constraint is not None:
            yield Todo(
                "start",
                True,
                (
                    f"constraint {index.constraint} of {index.table} holds the vector column, and "
                    "is not carried over"
                ),
                f"ALTER TABLE {index.sql_table} DROP CONSTRAINT {index.constraint}",
                "you",
            )


def refuse(session: Session, oid: int, target: Target, new: Vectors) -> None:
    """Refuse to start where an index could not be carried over, before anything is
    changed.

    Raises:
        VectrueError: with the index or constraint, and the statement that takes it out
            of the way.
    """
    old = Vectors(target.column, target.dimensions, target.model)
    wanted = twins.wanted(twins.read(session, oid, old.columns))
    for one in (*constraints(wanted), *too_long(wanted, old, new)):
        raise VectrueError(one.what, fix=one.statement)


def names(target: Target, columns: Sequence[str], made: ColumnMigration | None) -> Iterator[Todo]:
    """Columns that have the names which a migration needs."""
    taken = [] if made else [("start", growing(target.column)), ("swap", retired(target.column))]
    for step, name in taken:
        if name in columns:
            yield Todo(
                step,
                True,
                (
                    f"{target.table} has a column {name} already, which is the name that `{step}` "
                    "needs"
                ),
                f'ALTER TABLE {target.table} RENAME COLUMN "{name}" TO ...',
                "you",
            )


def ownership(session: Session, oid: int, target: Target, dsn: str) -> Iterator[Todo]:
    """Whether the role that makes the changes may make them."""
    owner, role, may = outlook.may_change(session, oid, dsn)
    if may is False:
        yield Todo(
            "start",
            True,
            f"role {role} of postgres.admin_dsn does not own {target.table}, {owner} does",
            f'GRANT "{owner}" TO "{role}"',
            owner,
        )


def readers(
    session: Session, oid: int, target: Target, made: ColumnMigration | None, *, offline: bool
) -> list[Todo]:
    """What depends on the served column, and on the old one after the swap: once in
    each list.
    """
    vectors = Vectors(
        made.beside or target.column if made and _is_swapped(made) else target.column, 0, ""
    )
    found = dependents.of_columns(session, oid, vectors.columns)
    # Constraints of keys are indexes, which are looked at by themselves.
    found = [one for one in found if one.kind != "constraint"]
    todo = [
        of_dependent(one, outlook.owner(session, oid, one), target, made, offline=offline)
        for one in found
    ]
    for name, whose in outlook.mentioning(session, target.column):
        todo.append(
            Todo(
                "swap",
                False,
                (
                    f"look at function {name}: its source mentions {target.column}, the new "
                    "vectors "
                    "from the swap on"
                ),
                f"\\sf {name}",
                whose,
            )
        )
    return todo


def of_dependent(
    one: Dependent, whose: str, target: Target, made: ColumnMigration | None, *, offline: bool
) -> Todo:
    """What is to be done about something that knows the vector column by number.

    Args:
        one: that.
        whose: its owner.
        target: the served column.
        made: its migration; None where it is not under way.
        offline: whether the column itself is, or will be, emptied.
    """
    step = "start" if offline else "finish"
    if offline and not one.blocks:
        what = f"{one.said} depends on {target.column}: look whether it fits the new vectors"
        return Todo(step, False, what, None, whose)
    kept = f"keep its {one.lost}" + (f" ({one.shows} prints all of it)" if one.shows else "")
    on = f"on {target.column}"
    if offline:
        now = f"depends on {target.column}, whose type changes"
        then = f"{kept} before the start, drop it, and create it anew after it"
    elif made and _is_swapped(made):
        on += f" where it says {made.beside}"
        now = f"has read the old vectors, {made.beside}, since the swap"
        then = f"{kept}, drop it, and create it anew, {on}"
    else:
        now = f"knows {target.column} by number: from the swap on it reads the old vectors"
        then = f"{kept} before the swap, drop it after it, and create it anew {on}"
    said = (
        f"{step} is refused while it is there" if one.blocks else f"{step} drops it without a word"
    )
    anew = f"{one.said}, {on}" + (f", with its {one.besides}" if one.besides else "")
    what = f"{one.said} {now}, and {said}: {then}"
    return Todo(step, one.blocks, what, one.drops or None, whose, one.shows or None, anew)


def _is_swapped(made: ColumnMigration) -> bool:
    return str(made.state) == "swapped"
