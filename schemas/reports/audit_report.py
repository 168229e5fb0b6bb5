"""Truth: what a check of all vectors found, and whether it is as promised.

The promises are the invariants I1 and I2.

A column is true when every row is current, blank, or in quarantine with its reason, and
nothing else was found. This is what convergence means, and wider than
`Coverage.is_true`, which leaves quarantine out: a replay is asked to make rows current
and has failed at those in quarantine, whereas here nothing untrue is said about them.

Hazard: a vector that was written before digests were kept, and that someone overwrote
by another of unit length, counts as true without `Deep`. Only re-embedding its text
tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.reports.coverage import Textless
from schemas.rows.table import Key

STATES = ("current", "missing", "stale_text", "stale_model", "blank", "quarantined", "unreadable")
"""Disjoint; their sum is the number of rows (row_state in queries.sql)."""

FINDINGS = (
    "wrong_dimension",
    "not_finite",
    "not_unit_length",
    "unknown_model",
    "foreign_vector",
    "no_provenance",
    "no_vector",
)
"""What may be wrong with a row beside its state; a row may have several (audited in
audit/scan.sql).
"""

TRUE_STATES = frozenset({"current", "blank", "quarantined", "unreadable"})

UNIT_TOLERANCE = 1e-3
"""Largest distance of a vector's length from 1: what a model makes, what a lane writes,
and what is found stored.
"""

LEAST_COSINE = 0.999
"""Lowest cosine of a stored vector to the one that its model makes of its text now.
Equal ids make equal numbers but for rounding, since precision, device and batch are no
part of an id. Measured over the 24 layers of bge-m3's shape: 0.9999998 in float32,
0.99983 between bfloat16 and float32 or between two batches in bfloat16; this leaves six
times the noise. Another text is far below, unless it differs by a character or two; but
then its hash differs as well.
"""

SAMPLES = 10
"""Keys shown of each kind of untrue row."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are alike: state, findings, how many, and the keys of some."""

    state: str
    findings: tuple[str, ...]
    rows: int
    keys: tuple[Key, ...] = ()

    @property
    def is_true(self) -> bool:
        """Whether these rows are as promised."""
        return self.state in TRUE_STATES and not self.findings

    @property
    def is_passed_by(self) -> bool:
        """Whether a replay would leave them although something was found.

        A check of all vectors may call a row stale that a replay takes for current.
        """
        # A count believes a vector where no one seems to have written the row since.
        return bool(self.findings) and (
            self.state in ("current", "quarantined") or "foreign_vector" in self.findings
        )


@dataclass(frozen=True, slots=True)
class Untrue:
    """A row whose vector is not what the model makes of its text.

    `cosine` is None where there is no comparing.
    """

    key: Key
    cosine: float | None
    digest: bytes
    """sha256 of the vector as it was read: a repair touches this very vector and no
    newer one.
    """

    def to_json(self) -> dict[str, Any]:
        """The key and the cosine."""
        return {"key": list(self.key), "cosine": self.cosine}


@dataclass
class Deep:
    """Vectors compared with what the model makes of their texts now."""

    checked: int = 0
    skipped: int = 0
    """Rows drawn that were no longer current when they were read."""
    refused: int = 0
    """Rows whose text the model did not take now: nothing can be said about their
    vectors.
    """
    lowest_cosine: float | None = None
    cosine_sum: float = 0.0
    compared: int = 0
    untrue: list[Untrue] = field(default_factory=list)

    def add(self, key: Key, cosine: float | None, digest: bytes) -> None:
        """Count one comparison."""
        self.checked += 1
        if cosine is not None:
            self.compared += 1
            self.cosine_sum += cosine
            self.lowest_cosine = (
                cosine if self.lowest_cosine is None else min(self.lowest_cosine, cosine)
            )
        # Vectors of different lengths, or of length 0, have no cosine, and are not the same.
        if cosine is None or cosine < LEAST_COSINE:
            self.untrue.append(Untrue(key, cosine, digest))

    @property
    def mean_cosine(self) -> float | None:
        """Mean over all rows that could be compared."""
        return self.cosine_sum / self.compared if self.compared else None

    def worst(self, count: int) -> list[Untrue]:
        """The untrue rows that are furthest off, those without a comparison first."""

        # No cosine is under -1, so those without one come first.
        def distance(row: Untrue) -> float:
            return -2.0 if row.cosine is None else row.cosine

        return sorted(self.untrue, key=distance)[:count]

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of the command line's contract."""
        return {
            "checked": self.checked,
            "skipped": self.skipped,
            "refused": self.refused,
            "lowest_cosine": self.lowest_cosine,
            "mean_cosine": self.mean_cosine,
            "untrue": [row.to_json() for row in self.untrue],
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """What was found about one vector column."""

    table: str
    column: str
    model: str
    groups: tuple[RowGroup, ...]
    deep: Deep | None = None
    textless: Textless | None = None
    """Rows with content and no text; None: not counted."""

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(group.rows for group in self.groups)

    def count(self, name: str) -> int:
        """Rows in a state, or with a finding."""
        found = 0
        for group in self.groups:
            if name == group.state or name in group.findings:
                found += group.rows
        return found

    @property
    def untrue(self) -> int:
        """Rows about which something is untrue, each once."""
        found = len(self.deep.untrue) if self.deep else 0
        for group in self.groups:
            if not group.is_true:
                found += group.rows
        return found

    @property
    def disowned(self) -> int:
        """Rows that a replay would pass by, and whose vector is not as promised."""
        damaged = len(self.deep.untrue) if self.deep else 0
        for group in self.groups:
            if group.is_passed_by:
                damaged += group.rows
        return damaged

    @property
    def is_true(self) -> bool:
        """Whether nothing untrue was found."""
        return self.untrue == 0

    @property
    def samples(self) -> dict[str, list[Key]]:
        """Keys of some rows of each kind that is not as promised."""
        found: dict[str, list[Key]] = {}
        for group in self.groups:
            # A true state is not listed; what was found beside it is.
            names = group.findings if group.state in TRUE_STATES else (group.state, *group.findings)
            for name in names:
                found.setdefault(name, []).extend(group.keys)
        for name, keys in found.items():
            # Sorted, so that two checks of the same rows show the same keys.
            found[name] = sorted(keys)[:SAMPLES]
        return found

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of the command line's contract."""
        counts: dict[str, int] = {}
        for name in (*STATES, *FINDINGS):
            counts[name] = self.count(name)
        return {
            "table": self.table,
            "column": self.column,
            "model": self.model,
            "rows": self.rows,
            **counts,
            "without_text": self.textless.rows if self.textless else None,
            "deep": self.deep.to_json() if self.deep else None,
            "samples": self.samples,
        }


def verdict(columns: Sequence[Truth]) -> str:
    """One line that says whether everything is true, and what to do when it is not."""
    rows = untrue = checked = quarantined = unreadable = 0
    is_deep = False
    for column in columns:
        rows += column.rows
        untrue += column.untrue
        quarantined += column.count("quarantined")
        unreadable += column.count("unreadable")
        if column.deep:
            is_deep = True
            checked += column.deep.checked
    compared = f"; {checked:,} vectors were made again and compared" if is_deep else ""
    if untrue:
        return f"{untrue:,} of {rows:,} rows are untrue{compared}: vectrue verify --repair"
    parts: list[str] = []
    if quarantined:
        parts.append(f"{quarantined:,} of them in quarantine")
    if unreadable:
        parts.append(f"{unreadable:,} of them unreadable")
    aside = f" ({', '.join(parts)})" if parts else ""
    return f"nothing untrue in {rows:,} rows{aside}{compared}"
