"""Plots of a comparison, as SVG whose letters are shapes, so that it looks the same
everywhere and loads nothing.

Hazard: matplotlib's fonts have no Hangul; queries are named by their line in the file.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from schemas.reports.comparison import ALL, DECIDES, Comparison, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_A, _B = "#b35806", "#2166ac"  # told apart by everybody, and by their markers
_NONE = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_WIDTH = 7.2  # inches


def draw(found: Comparison) -> dict[str, str]:
    """Every plot: its title and the SVG."""
    return {
        "Quality over all queries, exact search": _svg(found, _quality, 2.6),
        f"{DECIDES}: B - A, by kind of query, exact search": _svg(
            found, _by_group, 1.2 + 0.35 * _groups(found)
        ),
        f"{DECIDES}: B - A, query by query, exact search": _svg(found, _by_query, 2.6),
        "Time of one query": _svg(found, _latency, 2.8),
    }


def _svg(found: Comparison, plot: "Callable[[Comparison, Axes], None]", height: float) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The salt makes ids of content: equal figures, equal files.
    with mpl.rc_context({"svg.hashsalt": str(height), "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        plot(found, axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_NONE)
    text = written.getvalue()
    # without the declaration, whose DTD is an address
    return text[text.index("<svg") :]


def _quality(found: Comparison, axes: "Axes") -> None:
    lines = [line for line in found.quality[found.ways[0]] if line.group == ALL]
    for estimates, name, colour, marker, shift in (
        ([line.a for line in lines], "A", _A, "s", -0.12),
        ([line.b for line in lines], "B", _B, "o", 0.12),
    ):
        places = [place + shift for place in range(len(lines))]
        _points(axes, estimates, places, colour, marker, name)
        for place, estimate in zip(places, estimates, strict=True):
            axes.annotate(
                f"{estimate.mean:.3f}",
                (estimate.mean, place),
                (0, 5),
                textcoords="offset points",
                ha="center",
                color=colour,
            )
    axes.set_yticks(range(len(lines)), [line.measure for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.6)
    axes.set_xlim(0, 1.02)
    axes.legend(loc="upper left", frameon=False, ncols=2)


def _by_group(found: Comparison, axes: "Axes") -> None:
    lines = [line for line in found.quality[found.ways[0]] if line.measure == DECIDES]
    axes.axvline(0, color="black", linewidth=0.8)
    _points(axes, [line.difference for line in lines], list(range(len(lines))), _B, "o", None)
    axes.set_yticks(
        range(len(lines)), [f"{line.group} ({line.queries})" for line in lines], parse_math=False
    )
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel(f"{DECIDES} of B minus that of A: right of 0, B is better")


def _by_query(found: Comparison, axes: "Axes") -> None:
    changes = sorted(b - a for a, b in zip(*found.per_query, strict=True))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.bar(
        range(len(changes)),
        changes,
        width=1.0,
        color=[_B if change > 0 else _A for change in changes],
    )
    axes.set_xlabel("queries, ordered by their difference")
    axes.set_ylim(-1.05, 1.05)
    better, worse = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    axes.set_title(
        f"A better: {worse}   equal: {len(changes) - better - worse}   B better: {better}",
        fontsize=9,
    )


def _latency(found: Comparison, axes: "Axes") -> None:
    styles = ["-", "--"]
    for side, name, colour in ((found.a, "A", _A), (found.b, "B", _B)):
        for way, style in zip(found.ways, styles, strict=False):
            times = sorted(seconds * 1000 for seconds in side.latency[way].totals)
            share = [(place + 1) / len(times) for place in range(len(times))]
            axes.plot(
                times, share, style, color=colour, label=f"{name}, {way}", drawstyle="steps-post"
            )
    for level in (0.5, 0.95):
        axes.axhline(level, color="#999999", linewidth=0.6)
        axes.annotate(
            f"p{level:.0%}".rstrip("%"),
            (1.0, level),
            xycoords=("axes fraction", "data"),
            color="#666666",
        )
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds, embedding and search")
    axes.set_ylabel("share of queries")
    axes.legend(loc="lower right", frameon=False)


def _points(
    axes: "Axes",
    estimates: Sequence[Estimate],
    places: Sequence[float],
    colour: str,
    marker: str,
    name: str | None,
) -> None:
    """Means with their intervals, lying; a mean without an interval is a hollow marker."""
    for place, estimate in zip(places, estimates, strict=True):
        known = estimate.low is not None and estimate.high is not None
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=1.6)
        axes.plot(
            estimate.mean, place, marker, color=colour, markerfacecolor=colour if known else "white"
        )
    if name is not None:
        axes.plot([], [], marker, color=colour, label=name)


def _groups(found: Comparison) -> int:
    return len({line.group for line in found.quality[found.ways[0]]})
