"""A comparison as one HTML file that loads nothing: plots and style are included.

Hazard: a page may also be read on a terminal, so control characters in queries and texts
are escaped (schemas/printable.py).
"""

import base64
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from schemas import extras
from schemas.errors import VectrueError
from schemas.printable import visible
from schemas.reports.comparison import Comparison, MeasureLine
from schemas.settings.paths import is_directory
from streams.evaluation.compare import plots, words

TEMPLATE = Path(__file__).with_name("report.html.j2")


def require(file: Path) -> None:
    """Check before the comparison that its report can be made and stored.

    Args:
        file: where it is to be stored.

    Raises:
        MissingExtra: a package of the extra `report` is not installed.
        VectrueError: the folder of the file does not exist.
    """
    for package in ("matplotlib", "jinja2"):
        extras.require(package, what="the report")
    if not is_directory(file.parent):
        raise VectrueError(f"there is no folder {file.parent} for the report", fix="correct --html")


def write(found: Comparison, file: Path) -> None:
    """Render the page and store it.

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
    """Render the page as HTML."""
    import jinja2

    # Queries and texts are shown, so all that is put in is escaped.
    page = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_written,
    )
    images: dict[str, str] = {}
    for title, svg in plots.draw(found).items():
        # Images, since the ids inside several SVGs of one page would collide.
        encoded = base64.b64encode(svg.encode()).decode()
        images[title] = f"data:image/svg+xml;base64,{encoded}"
    quality = {way: _by_group(found.quality[way]) for way in found.ways}
    return page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        found=found,
        plots=images,
        quality=quality,
        words=words,
        rows=list(words.system_rows(found)),
    )


def _by_group(lines: Sequence[MeasureLine]) -> list[tuple[str, list[MeasureLine]]]:
    found: list[tuple[str, list[MeasureLine]]] = []
    # The lines of a group stand together, as `groupby` needs them.
    for group, of_group in groupby(lines, key=lambda line: line.group):
        found.append((group, list(of_group)))
    return found


def _written(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value
