"""What a run would do and cost, before it starts: rows, texts, chunks, time, WAL, disk.

The size of a vector is that of connectors/postgres/rows/vector_size.py. The other
constants were measured with `python -m tests.bench scale` on PostgreSQL 18.

Hazard: WAL and disk are estimates, without the indexes over vectors, whose cost depends
on their graph; the plan says so where there is one.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.postgres.ledger import enumeration
from connectors.postgres.ledger.enumeration import RelationFacts
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.rows.vector_size import PROVENANCE_BYTES, toast_pieces, vector_bytes
from connectors.postgres.session import Session
from schemas.errors import TransientError
from schemas.reports.replay import Request, Survey
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.replay.keys import Named
from streams.replay.prepared import Prepared

_WAL_RECORD = 60
"""Header and block reference of a WAL record about one row."""
_INDEX_ENTRY = 24
_LEDGER_WAL_PER_ROW = 8
_TOAST_FILL = 1.25
"""Four full pieces fit a page and not a byte more, so mixed ones leave gaps: 200,000
vectors of 1,024 numbers took 5,640 bytes each with their rows.
"""
_WAL_MORE = 1.25
"""Page images after checkpoints and index page splits: the same rows wrote 6,402 bytes
each, their records 5,100.
"""
_PAGE_IMAGES = 1.1
"""Full-page images of the table's pages, each once: a replay touches them in order and
mostly between checkpoints.
"""


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes that one embedded row writes.

    Attributes:
        wal: to WAL.
        disk: as a new row version; VACUUM frees the old one.
    """

    wal: float
    disk: float


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """One column of a planned run; a figure that is not known is None."""

    table: str
    column: str
    model: str
    exact: bool
    rows: int
    current: int
    blank: int
    quarantined: int
    to_send: int
    to_embed: int
    chunks: int
    mean_text_bytes: float | None
    largest_text_bytes: int | None
    rows_per_second: float | None
    measured_in_run: str | None
    seconds: float | None
    wal_bytes: int
    disk_bytes: int
    vector_index: bool

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A planned run.

    Attributes:
        request: what is asked for.
        scopes: its columns.
        workers: of the replay lane now; None when Kafka does not answer.
        live_workers: of the live lane now; None when Kafka does not answer.
        max_live_lag_seconds: how far the live lane may be behind before replay waits.
        named: what the keys came to; None without keys.
    """

    request: Request
    scopes: tuple[ScopePlan, ...]
    workers: int | None
    live_workers: int | None
    max_live_lag_seconds: float
    named: Named | None = None

    @property
    def to_embed(self) -> int:
        """Rows that would go through the model."""
        total = 0
        for scope in self.scopes:
            total += scope.to_embed
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data, for scripts."""
        return {
            "options": self.request.options,
            "columns": [scope.to_json() for scope in self.scopes],
            "replay_workers": self.workers,
            "live_workers": self.live_workers,
            "max_live_lag_seconds": self.max_live_lag_seconds,
            "rate": self.request.rate,
            "keys": self.named.to_json() if self.named else None,
        }


def costs(dimensions: int, facts: RelationFacts, rows: int) -> Costs:
    """Estimate what one embedded row writes.

    Args:
        dimensions: of the vector.
        facts: the table as it is.
        rows: how many it has.
    """
    row = facts.heap_bytes / max(1, rows) + PROVENANCE_BYTES
    pieces = toast_pieces(dimensions, row)
    value = vector_bytes(dimensions, row)
    entries = (pieces + facts.indexes) * _INDEX_ENTRY + row
    records = 2 * pieces + 1 + facts.indexes
    images = _PAGE_IMAGES * facts.heap_bytes / max(1, rows)
    wal = value + entries + records * _WAL_RECORD + images + _LEDGER_WAL_PER_ROW
    return Costs(_WAL_MORE * wal, value * (_TOAST_FILL if pieces else 1.0) + entries)


def plan(
    settings: Settings, session: Session, prepared: Prepared, named: Named | None = None
) -> ReplayPlan:
    """Put the plan of a prepared request together; asks Kafka which workers run.

    Args:
        settings: all of them.
        session: connection to the tables.
        prepared: the request, checked.
        named: what its keys came to; None without keys.
    """
    workers, live = members(settings)
    request = prepared.request
    scopes: list[ScopePlan] = []
    for target, survey in zip(prepared.targets, prepared.surveys, strict=True):
        scope = _scope(settings, session, request, target, survey, workers)
        scopes.append(scope)
    limit = request.max_live_lag or settings.replay.max_live_lag_seconds
    return ReplayPlan(
        request=request,
        scopes=tuple(scopes),
        workers=workers,
        live_workers=live,
        max_live_lag_seconds=limit,
        named=named,
    )


def _scope(
    settings: Settings,
    session: Session,
    request: Request,
    target: Target,
    survey: Survey,
    workers: int | None,
) -> ScopePlan:
    facts = enumeration.relation_facts(session, target)
    size = request.chunk_size or settings.replay.chunk_size
    send, embed = survey.selected(request), survey.to_embed(request)
    measured = RunLedger(session).measured_rate(target)
    rate = _rate(measured[1], request, workers) if measured else None
    each = costs(target.dimensions, facts, round(facts.rows or survey.rows))
    return ScopePlan(
        table=str(target.table),
        column=target.column,
        model=target.model,
        exact=survey.exact,
        rows=survey.rows,
        current=survey.current,
        blank=survey.blank,
        quarantined=survey.quarantined,
        to_send=send,
        to_embed=embed,
        chunks=math.ceil(send / size),
        mean_text_bytes=survey.mean_bytes,
        largest_text_bytes=survey.largest_bytes,
        rows_per_second=rate,
        measured_in_run=measured[0] if measured else None,
        seconds=embed / rate if rate else None,
        wal_bytes=round(embed * each.wal),
        disk_bytes=round(embed * each.disk),
        vector_index=facts.vector_index,
    )


def _rate(measured: float, request: Request, workers: int | None) -> float:
    """Return the rows per second of all workers, at most the run's limit."""
    # Measured for one worker; where none runs now, one is expected.
    rate = measured * max(1, workers or 1)
    return rate if request.rate is None else min(rate, request.rate)


def members(settings: Settings) -> tuple[int | None, int | None]:
    """Count the workers in the groups of the replay lane and of the live lane.

    Returns:
        Both counts; None when Kafka does not answer.
    """
    asked = {
        settings.replay_group: [settings.replay_topic],
        settings.live_group: [settings.deferred_topic],
    }
    offsets = KafkaOffsets(settings, SystemClock())
    try:
        groups = offsets.read(asked)
    except TransientError:
        # A plan is worth having without Kafka too.
        return None, None
    finally:
        offsets.close()
    return groups[settings.replay_group].members, groups[settings.live_group].members
