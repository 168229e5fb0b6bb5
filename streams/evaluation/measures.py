"""Measures of retrieval (ir_measures) and bootstrap intervals over queries (scipy).

    recall@k   share of the relevant rows among the first k
    MRR        1 / rank of the first relevant row, 0 if it is not among the first 100
    nDCG@10    gain of the relevant rows among the first ten, less the lower they rank,
               as a share of the best possible gain

Hazard: the bootstrap draws queries. An interval says how other queries of the same kind
might come out, not other corpora.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.reports.comparison import CONFIDENCE, DECIDES, Estimate

DEPTH = 100
"""Ranks that count."""

_RESAMPLES = 9_999

Values = NDArray[np.float64]


def per_query(
    relevant: Sequence[Collection[str]], ranked: Sequence[Sequence[str]], k: int
) -> dict[str, Values]:
    """Measure each query.

    Args:
        relevant: for each of n queries the rows that answer it, at least one.
        ranked: for each query the rows found, best first, without repeats; may be empty.
        k: of recall@k, at most `DEPTH`.

    Returns:
        float64[n] by the name of the measure: `recall@k`, `MRR`, `nDCG@10`.
    """
    import ir_measures
    from ir_measures import RR, Measure, Qrel, R, ScoredDoc, nDCG

    measures: dict[Measure, str] = {R @ k: f"recall@{k}", RR @ DEPTH: "MRR", nDCG @ 10: DECIDES}
    judged: list[Qrel] = []
    for query, docs in enumerate(relevant):
        for doc in docs:
            judged.append(Qrel(str(query), doc, 1))
    # ir_measures orders by score and breaks ties by name, so ranks go in as scores.
    run: list[ScoredDoc] = []
    for query, docs in enumerate(ranked):
        for rank, doc in enumerate(docs):
            run.append(ScoredDoc(str(query), doc, -rank))
    values = {name: np.zeros(len(relevant)) for name in measures.values()}
    if run:
        for found in ir_measures.iter_calc(list(measures), judged, run):
            values[measures[found.measure]][int(found.query_id)] = found.value
    return values


def estimate(values: Values, seed: int) -> Estimate:
    """Estimate the mean with an interval.

    Args:
        values: float64[n], one per query.
        seed: of the resampling.

    Returns:
        the mean, and its interval unless all values are equal.
    """
    from scipy.stats import bootstrap

    mean = float(values.mean())
    # If all values are equal, all resampled means are too: that says nothing about other
    # queries, so there is no interval.
    if len(values) < 2 or np.ptp(values) == 0:
        return Estimate(mean, None, None)
    # Bias-corrected and accelerated (BCa), which keeps the interval within the range of
    # the values. In batches, since all resamples together may not fit into memory.
    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(seed),
        batch=1_000,
    ).confidence_interval
    return Estimate(mean, float(found.low), float(found.high))


def differences(a: Mapping[str, Values], b: Mapping[str, Values]) -> dict[str, Values]:
    """Return B minus A by measure: float64[n], query by query."""
    return {name: b[name] - a[name] for name in a}
