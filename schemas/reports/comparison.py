"""A comparison of two models, or of two columns, on judged queries.

Durations are seconds, sizes bytes. What could not be measured is None, never 0.

Hazard: an interval belongs to its own line. Of twenty lines one excludes 0 by chance,
so the verdict rests on one measure over all queries (`DECIDES`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.rows.table import Key

DECIDES = "nDCG@10"
ALL = "all"
"""Name of the group of all queries."""

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A search, and the rows that answer it; `line` is its number in the file, from 1."""

    line: int
    text: str
    relevant: tuple[Key, ...]
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries with its bootstrap interval.

    There is no interval where all queries agree or there is only one.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on one side of 0; else 0."""
        if self.low is None or self.high is None:
            return 0
        # At most one of the two holds, and True counts as 1.
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """One measure over one group of queries; B minus A is paired by query."""

    group: str
    queries: int
    measure: str
    a: Estimate
    b: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a duration."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Latency:
    """One query at a time: the model's part, the search's, and both.

    `totals` are the single measurements.
    """

    embed: Percentiles
    search: Percentiles
    total: Percentiles
    totals: Sequence[float] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The percentiles, and how many measurements they are of."""
        return {
            "measurements": len(self.totals),
            "embed": asdict(self.embed),
            "search": asdict(self.search),
            "total": asdict(self.total),
        }


@dataclass(frozen=True, slots=True)
class Side:
    """A or B.

    Attributes:
        name: as it was asked for: a model, or `schema.table.column`.
        model: model id.
        dimensions: of a vector.
        load_seconds: to bring the weights into memory, libraries included.
        memory_start: resident bytes of its process before the model.
        memory_peak: most that it ever had, vectors of the corpus included where it
            keeps them.
        texts: texts that were embedded for `texts_per_second`.
        texts_per_second: documents, in batches, alternating with the other side.
        vectors: how many are searched.
        vector_bytes: what these take.
        index_bytes: what the vector index takes; None without one.
        latency: by the way of searching.
    """

    name: str
    model: str
    dimensions: int
    load_seconds: float
    memory_start: int | None
    memory_peak: int | None
    texts: int
    texts_per_second: float | None
    vectors: int
    vector_bytes: int
    index_bytes: int | None
    latency: Mapping[str, Latency]

    def to_json(self) -> dict[str, Any]:
        """By field name."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "latency"}
        latency: dict[str, Any] = {}
        for way, measured in self.latency.items():
            latency[way] = measured.to_json()
        return {**plain, "latency": latency}


@dataclass(frozen=True, slots=True)
class Differing:
    """A query on which the sides differ, and what each found first.

    `a` and `b` are nDCG@10; the ranks are those of the best relevant row, None if it
    was not among those looked at.
    """

    query: JudgedQuery
    a: float
    b: float
    a_rank: int | None
    b_rank: int | None
    a_first: str | None
    b_first: str | None

    def to_json(self) -> dict[str, Any]:
        """By name."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "query"}
        return {"line": self.query.line, "query": self.query.text, "kind": self.query.kind, **plain}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is reported.

    Attributes:
        a: first side.
        b: second side.
        queries: how many were judged and asked.
        left_out: marked `selected` in their file, so not asked.
        corpus: what was searched, in words.
        depth: most rows looked at for each query.
        seed: of the resampling.
        quality: lines by the way of searching: `exact`, and `index` where there is one.
        per_query: nDCG@10 of each query by exact search, for A and for B, in the order
            of the file.
        differing: the queries that differ most, by exact search.
        notes: what a reader has to know before believing the figures.
    """

    a: Side
    b: Side
    queries: int
    left_out: int
    corpus: str
    depth: int
    seed: int
    quality: Mapping[str, Sequence[MeasureLine]]
    per_query: tuple[Sequence[float], Sequence[float]]
    differing: Sequence[Differing]
    notes: Sequence[str] = ()

    @property
    def ways(self) -> list[str]:
        """How rows were searched; exact search first."""
        return list(self.quality)

    def line(self, group: str = ALL, measure: str = DECIDES, way: str = "exact") -> MeasureLine:
        """One line of the quality."""
        for line in self.quality[way]:
            if (line.group, line.measure) == (group, measure):
                return line
        raise LookupError(f"the quality has no line for {measure} of {group}")

    @property
    def verdict(self) -> str:
        """One sentence."""
        found = self.line().difference
        change = f"{DECIDES} {found.mean:+.3f}"
        # Without an interval a difference may be chance, however large it is.
        if found.low is None or found.high is None:
            return (
                f"no difference can be told from these {self.queries} queries: {change}, "
                "without an interval"
            )
        interval = f"{change} ({CONFIDENCE:.0%} interval {found.low:+.3f} to {found.high:+.3f})"
        if found.sign == 0:
            return f"no difference is shown by {self.queries} queries: from A to B {interval}"
        better, name = ("B", self.b.name) if found.sign > 0 else ("A", self.a.name)
        return f"{better} ({name}) finds more over {self.queries} queries: from A to B {interval}"

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        quality: dict[str, list[dict[str, Any]]] = {}
        for way, lines in self.quality.items():
            quality[way] = list(map(asdict, lines))
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "queries": self.queries,
            "left_out": self.left_out,
            "corpus": self.corpus,
            "depth": self.depth,
            "seed": self.seed,
            "confidence": CONFIDENCE,
            "quality": quality,
            "differing": [one.to_json() for one in self.differing],
            "notes": list(self.notes),
            "verdict": self.verdict,
        }
