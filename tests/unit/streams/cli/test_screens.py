"""What the commands print fits the screen, and nothing of it is lost: no name is cut,
no two headings become alike.
"""

import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, split_graphemes
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from schemas.health.lag import GroupLag
from schemas.printable import one_line
from streams.cli.screen import lag_page, output
from streams.cli.screen.folding import fold
from streams.cli.screen.tables import Grid
from tests.support.lag import report
from tests.support.root import ROOT
from tests.support.screens.drawing import WIDTHS, document, drawn, screen
from tests.support.screens.names import LONG, NAMES
from tests.support.screens.pages import FOLDER, PAGES
from tests.support.terminal import shown

KOREAN = ["한글", unicodedata.normalize("NFD", "질문"), "漢字"]
WIDE = [
    *KOREAN,
    "👩\u200d💻",
    "é",
    "e\u0301",
    "🇰🇷",
    "☎\ufe0f",
    "a_b",
    "public.",
    "-",
    " ",
    "\u200b",
]
NAME = st.lists(
    st.sampled_from(WIDE) | st.characters(categories=("L", "N", "M", "S")), max_size=30
).map("".join)
CELL = NAME | st.integers(0, 10**9).map("{:,}".format) | st.sampled_from(["", "-", "0", "12.3 s"])
WIDTH = st.integers(40, 200)
HEADINGS = ("TABLE", "STALE-TEXT", "STALE-MODEL", "QUARANTINED", "RANK IN A", "RANK IN B")
ROWS = st.lists(st.tuples(*[CELL] * len(HEADINGS)), min_size=1, max_size=4)


def letters(text: str) -> Counter[str]:
    """How often each character is there, but for spaces, which lay out a table."""
    return Counter(text) - Counter({" ": len(text), "\n": len(text)})


def printed(grid: Grid, width: int | None) -> str:
    with drawn(width) as written:
        output.out.print(grid)
    return written.getvalue()


def filled(rows: list[tuple[str, ...]], **options: object) -> Grid:
    grid = Grid(*HEADINGS, **options)  # type: ignore[arg-type]  # of several types
    for row in rows:
        grid.add_row(*row)
    return grid


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(name: str) -> None:
    """At 80 and 120 columns, with -o wide, and into a pipe; `python -m
    tests.support.screens` draws them anew.
    """
    assert document(PAGES[name]) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [*WIDTHS, 60, 100, None])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_cuts_no_name(name: str, width: int | None) -> None:
    """No ellipsis at any width, and a long Korean name whole: in one line of a pipe, in
    pieces on a terminal.
    """
    written = screen(PAGES[name], width)
    assert "…" not in written
    if width is None and LONG in written:
        assert not any(line.endswith(" ") for line in written.splitlines())
    if LONG in screen(PAGES[name], None):
        assert not letters(LONG) - letters(written)


@settings(max_examples=300)
@given(NAME, st.integers(2, 60))
def test_a_fold_loses_nothing(text: str, width: int) -> None:
    """The pieces make the text again, none is wider than the column but for a space, no
    character is parted from its marks and joiners.
    """
    pieces = fold(text, width)
    assert "".join(pieces) == text
    assert all(cell_len(piece.rstrip()) <= width for piece in pieces)
    ends = {end for _, end, _ in split_graphemes(text)[0]} | {0}
    done = 0
    for piece in pieces:
        assert done in ends
        done += len(piece)


def test_a_fold_is_where_a_name_has_parts() -> None:
    """After a space, else after a sign, else between characters."""
    assert fold("the value is not JSON", 12) == ["the value is ", "not JSON"]
    assert fold("public.questions_of_all", 12) == ["public.", "questions_", "of_all"]
    assert fold("한국어자료", 4) == ["한국", "어자", "료"]
    assert fold("0.512 [0.441 0.580]", 14) == ["0.512 ", "[0.441 0.580]"]
    assert fold("", 5) == [""]


@settings(max_examples=300, deadline=None)
@given(ROWS, WIDTH)
def test_a_table_loses_nothing_at_any_width(rows: list[tuple[str, ...]], width: int) -> None:
    """Every character of every cell is there, no line is wider than the screen, nothing
    ends in an ellipsis.
    """
    written = printed(filled(rows), width)
    assert all(cell_len(line) <= width for line in written.splitlines())
    wanted = letters("".join(one_line(cell) for row in rows for cell in row if cell != "-"))
    assert not wanted - letters(written)
    assert "…" in wanted or "…" not in written


