"""How good searches are: judged queries, logged searches, and opinions.

Hazard: figures belong to their model, their queries and the rows of their time. A row
that is gone counts for nothing, since no search could find it: `gone` says how many
there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from schemas.duration import rfc3339
from schemas.reports.search import Hit, Timings

K = 10
"""Rows looked at per judged query, as many as a person looks at."""

Way = Literal["exact", "index"]


@dataclass(frozen=True, slots=True)
class QualityRun:
    """Judged queries of one table, asked once each.

    Attributes:
        table: schema.table.
        model: id of the model that embedded queries and rows; several, joined by a
            comma, where columns differ.
        at: when it ended.
        queries: how many were asked.
        gone: judged rows that are no longer there.
        way: `exact` where every row was compared, `index` where the planner takes a
            vector index.
        ndcg: nDCG@10, mean over the queries, as the next two.
        recall: recall@10.
        mrr: reciprocal rank of the first relevant row, 0 where it is not among the
            first ten.
        p50_seconds: of the time from a query to its rows.
        p95_seconds: the 95th percentile.
    """

    table: str
    model: str
    at: datetime
    queries: int
    gone: int
    way: Way
    ndcg: float
    recall: float
    mrr: float
    p50_seconds: float
    p95_seconds: float

    @property
    def measures(self) -> dict[str, float]:
        """The three figures by their names."""
        return {f"nDCG@{K}": self.ndcg, f"recall@{K}": self.recall, f"MRR@{K}": self.mrr}

    def to_json(self) -> dict[str, Any]:
        """By field name."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "at": rfc3339(self.at),
            "k": K,
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """The last figures of a table, their age, and the last ones of the model before."""

    last: QualityRun
    age_seconds: float
    before: QualityRun | None

    def to_json(self) -> dict[str, Any]:
        """The last figures, and under `before` those of the model before."""
        before = None if self.before is None else self.before.to_json()
        return {**self.last.to_json(), "age_seconds": round(self.age_seconds, 3), "before": before}


@dataclass(frozen=True, slots=True)
class LoggedSearch:
    """A search as it is kept; either its text or an HMAC of it."""

    id: UUID
    text: str | None
    hmac: bytes | None
    models: Sequence[str]
    tables: Sequence[str]
    hits: Sequence[Hit]
    timings: Timings


@dataclass(frozen=True, slots=True)
class Feedback:
    """Whether a row that a search found was of use."""

    query: UUID
    table: str
    key: tuple[str, ...]
    useful: bool


@dataclass(frozen=True, slots=True)
class Opinions:
    """What feedback says about a table: rows called useful, of all called anything."""

    table: str
    useful: int
    given: int

    @property
    def share(self) -> float:
        """Of useful rows, 0 to 1."""
        return self.useful / self.given

    def to_json(self) -> Mapping[str, Any]:
        """By field name, and the share."""
        return {
            "table": self.table,
            "useful": self.useful,
            "given": self.given,
            "share": self.share,
        }
