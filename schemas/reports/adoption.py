"""Adoption: what was found out about vectors that the application made itself.

Hazard: the sample is all the evidence there is. A row outside of it whose vector is of
another text stays wrong until its text changes, or until `vectrue verify --deep all`
finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.reports.audit_report import LEAST_COSINE, SAMPLES, Deep
from schemas.rows.table import Key

ADOPTABLE = "adoptable"

OBSTACLES = ("blank", "quarantined", "wrong_dimension", "not_finite", "not_unit_length", "recent")
"""What keeps a vector without provenance from being adopted (adoptable in
audit/adoption.sql): no text; a text that the model was found unable to take; nothing
that the model makes, by length or norm; written by a transaction that was not over when
the rows were counted, or came later.
"""

DOUBT = 0.05
"""Chance of finding no fault in a sample when `Candidates.may_differ` of the rows are
wrong.
"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is known of one column's vectors without provenance.

    Attributes:
        table, column, model: the target.
        counts: rows by `ADOPTABLE` and `OBSTACLES`; what is not named is 0.
        sample: the comparison; None where there was nothing to compare.
        adopted: rows whose provenance was written; None as long as none was to be.
        locked: rows left out because other transactions held them.
        refused: rows whose write the table refused, with the reason.
    """

    table: str
    column: str
    model: str
    counts: Mapping[str, int]
    sample: Deep | None = None
    adopted: int | None = None
    locked: int = 0
    refused: Mapping[Key, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`schema.table.column`, for messages."""
        return f"{self.table}.{self.column}"

    @property
    def adoptable(self) -> int:
        """Vectors that can be adopted if the sample agrees."""
        return self.counts.get(ADOPTABLE, 0)

    @property
    def is_proven(self) -> bool:
        """Whether the sample speaks for the model: none compared differed or was refused."""
        # Nothing to adopt is nothing to doubt, and one such column must not stop the others.
        if self.adoptable == 0:
            return True
        return (
            self.sample is not None
            and self.sample.checked > 0
            and not self.sample.untrue
            and not self.sample.refused
        )

    @property
    def is_done(self) -> bool:
        """Whether every adoptable vector is adopted, but for those that changed meanwhile."""
        return self.locked == 0 and not self.refused

    @property
    def may_differ(self) -> float | None:
        """Largest share of wrong vectors, 0 to 1, that this sample misses by chance `DOUBT`.

        0 when every row was compared, None when none was.
        """
        if self.sample is None or self.sample.checked == 0:
            return None
        if self.sample.checked >= self.adoptable:
            return 0.0
        # Of n rows drawn, a share p of wrong ones is missed with a chance of (1 - p)^n.
        return float(1 - DOUBT ** (1 / self.sample.checked))

    @property
    def complaint(self) -> str | None:
        """Why the sample does not speak for the model, one clause; None when it does."""
        if self.is_proven:
            return None
        sample = self.sample or Deep()
        if sample.untrue:
            (worst,) = sample.worst(1)
            shown = "none" if worst.cosine is None else f"{worst.cosine:.6f}"
            return (
                f"{len(sample.untrue):,} of {sample.checked:,} sampled vectors of {self.name} "
                "are not what "
                f"{self.model} makes of their text (worst cosine {shown}, of row "
                f"{','.join(worst.key)}; "
                f"{LEAST_COSINE} is asked for)"
            )
        if sample.refused:
            return (
                f"{self.model} does not take the texts of {sample.refused:,} sampled rows of "
                f"{self.name}"
            )
        return f"every row drawn from {self.name} changed before it could be compared"

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of the command line's contract."""
        sample = None
        if self.sample is not None:
            sample = self.sample.to_json()
            sample["untrue"] = len(self.sample.untrue)
            worst: list[dict[str, Any]] = []
            for row in self.sample.worst(SAMPLES):
                worst.append(row.to_json())
            sample["worst"] = worst
            sample["may_differ"] = self.may_differ
        refused: list[dict[str, object]] = []
        for key, reason in sorted(self.refused.items()):
            refused.append({"key": list(key), "reason": reason})
        return {
            "table": self.table,
            "column": self.column,
            "model": self.model,
            "adoptable": self.adoptable,
            "not_adoptable": {name: self.counts.get(name, 0) for name in OBSTACLES},
            "sample": sample,
            "adopted": self.adopted,
            "locked": self.locked,
            "refused": refused,
        }


def verdict(columns: Sequence[Candidates]) -> str:
    """One line that says what was done, and what is left to do."""
    complaints: list[str] = []
    for found in columns:
        if found.complaint:
            complaints.append(found.complaint)
    # One column that is in doubt stops all: they were made by the same application.
    if complaints:
        return f"nothing adopted: {'; '.join(complaints)}"
    adoptable = others = adopted = held = refused = 0
    is_plan = False
    for found in columns:
        adoptable += found.adoptable
        others += sum(found.counts.values()) - found.counts.get(ADOPTABLE, 0)
        # Nothing was written where one column was only counted.
        is_plan |= found.adopted is None
        adopted += found.adopted or 0
        held += found.locked
        refused += len(found.refused)
    aside = f"; {others:,} others are left to vectrue replay run" if others else ""
    if is_plan:
        return f"{adoptable:,} vectors can be adopted{aside}"
    lines = [f"{adopted:,} vectors adopted{aside}"]
    if held:
        lines.append(f"{held:,} rows are held by other transactions: call it again")
    if refused:
        lines.append(f"the table refused {refused:,} rows")
    return "; ".join(lines)