@settings(max_examples=100, deadline=None)
@given(ROWS, WIDTH)
def test_what_is_left_out_is_named(rows: list[tuple[str, ...]], width: int) -> None:
    """A heading is on the screen, or named below it, unless none of its cells says
    anything.
    """
    written = printed(filled(rows, zeros=HEADINGS[1:3], last=HEADINGS[4:]), width)
    said = [
        heading
        for i, heading in enumerate(HEADINGS)
        if any(row[i] not in ("", "-") for row in rows)
    ]
    for heading in said:
        assert all(part in written for part in re.split("[- ]", heading)), heading


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_a_pipe_gets_a_line_for_each_row(rows: list[tuple[str, ...]]) -> None:
    """However long, and with every name as it is."""
    lines = printed(filled(rows), None).split("\n")
    assert len(lines) == len(rows) + 2
    for line, row in zip(lines[1:], rows, strict=False):
        assert all(one_line(cell).strip() in line for cell in row if cell not in ("", "-"))


def test_columns_without_a_value_are_left_out_and_zeros_where_the_width_is_scarce() -> None:
    """A lag that is unknown stays; a count of 0 is left out by name; `-o wide` shows
    everything, row by row.
    """

    def grid(**options: object) -> Grid:
        made = Grid("TABLE", "LAG", "HOST", "STALE-TEXT", "MODEL", **options)  # type: ignore[arg-type]
        made.add_row("public." + "q" * 20, "-", "-", "0", "m" * 20)
        return made

    options: dict[str, object] = {"keep": ("LAG",), "zeros": ("STALE-TEXT",), "last": ("MODEL",)}
    assert printed(grid(**options), 80).split("\n")[0].split() == [
        "TABLE",
        "LAG",
        "STALE-TEXT",
        "MODEL",
    ]
    narrow = printed(grid(**options), 40).split("\n")
    assert narrow[0].split() == ["TABLE", "LAG"]
    assert narrow[2:4] == ["0 in every row: STALE-TEXT", "with -o wide: MODEL"]
    blocks = printed(grid(**options, wide=True), 40)
    assert [line.split()[0] for line in blocks.splitlines()] == [
        "TABLE",
        "LAG",
        "STALE-TEXT",
        "MODEL",
    ]


@pytest.mark.parametrize("width", [80, None])
def test_a_table_without_rows_is_not_printed(width: int | None) -> None:
    """Neither its headings nor an empty line: `lag` has no partition to show while
    Kafka does not answer.
    """
    nobody = GroupLag("vectrue-live")
    assert printed(filled([], keep=HEADINGS), width) == ""
    with drawn(width) as written:
        for part in lag_page.page(
            report(live=nobody, replay=nobody, kafka_error="no broker answers"), wide=False
        ):
            output.out.print(part)
    assert "PARTITION" not in written.getvalue()
    assert not written.getvalue().endswith("\n\n")


@pytest.mark.parametrize("width", [60, 80])
def test_a_bar_has_the_whole_name(width: int) -> None:
    """Names and figures of a bar are folded as well."""
    name = ".".join(NAMES)
    bars = Progress(
        output.label(), BarColumn(bar_width=24), MofNCompleteColumn(), console=output.err
    )
    bars.add_task(name, total=1_000_000, completed=431_204)
    with drawn(width) as written:
        output.out.print(bars.get_renderable())
    assert "…" not in written.getvalue()
    assert not letters(name) - letters(written.getvalue())
    assert all(cell_len(line) <= width for line in written.getvalue().splitlines())


def test_on_a_terminal_and_in_a_pipe(tmp_path: Path) -> None:
    """The width is that of the terminal that is there; a pipe has none, whatever
    COLUMNS says.
    """
    where = f"{LONG} = '{'가나다라마바사아자차카타파하' * 10}'"
    (tmp_path / "vectrue.toml").write_text(f'[score]\nwhere = "{where}"\n', encoding="utf-8")
    code, written = shown(["config", "show"], columns=80, folder=tmp_path)
    assert code == 0, written
    assert all(cell_len(line) <= 80 for line in written.splitlines()), written
    assert not letters(where) - letters(written)
    assert "…" not in written
    environment = {**os.environ, "COLUMNS": "40", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "streams.cli.main", "config", "show"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert any(
        line.startswith("score.where") and where in line for line in done.stdout.splitlines()
    )
