"""`vectrue compare`: judged queries asked of two sides in turn, and what came out.

    two models    the texts are embedded in one process per model, and searched exactly (compare_models.py)
    two columns   of a running migration, searched where they are, exactly and by their indexes (compare_columns.py)

Quality is of exact search: an index is another matter, and shown beside it where there
is one. The two sides take turns, query by query and batch by batch, and the one that
begins changes, so that a busy machine harms both alike.

Hazard: the first answers fill caches; each query is asked several times, and the ranks
of the first time are the ones that count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.reports.comparison import (
    ALL,
    DECIDES,
    Comparison,
    Differing,
    JudgedQuery,
    Latency,
    MeasureLine,
    Percentiles,
    Side,
)
from schemas.rows.table import Key
from streams.evaluation import measures
from streams.evaluation.judged import Judged
from streams.evaluation.measures import Values

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and how much there is."""

ROUNDS = 3
"""Times that each query is asked, for the latency; but for the first, only within
`_PATIENCE_SECONDS`.
"""

_PATIENCE_SECONDS = 30.0

SHOWN = 10
"""Queries shown that differ most."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """One answer: seconds to embed, and by the way of searching seconds and rows with
    their texts, best first.
    """

    embed_seconds: float
    search_seconds: Mapping[str, float]
    found: Mapping[str, Sequence[tuple[Key, str]]]


class Answering(Protocol):
    """A side while it is asked."""

    def ask(self, text: str, most: int) -> QueryAnswer:
        """Embed and search, in each of its ways, for at most so many rows."""
        ...


@dataclass(slots=True)
class Answers:
    """What one side answered: the first round's rows by way and query, and every
    measurement in seconds.
    """

    found: dict[str, list[Sequence[tuple[Key, str]]]] = field(default_factory=dict)
    embed: list[float] = field(default_factory=list)
    search: dict[str, list[float]] = field(default_factory=dict)

    def add(self, asked: QueryAnswer, *, first: bool) -> None:
        """Keep one answer."""
        self.embed.append(asked.embed_seconds)
        for way, seconds in asked.search_seconds.items():
            self.search.setdefault(way, []).append(seconds)
            if first:
                self.found.setdefault(way, []).append(asked.found[way])

    def latency(self) -> dict[str, Latency]:
        """By way."""
        made = {}
        for way, search in self.search.items():
            totals = [a + b for a, b in zip(self.embed, search, strict=True)]
            made[way] = Latency(
                _percentiles(self.embed), _percentiles(search), _percentiles(totals), totals
            )
        return made


def ask_both(
    sides: tuple[Answering, Answering], queries: Sequence[JudgedQuery], clock: Clock, tell: Progress
) -> tuple[Answers, Answers]:
    """Ask every query of both sides, several times where that does not take long."""
    answers = (Answers(), Answers())
    total = ROUNDS * len(queries)
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    for turn in range(total):
        round_, at = divmod(turn, len(queries))
        if round_ and clock.monotonic() > deadline:
            break
        for one in (0, 1) if turn % 2 == 0 else (1, 0):
            answers[one].add(sides[one].ask(queries[at].text, measures.DEPTH), first=round_ == 0)
        tell("asking", turn + 1, total)
    return answers


def require_rows(judged: Judged, missing: Sequence[Key], where: str) -> None:
    """Refuse judgements about rows that are not there: they would count against both
    sides.

    Raises:
        VectrueError: naming the first such id, its line and how many there are.
    """
    if not missing:
        return
    absent = set(missing)
    query = next(query for query in judged.queries if absent & set(query.relevant))
    key = next(key for key in query.relevant if key in absent)
    more = f", nor have {len(absent) - 1} more" if len(absent) > 1 else ""
    raise VectrueError(
        (
            f"line {query.line} of {judged.file} judges id {','.join(key)} as relevant, which has "
            f"no text in {where}{more}"
        ),
        fix="correct the file, or choose the corpus that it was judged on",
    )


def judged_keys(judged: Judged) -> list[Key]:
    """Every id that is judged, once."""
    return list(dict.fromkeys(key for query in judged.queries for key in query.relevant))


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for: k of recall@k, at most `measures.DEPTH`, and the seed of the
    resampling.
    """

    k: int
    seed: int


