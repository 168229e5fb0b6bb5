"""The plan of a migration: its figures, the steps, and the locks that each step takes."""

from dataclasses import asdict, dataclass
from typing import Any

from streams.migration.planning.todo import Todo

LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on all tables at once",
        "milliseconds (nothing is rewritten), tried under lock_timeout",
    ),
    ("replay", "row locks, 64 rows at a time", "milliseconds each; a locked row is left for later"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    (
        "swap",
        "ACCESS EXCLUSIVE on all tables at once",
        "milliseconds (names only), tried under lock_timeout",
    ),
    ("finish", "ACCESS EXCLUSIVE on all tables at once", "milliseconds (nothing is rewritten)"),
)
OFFLINE_LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on all tables at once",
        "as long as the table takes to rewrite; nothing passes",
    ),
    (
        "replay",
        "row locks, 64 rows at a time",
        "search finds nothing until it has filled the rows again",
    ),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("finish", "none", "-"),
)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One column's part.

    Attributes:
        table: which.
        column: its vector column.
        state: `started` or `swapped` where a migration is under way.
        rows: of all partitions, by the statistics; None when a part was never counted.
        from_model: id of the old model.
        from_dimensions: length of its vectors.
        to_dimensions: length of the new vectors.
        table_bytes: the table with its partitions and TOAST, now; None when not known.
        more_bytes: what the new vectors add until `finish`; None when the rows are not
            known.
        free_bytes: free space on the table's disk; None when not known.
        partitions: how many tables hold its rows; 0 for a table without partitions.
        indexes: the indexes that will be built again; those of single partitions by
            their name and table.
        index_parts: every index that has a size, those of partitions too: name, table,
            bytes, definition.
        index_bytes: estimate of their size on the new column.
        invalid: indexes that nothing uses, and that are not built again.
        readers: what depends on the column, and keeps reading the old vectors after the
            swap.
        seconds: of one replay worker, at the rate measured with the old model; None when
            it was not measured.
        todo: what blocks which step, and what is done by hand.
    """

    table: str
    column: str
    state: str | None
    rows: int | None
    from_model: str
    from_dimensions: int
    to_dimensions: int
    table_bytes: int | None
    more_bytes: int | None
    free_bytes: int | None
    partitions: int
    indexes: tuple[str, ...]
    index_parts: tuple[dict[str, Any], ...]
    index_bytes: int
    invalid: tuple[str, ...]
    readers: tuple[str, ...]
    seconds: float | None
    todo: tuple[Todo, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures by field name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The whole plan.

    Attributes:
        to_model: id of the model to move to; None when its files are not here.
        tables: the columns.
        todo: what concerns all of them.
        commands: what to type, in order; a line that begins with `#` is done by hand.
        under_way: one sentence about the migration that is under way; None without one.
    """

    to_model: str | None
    tables: tuple[TablePlan, ...]
    todo: tuple[Todo, ...]
    commands: tuple[str, ...]
    under_way: str | None

    @property
    def refusals(self) -> list[Todo]:
        """Why `start` would be refused now."""
        every = list(self.todo)
        for table in self.tables:
            every += table.todo
        refusals: list[Todo] = []
        for todo in every:
            if todo.blocks and todo.step == "start":
                refusals.append(todo)
        return refusals

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data, for scripts."""
        return {
            "to_model": self.to_model,
            "under_way": self.under_way,
            "tables": [t.to_json() for t in self.tables],
            "todo": [todo.to_json() for todo in self.todo],
            "commands": list(self.commands),
            "refused": [todo.what for todo in self.refusals],
        }
