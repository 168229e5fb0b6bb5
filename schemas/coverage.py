"""Coverage: how many rows of a column are in which state, and what that means."""

from dataclasses import asdict, dataclass
from typing import Any


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


def verdict(columns: list[Coverage], doubt: str | None) -> str:
    """One line that says whether the vectors are true, and what to do when they are not.

    Args:
        columns: as they were counted.
        doubt: what speaks against "all", as a canary that does not come back; None when all was seen to be well.
    """
    said = _counted(columns)
    if doubt is None or not columns:
        return said
    return f"{said.removeprefix('all ')}, but {doubt}"


def _counted(columns: list[Coverage]) -> str:
    if not columns:
        return "no table is kept in step yet: run `embedsync init`"
    lacking = sum(column.lacking for column in columns)
    quarantined = sum(column.quarantined for column in columns)
    unreadable = sum(column.unreadable for column in columns)
    rows = sum(column.rows for column in columns)
    if lacking:
        return f"{lacking:,} of {rows:,} rows lack a current vector: embedsync replay run"
    if quarantined:
        return f"{quarantined:,} of {rows:,} rows are in quarantine: their text cannot be embedded"
    if unreadable:
        return f"{unreadable:,} of {rows:,} rows are unreadable: Postgres cannot make their text"
    return f"all {rows:,} rows are current or blank"
