"""Coverage: how many rows of a column are in which state, and what that means."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows of one vector column by state. The states are disjoint; their sum is `rows`."""

    table: str
    column: str
    model: str
    dimensions: int
    rows: int
    current: int
    missing: int
    stale_text: int
    stale_model: int
    blank: int
    quarantined: int
    unreadable: int
    without_text: int | None = None
    """Blank rows that have content and whose text is NULL; None: not counted, or it
    could not be counted.
    """

    @property
    def lacking(self) -> int:
        """Rows that a replay would make true."""
        return self.missing + self.stale_text + self.stale_model

    @property
    def is_true(self) -> bool:
        """Whether every row is current or blank."""
        return self.current + self.blank == self.rows

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of the command line's contract."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Textless:
    """Rows of a table that have content and no text.

    Attributes:
        table: its name.
        of: its rows.
        rows: how many have content and no text; None: not known.
        empty: the columns that are NULL in some of them, each with whether it is of a
            string type.
        read: every column that the text reads.
        error: why it is not known.
    """

    table: str
    of: int
    rows: int | None
    empty: tuple[tuple[str, bool], ...] = ()
    read: tuple[str, ...] = ()
    error: str | None = None

    @property
    def sentence(self) -> str | None:
        """What to tell, with what to write in place of the text; None: nothing."""
        if self.rows is None:
            return (
                f"how many rows of {self.table} have content and no text is not known "
                f"({self.error})"
            )
        if not self.rows:
            return None
        said = (
            f"{self.rows:,} of {self.of:,} rows of {self.table} have content and no text: no "
            "search finds them"
        )
        if not self.empty:
            return (
                f"{said}; let the [[tables]] text of {self.table} be '' or the content, never NULL"
            )
        return f"{said}; {self._cure}"

    @property
    def _cure(self) -> str:
        names: list[str] = []
        cured: list[str] = []
        for column, is_string in self.empty:
            name = _quoted(column)
            names.append(name)
            # coalesce takes values of one type, and '' is not an integer.
            cured.append(f"coalesce({name}{'' if is_string else '::text'}, '')")
        every = ", ".join(map(_quoted, self.read))
        return (
            f"the text is NULL because {', '.join(names)} is: write "
            f"{', '.join(cured)} in its place in "
            "[[tables]] text, or "
            f"concat_ws(' ', {every}), then `vectrue init`"
        )


def _quoted(name: str) -> str:
    """A column's name as it is written in an expression."""
    # Postgres folds a name without quotes to lower case.
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def verdict(columns: list[Coverage], doubt: str | None, way: str = "vectrue replay run") -> str:
    """One line that says whether the vectors are true, and what to do if not.

    Args:
        columns: as they were counted.
        doubt: what speaks against "all", as a canary that does not come back; None when
            all was seen to be well.
        way: the command that fills what is lacking.
    """
    if not columns:
        return "no table is kept in step yet: run `vectrue init`"
    rows = _sum_by_table(columns, "rows")
    wrong = _wrong(columns, rows, way)
    if wrong is not None:
        return wrong if doubt is None else f"{wrong}; also, {doubt}"
    bare = _sum_by_table(columns, "without_text")
    aside = f"; {bare:,} of them have content and no text" if bare else ""
    counted = f"{rows:,} rows are current or blank{aside}"
    # "all" is what the doubt speaks against.
    return f"all {counted}" if doubt is None else f"{counted}, but {doubt}"


def _wrong(columns: list[Coverage], rows: int, way: str) -> str | None:
    """Return what is wrong with some of the rows, the worst; None: all are well."""
    lacking = _sum_by_table(columns, "lacking")
    quarantined = _sum_by_table(columns, "quarantined")
    unreadable = _sum_by_table(columns, "unreadable")
    if lacking:
        return f"{lacking:,} of {rows:,} rows lack a current vector: {way}"
    if quarantined:
        return f"{quarantined:,} of {rows:,} rows are in quarantine: their text cannot be embedded"
    if unreadable:
        return f"{unreadable:,} of {rows:,} rows are unreadable: Postgres cannot make their text"
    return None


def once(counts: Iterable[tuple[str, int]]) -> int:
    """Rows, each once, though a table has several columns: the largest count of each."""
    most: dict[str, int] = {}
    for table, count in counts:
        most[table] = max(most.get(table, 0), count)
    return sum(most.values())


def _sum_by_table(columns: list[Coverage], name: str) -> int:
    """Rows, each once, though a table has several columns."""
    # During a migration two columns stand beside each other: the worse of the counts says it.
    return once((column.table, getattr(column, name) or 0) for column in columns)
