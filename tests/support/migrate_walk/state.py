"""What stands in the database, column by column, and which steps a verb may take there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.migrate_walk.tables import TABLES, Table
from tests.support.workplace import Workplace

_VECTORS: Final = """
    SELECT attname, atttypmod FROM pg_attribute
    WHERE attrelid = %s::regclass AND atttypid = 'vector'::regtype AND NOT attisdropped
    ORDER BY attname
"""
_INDEXES: Final = """
    SELECT a.attname, count(*) FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = %s::regclass AND i.indisvalid AND a.atttypid = 'vector'::regtype
    GROUP BY 1 ORDER BY 1
"""
_OPEN: Final = """
    SELECT CASE WHEN offline THEN 'offline' ELSE state END, from_dimensions, to_dimensions
    FROM vectrue.column_migrations WHERE table_name = %s AND state IN ('started', 'swapped')
"""
_STEPS: Final[Mapping[str, Mapping[str, Collection[str]]]] = {
    "start": {"none": ("started", "offline")},
    "swap": {"started": ("swapped",)},
    "rollback": {"started": ("none",), "offline": ("none",), "swapped": ("started",)},
    "finish": {"swapped": ("none",), "offline": ("none",)},
}
_WHOLE: Final = ("swap", "rollback", "finish")
"""Verbs that take their step in all columns or in none."""


@dataclass(frozen=True)
class Column:
    """A table's vector column.

    Attributes:
        state: none, started, offline or swapped.
        lengths: of the models of an open migration, from and to.
        vectors: every vector column and its length.
        indexes: every vector column and how many valid indexes read it.
    """

    state: str
    lengths: tuple[int, int] | None
    vectors: Mapping[str, int]
    indexes: Mapping[str, int]

    @property
    def served(self) -> int:
        """Length of the served column."""
        return self.vectors.get("embedding", 0)


def read(place: Workplace) -> dict[str, Column]:
    """The columns by the name of their table."""
    return {table.name: _read(place, table) for table in TABLES}


def content(place: Workplace) -> tuple[Any, ...]:
    """Everything that a command could have changed for someone who reads it."""
    rows = [
        place.execute(
            "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM "
            f"{table.quoted} AS t"
        )
        for table in TABLES
    ]
    made = (
        "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'walk%' UNION ALL SELECT "
        "proname FROM pg_proc "
    )
    others = place.execute(made + "WHERE proname LIKE 'walk%' ORDER BY 1")
    indexed = [tuple(column.indexes.items()) for column in read(place).values()]
    states = [(column.state, tuple(column.vectors.items())) for column in read(place).values()]
    names = tuple(table.name for table in place.settings.tables)
    return (
        str(rows),
        str(others),
        str(indexed),
        str(states),
        names,
        place.settings.model.dimensions,
    )


def _read(place: Workplace, table: Table) -> Column:
    known = place.value("SELECT to_regclass('vectrue.column_migrations') IS NOT NULL")
    found = place.execute(_OPEN, (table.name,)) if known else []
    state, *lengths = found[0] if found else ("none",)
    vectors, indexes = (
        dict(place.execute(query, (table.quoted,))) for query in (_VECTORS, _INDEXES)
    )
    return Column(state, (lengths[0], lengths[1]) if lengths else None, vectors, indexes)


def judge(
    verb: str,
    before: Mapping[str, Column],
    after: Mapping[str, Column],
    *,
    scope: Collection[str],
    refused: bool,
    killed: bool,
) -> list[str]:
    """What a verb did that it may not do, in words.

    Args:
        verb: of `vectrue migrate`, or another action.
        before: all columns.
        after: the same, afterwards.
        scope: names of the tables that it was told.
        refused: whether it ended with an error.
        killed: whether it was killed.
    """
    found = []
    moved = {name for name in before if before[name].state != after[name].state}
    for name in moved:
        step = f"{name}: {before[name].state} -> {after[name].state} by {verb}"
        if after[name].state not in _STEPS.get(verb, {}).get(before[name].state, ()):
            found.append(f"no step: {step}")
        elif name not in scope:
            found.append(f"out of scope: {step}")
        elif refused:
            found.append(f"although it was refused: {step}")
    could = {name for name in scope if before[name].state in _STEPS.get(verb, {})}
    if (
        verb in _WHOLE
        and moved
        and not moved >= {name for name in could if before[name].state != "offline"}
    ):
        found.append(f"{verb} in {sorted(moved)} and not in {sorted(could - moved)}")
    for name in before:
        found += _torn(name, verb, before[name], after[name], killed=killed)
    return found


def _torn(name: str, verb: str, before: Column, after: Column, *, killed: bool) -> list[str]:
    """A served column that does not follow from the state, and what stands beside it."""
    found = []
    turned = (before.state, after.state) in (("started", "swapped"), ("swapped", "started"))
    if turned and before.lengths:
        wanted = before.lengths[1 if after.state == "swapped" else 0]
        if after.served != wanted:
            found.append(f"{name}: {after.served} numbers are served after {verb}, not {wanted}")
    elif after.served != before.served and "offline" not in (before.state, after.state):
        found.append(f"{name}: {before.served} numbers became {after.served} by {verb}")
    if (
        after.state == "none"
        and set(after.vectors) != {"embedding"}
        and not killed
        and verb != "obstacle"
    ):
        found.append(
            f"{name}: {sorted(after.vectors)} stand after {verb}, and no migration is under way"
        )
    return found
