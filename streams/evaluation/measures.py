"""Measures of retrieval, by ir_measures, and bootstrap intervals over queries, by
scipy.

    recall@k   share of the relevant rows among the first k
    MRR        1 / rank of the first relevant row, 0 when it is not among the first 100
    nDCG@10    gain of relevant rows among the first ten, less the lower they stand, as a share of the best possible

Hazards: ir_measures orders by score and breaks ties by name, so ranks go in as scores.
Queries are what is drawn in the bootstrap: the interval says how other queries of the
same sort might come out, not other corpora.
"""

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from schemas.errors import VectrueError
from schemas.reports.comparison import CONFIDENCE, DECIDES, Estimate

DEPTH = 100
"""Ranks looked at."""

INSTALL = "install vectrue with its extra: `pip install 'vectrue[report]'`"
_RESAMPLES = 9_999

Values = NDArray[np.float64]


def require(*packages: str, what: str = "the report") -> None:
    """Refuse to begin long work whose end needs a package of the extra `report` that is
    not there.

    Args:
        packages: by the names that they are imported by.
        what: needs them, for the error.

    Raises:
        VectrueError: with the command that installs it.
    """
    for name in packages:
        if find_spec(name) is None:
            raise VectrueError(
                f"{what} needs the package {name}, which is not installed", fix=INSTALL
            )


def per_query(
    relevant: Sequence[Collection[str]], ranked: Sequence[Sequence[str]], k: int
) -> dict[str, Values]:
    """Measure each query.

    Args:
        relevant: for each of n queries the rows that answer it, at least one.
        ranked: for each the rows found, best first, none twice; may be empty.
        k: of recall@k, at most `DEPTH`.

    Returns:
        float64[n] by the name of the measure: `recall@k`, `MRR`, `nDCG@10`.
    """
    import ir_measures
    from ir_measures import RR, Measure, Qrel, R, ScoredDoc, nDCG

    measures: dict[Measure, str] = {R @ k: f"recall@{k}", RR @ DEPTH: "MRR", nDCG @ 10: DECIDES}
    judged = [Qrel(str(query), doc, 1) for query, docs in enumerate(relevant) for doc in docs]
    run = [
        ScoredDoc(str(query), doc, -rank)
        for query, docs in enumerate(ranked)
        for rank, doc in enumerate(docs)
    ]
    values = {name: np.zeros(len(relevant)) for name in measures.values()}
    for found in ir_measures.iter_calc(list(measures), judged, run) if run else ():
        values[measures[found.measure]][int(found.query_id)] = found.value
    return values


def estimate(values: Values, seed: int) -> Estimate:
    """The mean with its interval: bias-corrected and accelerated bootstrap, which keeps
    to the range of the values.

    Args:
        values: float64[n], one per query.
        seed: of the resampling.
    """
    from scipy.stats import bootstrap

    mean = float(values.mean())
    # Without any spread the resampled means are all the same: that is no certainty, so
    # it is no interval.
    if len(values) < 2 or np.ptp(values) == 0:
        return Estimate(mean, None, None)
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
    """B minus A by measure, query by query."""
    return {name: b[name] - a[name] for name in a}
