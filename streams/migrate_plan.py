"""What a migration will take: locks, time and disk, table by table, before anything is changed.

Sources of the figures: a vector takes 4 * dimensions + 8 bytes (pgvector); a row of more than 2,000 bytes keeps its
vector out of line, in chunks of 1,996 bytes with 36 bytes each (PostgreSQL, TOAST). An index of the new length is
estimated from the old one, by the lengths' ratio. Where nothing was measured, nothing is said.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connectors.ports import Embedder
from connectors.postgres import catalog, migration, queries
from connectors.postgres.ledger import RunLedger
from connectors.postgres.session import Session
from schemas.target import Target

_TOAST_CHUNK = 1996
_TOAST_OVERHEAD = 36
_PROVENANCE_BYTES = 32 + 60 + 8
"""sha256, a model id of about sixty characters, and a time."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One column's part.

    Attributes:
        table: which.
        column: its vector column.
        rows: as the statistics have it; None when the table was never analysed.
        from_model: what is wanted now.
        from_dimensions: its length.
        to_dimensions: the new one.
        table_bytes: the table with TOAST, now.
        more_bytes: what the new vectors will add until `finish`; None when the rows are not known.
        indexes: the vector indexes that will be built again.
        index_bytes: estimate of their size.
        readers: views that will go on reading the old column after the swap.
        seconds: of one replay worker, at the rate that the old model was measured with; None when it was not.
    """

    table: str
    column: str
    rows: int | None
    from_model: str
    from_dimensions: int
    to_dimensions: int
    table_bytes: int
    more_bytes: int | None
    indexes: tuple[str, ...]
    index_bytes: int
    readers: tuple[str, ...]
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """The figures by field name."""
        return asdict(self)


LOCKS = (
    (
        "start",
        "ACCESS EXCLUSIVE on each table in turn",
        "milliseconds (nothing is rewritten), tried under lock_timeout",
    ),
    ("replay", "row locks, 64 rows at a time", "milliseconds each; a locked row is left for later"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("swap", "ACCESS EXCLUSIVE on all tables at once", "milliseconds (names only), tried under lock_timeout"),
    ("finish", "ACCESS EXCLUSIVE on each table in turn", "milliseconds (nothing is rewritten)"),
)
OFFLINE_LOCKS = (
    ("start", "ACCESS EXCLUSIVE on each table in turn", "as long as the table takes to rewrite; nothing passes"),
    ("replay", "row locks, 64 rows at a time", "search finds nothing until it has filled the rows again"),
    ("index", "SHARE UPDATE EXCLUSIVE", "as long as the build takes; reads and writes go on"),
    ("finish", "none", "-"),
)


def make(session: Session, targets: Sequence[Target], embedder: Embedder) -> list[TablePlan]:
    """Look at the served columns.

    Args:
        session: any connection that may read the catalogue.
        targets: the served columns.
        embedder: the model to move to; its weights are not needed.
    """
    return [_table(session, target, embedder.dimensions) for target in targets]


def vector_bytes(dimensions: int) -> int:
    """Bytes that one vector and its provenance take on disk."""
    size = 4 * dimensions + 8
    chunks = math.ceil(size / _TOAST_CHUNK) if size > 2000 else 0
    return size + chunks * _TOAST_OVERHEAD + _PROVENANCE_BYTES


def _table(session: Session, target: Target, dimensions: int) -> TablePlan:
    oid = catalog.inspect(session, target.table).oid
    size, rows, _ = session.rows(queries.text("table_sizes"), {"oid": oid})[0]
    known = int(rows) if rows >= 0 else None
    found = migration.indexes(session, oid, target.column)
    ratio = dimensions / target.dimensions
    return TablePlan(
        str(target.table), target.column, known, target.model, target.dimensions, dimensions, int(size),
        None if known is None else known * vector_bytes(dimensions), tuple(index.name for index in found),
        round(sum(index.bytes for index in found) * ratio), tuple(migration.readers(session, oid, target.column)),
        _seconds(session, target, known),
    )  # fmt: skip


def _seconds(session: Session, target: Target, rows: int | None) -> float | None:
    measured = RunLedger(session).measured_rate(target)
    return rows / measured[1] if measured and rows else None
