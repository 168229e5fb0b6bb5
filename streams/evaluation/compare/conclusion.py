"""The figures of a comparison, from the answers of both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.reports.comparison import (
    ALL,
    DECIDES,
    Comparison,
    Differing,
    JudgedQuery,
    MeasureLine,
    Side,
)
from schemas.rows.table import Key
from streams.evaluation import measures
from streams.evaluation.compare.compare import Answers
from streams.evaluation.judged import Judged
from streams.evaluation.measures import Values

SHOWN = 10
"""Queries shown that differ most."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a comparison.

    Attributes:
        k: of recall@k, at most `measures.DEPTH`.
        seed: of the resampling.
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
    """Measure the answers, with intervals.

    Args:
        judged: the queries.
        sides: A and B, with their costs.
        answers: of A and of B.
        options: k and the seed.
        corpus: what was searched, in words.
        notes: sentences that a reader of the figures has to know.
    """
    quality, deciding = _by_way(judged, answers, options)
    # Exact search comes first, and decides.
    first = next(iter(deciding))
    of_a, of_b = deciding[first]
    return Comparison(
        a=sides[0],
        b=sides[1],
        queries=len(judged.queries),
        left_out=judged.left_out,
        corpus=corpus,
        depth=measures.DEPTH,
        seed=options.seed,
        quality=quality,
        per_query=(of_a.tolist(), of_b.tolist()),
        differing=_differing(judged.queries, answers, first, of_a, of_b),
        notes=notes,
    )


def _by_way(
    judged: Judged, answers: tuple[Answers, Answers], options: Options
) -> tuple[dict[str, list[MeasureLine]], dict[str, tuple[Values, Values]]]:
    """Return the lines of each way of searching, and what decides in it, query by query."""
    quality: dict[str, list[MeasureLine]] = {}
    deciding: dict[str, tuple[Values, Values]] = {}
    for way in answers[0].found:
        # Only what both sides can do is compared.
        if way not in answers[1].found:
            continue
        a = _measure(judged, answers[0], way, options.k)
        b = _measure(judged, answers[1], way, options.k)
        quality[way] = _lines(judged.queries, a, b, options.seed)
        deciding[way] = a[DECIDES], b[DECIDES]
    return quality, deciding


def _measure(judged: Judged, answers: Answers, way: str, k: int) -> dict[str, Values]:
    relevant: list[list[str]] = []
    ranked: list[list[str]] = []
    for query, found in zip(judged.queries, answers.found[way], strict=True):
        relevant.append([_name(key) for key in query.relevant])
        ranked.append([_name(key) for key, _ in found])
    return measures.per_query(relevant, ranked, k)


def _lines(
    queries: Sequence[JudgedQuery], a: Mapping[str, Values], b: Mapping[str, Values], seed: int
) -> list[MeasureLine]:
    """Return lines for all queries, then for each kind in the order of the file."""
    # Paired by query: how hard the queries are does not widen the interval.
    paired = measures.differences(a, b)
    lines: list[MeasureLine] = []
    for group, indexes in _groups(queries).items():
        for measure in a:
            line = MeasureLine(
                group=group,
                queries=len(indexes),
                measure=measure,
                a=measures.estimate(a[measure][indexes], seed),
                b=measures.estimate(b[measure][indexes], seed),
                difference=measures.estimate(paired[measure][indexes], seed),
            )
            lines.append(line)
    return lines


def _groups(queries: Sequence[JudgedQuery]) -> dict[str, list[int]]:
    """Return the indexes of all queries, and those of each kind if there are several."""
    kinds: dict[str, list[int]] = {}
    for index, query in enumerate(queries):
        if query.kind:
            kinds.setdefault(query.kind, []).append(index)
    everything = {ALL: list(range(len(queries)))}
    # One kind alone would repeat the line of all queries.
    return {**everything, **kinds} if len(kinds) > 1 else everything


def _differing(
    queries: Sequence[JudgedQuery], answers: tuple[Answers, Answers], way: str, a: Values, b: Values
) -> list[Differing]:
    """Return the queries that differ most."""
    found_by_a, found_by_b = answers[0].found[way], answers[1].found[way]
    different: list[Differing] = []
    for at, query in enumerate(queries):
        one = Differing(
            query=query,
            a=float(a[at]),
            b=float(b[at]),
            a_rank=_rank(found_by_a[at], query),
            b_rank=_rank(found_by_b[at], query),
            a_first=_first_text(found_by_a[at]),
            b_first=_first_text(found_by_b[at]),
        )
        if _distance(one) > (0, 0):
            different.append(one)
    different.sort(key=_distance, reverse=True)
    return different[:SHOWN]


def _distance(one: Differing) -> tuple[float, float]:
    # By nDCG@10; equal ones by the reciprocal rank of the first relevant row.
    ranks = _reciprocal(one.b_rank) - _reciprocal(one.a_rank)
    return abs(one.b - one.a), abs(ranks)


def _rank(rows: Sequence[tuple[Key, str]], query: JudgedQuery) -> int | None:
    for rank, (key, _) in enumerate(rows, 1):
        if key in query.relevant:
            return rank
    return None


def _first_text(rows: Sequence[tuple[Key, str]]) -> str | None:
    return rows[0][1] if rows else None


def _reciprocal(rank: int | None) -> float:
    return 1 / rank if rank else 0.0


def _name(key: Key) -> str:
    """Return a key as one string that no other key has."""
    return key[0] if len(key) == 1 else repr(key)
