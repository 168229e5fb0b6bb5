"""Plots of a comparison, as SVG.

Letters are drawn as shapes, so that a plot looks the same everywhere and loads no font.

Hazard: matplotlib's fonts have no Hangul, so a plot must not show the text of a query.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.reports.comparison import ALL, DECIDES, Comparison, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colors that color-blind readers can tell apart; the markers differ too.
_A, _B = "#b35806", "#2166ac"
_NONE = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_WIDTH = 7.2  # inches


def draw(found: Comparison) -> dict[str, str]:
    """Draw every plot: SVG by title."""
    return {
        "Quality over all queries, exact search": _svg(found, _quality, 2.6),
        f"{DECIDES}: B - A, by kind of query, exact search": _svg(
            found, _by_group, 1.2 + 0.35 * _groups(found)
        ),
        f"{DECIDES}: B - A, query by query, exact search": _svg(found, _by_query, 2.6),
        "Time of one query": _svg(found, _latency, 2.8),
    }


def _svg(found: Comparison, plot: "Callable[[Comparison, Axes], None]", height: float) -> str:
    # Not pyplot: it wants a display, and keeps figures between calls.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # With a salt the ids in the file depend on the content only.
    with mpl.rc_context({"svg.hashsalt": str(height), "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        plot(found, axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_NONE)
    text = written.getvalue()
    # Without the XML declaration, whose DTD is an address that a page must not load.
    return text[text.index("<svg") :]


def _quality(found: Comparison, axes: "Axes") -> None:
    lines = [line for line in found.quality[found.ways[0]] if line.group == ALL]
    _quality_of(axes, "A", [line.a for line in lines], _A, "s", -0.12)
    _quality_of(axes, "B", [line.b for line in lines], _B, "o", 0.12)
    axes.set_yticks(range(len(lines)), [line.measure for line in lines])
    # From the larger to the smaller: the first line is at the top.
    axes.set_ylim(len(lines) - 0.5, -0.6)
    axes.set_xlim(0, 1.02)
    axes.legend(loc="upper left", frameon=False, ncols=2)


def _quality_of(
    axes: "Axes",
    name: str,
    estimates: Sequence[Estimate],
    colour: str,
    marker: str,
    shift: float,
) -> None:
    axes.plot([], [], marker, color=colour, label=name)
    for line, estimate in enumerate(estimates):
        _point(axes, estimate, line + shift, colour, marker)
        axes.annotate(
            f"{estimate.mean:.3f}",
            (estimate.mean, line + shift),
            (0, 5),
            textcoords="offset points",
            ha="center",
            color=colour,
        )


def _by_group(found: Comparison, axes: "Axes") -> None:
    lines = [line for line in found.quality[found.ways[0]] if line.measure == DECIDES]
    axes.axvline(0, color="black", linewidth=0.8)
    for place, line in enumerate(lines):
        _point(axes, line.difference, place, _B, "o")
    names = [f"{line.group} ({line.queries})" for line in lines]
    # A kind may hold a $, which would begin a formula.
    axes.set_yticks(range(len(lines)), names, parse_math=False)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel(f"{DECIDES} of B minus that of A: right of 0, B is better")


def _by_query(found: Comparison, axes: "Axes") -> None:
    of_a, of_b = found.per_query
    changes = np.sort(np.array(of_b) - np.array(of_a))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.bar(
        range(len(changes)),
        changes,
        width=1.0,
        color=np.where(changes > 0, _B, _A),
    )
    axes.set_xlabel("queries, ordered by their difference")
    axes.set_ylim(-1.05, 1.05)
    better, worse = np.count_nonzero(changes > 0), np.count_nonzero(changes < 0)
    axes.set_title(
        f"A better: {worse}   equal: {len(changes) - better - worse}   B better: {better}",
        fontsize=9,
    )


def _latency(found: Comparison, axes: "Axes") -> None:
    styles = ["-", "--"]
    for side, name, colour in ((found.a, "A", _A), (found.b, "B", _B)):
        # There may be exact search only.
        for way, style in zip(found.ways, styles, strict=False):
            times = np.sort(side.latency[way].totals) * 1000
            share = np.arange(1, len(times) + 1) / len(times)
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


def _point(axes: "Axes", estimate: Estimate, place: float, colour: str, marker: str) -> None:
    """Draw a mean with its interval; a mean without one is a hollow marker."""
    fill = "white"
    if estimate.low is not None and estimate.high is not None:
        fill = colour
        axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=1.6)
    axes.plot(estimate.mean, place, marker, color=colour, markerfacecolor=fill)


def _groups(found: Comparison) -> int:
    return len({line.group for line in found.quality[found.ways[0]]})
