"""A plot of a calibration: similarities by grade, and the thresholds with intervals.

Hazard: the plot is in English, since the fonts that matplotlib brings have no Korean.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schemas import extras
from schemas.errors import VectrueError
from schemas.reports.score import GRADES
from schemas.settings.paths import is_directory
from streams.evaluation.calibrate import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("tab:red", "tab:orange", "tab:green")


def check(file: Path) -> None:
    """Check before the model is loaded that the plot can be written.

    Args:
        file: where the plot is to be written; its ending says in which format.

    Raises:
        MissingExtra: matplotlib is not installed.
        VectrueError: the folder does not exist, or the ending is not that of an image
            format.
    """
    with extras.needed("--plot"):
        from matplotlib.figure import Figure
    endings = Figure().canvas.get_supported_filetypes()
    if file.suffix.lstrip(".").lower() not in endings:
        raise VectrueError(
            f"--plot cannot write {file.name}", fix=f"end it in .{', .'.join(sorted(endings))}"
        )
    if not is_directory(file.parent):
        raise VectrueError(
            f"there is no folder {file.parent} for --plot",
            fix="create it, or choose another folder",
        )


def write(calibration: Calibration, file: Path) -> None:
    """Draw the calibration and write it to a file that `check` accepted.

    Raises:
        VectrueError: the file cannot be written.
    """
    # Not pyplot: it wants a display, and keeps figures between calls.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    _draw_similarities(axes, calibration)
    _draw_thresholds(axes, calibration)
    axes.set(xlabel="cosine similarity of answer and reference", ylabel="pairs")
    # A model's name may hold a $, which would begin a formula.
    axes.set_title(calibration.model, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3)
    try:
        figure.savefig(file)
    except OSError as error:
        raise VectrueError(
            f"the plot {file} cannot be written ({error})", fix="correct --plot"
        ) from error


def _draw_similarities(axes: "Axes", calibration: Calibration) -> None:
    values = calibration.similarities
    # One set of bins, so that the heights of the grades can be compared.
    bins = np.linspace(values.min(), values.max(), 24).tolist()
    for label, (grade, colour) in enumerate(zip(GRADES, _COLOURS, strict=True)):
        chosen = values[calibration.labels == label]
        axes.hist(
            chosen, bins=bins, alpha=0.5, color=colour, label=f"graded {grade} ({len(chosen)})"
        )


def _draw_thresholds(axes: "Axes", calibration: Calibration) -> None:
    lines = (
        ("good", calibration.thresholds.good, calibration.good),
        ("excellent", calibration.thresholds.excellent, calibration.excellent),
    )
    for (name, threshold, interval), style in zip(lines, ("--", "-"), strict=True):
        axes.axvline(
            threshold, color="black", linestyle=style, label=f"{name} above {threshold:.4f}"
        )
        axes.axvspan(interval.low, interval.high, color="black", alpha=0.1)
