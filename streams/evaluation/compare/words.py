"""The figures of a comparison as words, the same in the terminal and in the page."""

from collections.abc import Callable, Iterator

from schemas.reports.comparison import CONFIDENCE, Comparison, Estimate, Percentiles, Side
from schemas.sizes import show_size

METHOD = (
    f"Figures are means over queries with {CONFIDENCE:.0%} bootstrap intervals; B - A is paired "
    "by query. An interval that leaves out 0 shows a difference; of twenty lines one does so by "
    "chance, so the line of all queries decides."
)


def system_rows(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """Yield what each side costs: the name of a figure, A's and B's."""

    def row(name: str, figure: Callable[[Side], str]) -> tuple[str, str, str]:
        return name, figure(found.a), figure(found.b)

    yield row("model", lambda side: side.model)
    yield row("dimensions", lambda side: f"{side.dimensions:,}")
    yield row("loading", lambda side: f"{side.load_seconds:.1f} s")
    yield row("memory, at most", lambda side: size(side.memory_peak))
    yield row("memory, before the model", lambda side: size(side.memory_start))
    yield row("texts embedded per second", _rate)
    yield row("vectors", lambda side: f"{side.vectors:,} ({size(side.vector_bytes)})")
    if found.a.index_bytes is not None or found.b.index_bytes is not None:
        yield row("vector index", lambda side: size(side.index_bytes))
    yield row("queries timed", lambda side: f"{len(side.latency[found.ways[0]].totals):,}")
    yield row(
        "query: embed, p50 / p95", lambda side: _milliseconds(side.latency[found.ways[0]].embed)
    )
    for way in found.ways:
        a, b = found.a.latency[way], found.b.latency[way]
        yield f"query: search, {way}, p50 / p95", _milliseconds(a.search), _milliseconds(b.search)
        yield f"query: total, {way}, p50 / p95", _milliseconds(a.total), _milliseconds(b.total)


def estimate(value: Estimate, *, signed: bool = False) -> str:
    """Format an estimate: `0.512 [0.441 0.580]`, or `0.512 [-]` without an interval."""
    form = "+.3f" if signed else ".3f"
    if value.low is None or value.high is None:
        return f"{value.mean:{form}} [-]"
    return f"{value.mean:{form}} [{value.low:{form}} {value.high:{form}}]"


def rank(value: int | None, depth: int) -> str:
    """Format a rank, or `> depth` if the row is not among the first `depth`."""
    return f"> {depth}" if value is None else str(value)


def size(value: int | None) -> str:
    """Format bytes: `91.2 MB`; `-` if unknown."""
    return "-" if value is None else show_size(value)


def _rate(side: Side) -> str:
    if side.texts_per_second is None:
        return "-"
    return f"{side.texts_per_second:,.1f} (of {side.texts:,})"


def _milliseconds(found: Percentiles) -> str:
    return f"{found.p50 * 1000:.2f} / {found.p95 * 1000:.2f} ms"