def conclude(
    judged: Judged,
    sides: tuple[Side, Side],
    answers: tuple[Answers, Answers],
    options: Options,
    corpus: str,
    notes: Sequence[str] = (),
) -> Comparison:
    """Measure what was found, with intervals.

    Args:
        judged: the queries.
        sides: A and B, measured.
        answers: theirs.
        options: as above.
        corpus: what was searched, in words.
        notes: what has to be known about it.
    """
    ways = [way for way in answers[0].found if way in answers[1].found]
    measured = {
        way: (
            _measure(judged, answers[0], way, options.k),
            _measure(judged, answers[1], way, options.k),
        )
        for way in ways
    }
    quality = {way: _lines(judged.queries, *pair, options.seed) for way, pair in measured.items()}
    a, b = (side[DECIDES] for side in measured[ways[0]])
    return Comparison(
        *sides,
        len(judged.queries),
        judged.left_out,
        corpus,
        measures.DEPTH,
        options.seed,
        quality,
        (a.tolist(), b.tolist()),
        _differing(judged.queries, answers, ways[0], a, b),
        notes,
    )


def _measure(judged: Judged, answers: Answers, way: str, k: int) -> dict[str, Values]:
    relevant = [[_name(key) for key in query.relevant] for query in judged.queries]
    ranked = [[_name(key) for key, _ in found] for found in answers.found[way]]
    return measures.per_query(relevant, ranked, k)


def _lines(
    queries: Sequence[JudgedQuery], a: Mapping[str, Values], b: Mapping[str, Values], seed: int
) -> list[MeasureLine]:
    """All queries first, then each kind that has a name, in the order in which the file
    has them.
    """
    groups = {ALL: np.ones(len(queries), bool)}
    kinds = dict.fromkeys(query.kind for query in queries if query.kind)
    if len(kinds) > 1:
        groups |= {kind: np.array([query.kind == kind for query in queries]) for kind in kinds}
    paired = measures.differences(a, b)
    return [
        MeasureLine(
            group,
            int(of.sum()),
            name,
            *(measures.estimate(values[name][of], seed) for values in (a, b, paired)),
        )
        for group, of in groups.items()
        for name in a
    ]


def _differing(
    queries: Sequence[JudgedQuery], answers: tuple[Answers, Answers], way: str, a: Values, b: Values
) -> list[Differing]:
    """The queries with the largest difference of nDCG@10, then of the first relevant
    row's reciprocal rank.
    """
    made = []
    for at, query in enumerate(queries):
        found = [answers[one].found[way][at] for one in (0, 1)]
        a_rank, b_rank = (_rank(rows, query) for rows in found)
        a_first, b_first = (rows[0][1] if rows else None for rows in found)
        made.append(Differing(query, float(a[at]), float(b[at]), a_rank, b_rank, a_first, b_first))

    def how_much(one: Differing) -> tuple[float, float]:
        return abs(one.b - one.a), abs(_reciprocal(one.b_rank) - _reciprocal(one.a_rank))

    ordered = sorted(made, key=how_much, reverse=True)
    return [one for one in ordered if how_much(one) > (0, 0)][:SHOWN]


def _rank(rows: Sequence[tuple[Key, str]], query: JudgedQuery) -> int | None:
    return next((place for place, (key, _) in enumerate(rows, 1) if key in query.relevant), None)


def _reciprocal(rank: int | None) -> float:
    return 1 / rank if rank else 0.0


def _name(key: Key) -> str:
    """One word for a key: no two keys have the same."""
    return key[0] if len(key) == 1 else repr(key)


def _percentiles(seconds: Sequence[float]) -> Percentiles:
    p50, p95 = np.percentile(seconds, [50, 95])
    return Percentiles(float(p50), float(p95))
