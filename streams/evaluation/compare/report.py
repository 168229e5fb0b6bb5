"""The comparison as one HTML file that needs nothing else: plots and style are inside,
no address is called.

What comes from outside is written out (schemas/printable.py): a page is also read on a
terminal. Plots are images with their data in the page, since ids within several SVGs of
one page would mix.
"""

import base64
from itertools import groupby
from pathlib import Path
from typing import Any

from schemas.errors import VectrueError
from schemas.printable import visible
from schemas.reports.comparison import Comparison
from schemas.settings.paths import is_directory
from streams.evaluation import measures
from streams.evaluation.compare import plots as compare_plots
from streams.evaluation.compare import words as compare_words

TEMPLATE = Path(__file__).with_name("report.html.j2")


def require(file: Path) -> None:
    """Refuse a comparison whose report could not be made or stored, before it begins.

    Raises:
        VectrueError: a package of the extra `report` is missing, or the folder of the
            file.
    """
    measures.require("matplotlib", "jinja2")
    if not is_directory(file.parent):
        raise VectrueError(f"there is no folder {file.parent} for the report", fix="correct --html")


def write(found: Comparison, file: Path) -> None:
    """Make the page and store it.

    Raises:
        VectrueError: the file cannot be written.
    """
    try:
        file.write_text(render(found), encoding="utf-8")
    except OSError as error:
        raise VectrueError(
            f"{file} cannot be written ({error.strerror})", fix="correct --html"
        ) from error


def render(found: Comparison) -> str:
    """The page."""
    import jinja2

    page = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_written,
    )
    plots = {
        title: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        for title, svg in compare_plots.draw(found).items()
    }
    quality = {
        way: [
            (group, list(lines))
            for group, lines in groupby(found.quality[way], key=lambda line: line.group)
        ]
        for way in found.ways
    }
    return page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        found=found,
        plots=plots,
        quality=quality,
        words=compare_words,
        rows=list(compare_words.system_rows(found)),
    )


def _written(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value
