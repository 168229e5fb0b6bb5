r"""Text from outside on a terminal: in whatever way it is printed or logged, it
commands nothing.

`HOSTILE` renames the window, fills the clipboard, moves the cursor, styles, turns the
direction, and begins a line and a link of its own.
"""

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from schemas import printable
from schemas.health.check_result import problem
from schemas.health.lag import ConnectorState, GroupLag
from schemas.messages.dead_letter import Entry, EntryState
from schemas.printable import json_text, one_line, visible
from schemas.reports.adoption import Candidates
from schemas.reports.audit_report import Deep, Truth, Untrue
from schemas.reports.audit_report import RowGroup as Rows
from schemas.reports.score import GradeThresholds, Score
from schemas.reports.search import Hit, SearchResult, Timings
from schemas.rows.table import TableName
from streams.cli import doctor
from streams.cli.data import adopt, verify
from streams.cli.models import score, search
from streams.cli.screen import confirmation, dlq_page, lag_page, output, replay_page
from streams.cli.screen.output import Screen
from streams.dead_letters.outcomes import Result
from streams.replay.outcome import RunOutcome
from tests.support.command import Vectrue
from tests.support.lag import report
from tests.support.root import ROOT
from tests.support.terminal import shown

OSC52 = "\x1b]52;c;cm0gLXJm\x07"
MARKS = "\r\x08\x7f\u202ecba\u2066\u2028b"
HOSTILE = f"a\x1b]0;OWNED\x1b\\{OSC52}\x9b2J\x1b[31m{MARKS}\nerror: c [link=http://d]e[/] \ud83d"
SHOWN = (
    "a\\x1b]0;OWNED\\x1b\\\\x1b]52;c;cm0gLXJm\\x07\\x9b2J\\x1b[31m"
    "\\x0d\\x08\\x7f\\u202ecba\\u2066\\u2028b"
)
LINE = SHOWN + "\\nerror: c [link=http://d]e[/] \\ud83d"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def commands(character: str) -> bool:
    """Whether a terminal, or what splits lines, takes it for more than a character."""
    turns = unicodedata.bidirectional(character) in {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    }
    breaks = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    return (breaks and character not in "\t\n") or turns or character in "\u061c\u200e\u200f"


def harmless(text: str) -> bool:
    return not any(commands(character) for character in text)


def test_every_character_that_commands_is_written_out_and_no_other() -> None:
    """All of Unicode: C0, C1, half characters, separators of lines, whatever turns the
    direction; Korean, emoji and their joiners stay.
    """
    everything = [chr(code) for code in range(0x110000)]
    deprecated = set("\u206a\u206b\u206c\u206d\u206e\u206f")  # and of that block
    written = {character for character in everything if commands(character)} | deprecated
    assert set(printable._COMMANDS.findall("".join(everything))) == written
    assert harmless(visible("".join(written)))
    assert visible("한글 👩‍💻\t\n") == "한글 👩‍💻\t\n"
    assert one_line("a\nb") == "a\\nb"


@settings(max_examples=50)
@given(
    st.recursive(
        st.text(st.characters()), lambda inner: st.dictionaries(st.text(st.characters()), inner)
    )
)
def test_json_has_the_same_value_without_these_characters(value: object) -> None:
    """Half characters as well; what is left is JSON for any reader."""
    written = json_text(value, indent=2)
    assert harmless(written)
    assert json.loads(written) == value
    assert "한글" in json_text("한글")


def printed(terminal: bool, *things: object) -> str:
    screen = Screen(width=1000)
    screen.file = StringIO()
    screen._force_terminal = terminal
    for thing in things:
        screen.print(thing)
    written = screen.file.getvalue()
    return re.sub(r"\x1b\[[0-9;]*m", "", written) if terminal else written


def test_whatever_is_printed_is_written_out() -> None:
    """A sentence, a cell, a head, a styled part, a text made elsewhere with a style of
    its own, a group, a bar; on a terminal nothing but rich's own colours is left, and
    the text has neither style nor link nor a line of its own.
    """
    table = Table(HOSTILE, box=None)
    table.add_row(HOSTILE)
    table.add_row(output.styled(HOSTILE, "red"))
    text = Text.assemble("x", (HOSTILE.replace("\n", ""), "bold"))
    bars = Progress(output.label(), console=Screen(width=1000))
    bars.add_task(HOSTILE)
    for terminal in (False, True):
        written = printed(
            terminal, HOSTILE, table, output.styled(HOSTILE, "red"), text, Group(HOSTILE), bars
        )
        assert harmless(written), written
        assert written.count(LINE) == 6
        assert [line.strip() for line in written.splitlines()].count(LINE) == 6


def test_a_style_of_a_text_made_elsewhere_stays() -> None:
    """Only the characters change."""
    screen = Screen(width=80)
    screen.file = StringIO()
    screen._force_terminal, screen._color_system = True, None
    shown = output._written_out(Text.assemble("a", ("b\x1bc", "bold")))
    assert shown.plain == "ab\\x1bc"
    assert [str(span.style) for span in shown.spans if span.start <= 1 < span.end] == ["bold"]


def _search() -> None:
    hit = Hit(HOSTILE, (HOSTILE,), HOSTILE, 0.5, NOW, 1.0, True)
    search._print(SearchResult((hit,), (HOSTILE,), Timings(0, 0, 0)))
    score._print(Score(0.5, HOSTILE, GradeThresholds(0.8, 0.7), False, hit))


def _dlq() -> None:
    state = EntryState(next(iter(EntryState)))
    entry = Entry(
        HOSTILE,
        "row",
        HOSTILE,
        HOSTILE,
        (HOSTILE,),
        HOSTILE,
        HOSTILE,
        HOSTILE,
        1,
        NOW,
        NOW,
        3,
        state,
    )
    dlq_page.show_entries([entry])
    dlq_page.show_results([Result(HOSTILE, HOSTILE, HOSTILE)], output.Format.TABLE)


def _verify() -> None:
    deep = Deep(1, untrue=[Untrue((HOSTILE,), 0.5, b"")])
    verify._print(
        [
            Truth(
                HOSTILE, HOSTILE, HOSTILE, (Rows("current", ("not_unit",), 1, ((HOSTILE,),)),), deep
            )
        ]
    )
    adopt._print([Candidates(HOSTILE, HOSTILE, HOSTILE, {}, deep, refused={(HOSTILE,): HOSTILE})])


def _lag() -> None:
    said = report(
        connector=ConnectorState(HOSTILE, HOSTILE, (HOSTILE,), HOSTILE),
        replay=GroupLag(HOSTILE, HOSTILE, 1, (), HOSTILE),
    )
    Screen(width=1000).print(*lag_page.page(said, wide=True))
    for line in said.plugin_lines():
        output.out.print(line, soft_wrap=True)


def _others() -> None:
    doctor._print([problem(HOSTILE, HOSTILE, HOSTILE)], 1)
    replay_page.show_outcome(RunOutcome(None, HOSTILE, False, [], []))
    output.print_json({HOSTILE: HOSTILE})
    output.print_error(HOSTILE, SHOWN)


@pytest.mark.parametrize("show", [_search, _dlq, _verify, _lag, _others])
def test_the_commands_write_it_out(
    capsys: pytest.CaptureFixture[str], show: Callable[[], None]
) -> None:
    """`search`, `score`, `dlq`, `verify`, `adopt`, `lag`, `doctor`, `replay`, JSON and
    errors.
    """
    show()
    written = capsys.readouterr()
    assert harmless(written.out), written.out
    assert harmless(written.err), written.err
    assert "\\x1b]0;OWNED" in written.out + written.err or "\\u001b]0;OWNED" in written.out
    for line in (written.out + written.err).splitlines():
        assert not line.startswith("error: c"), (
            "a text that begins a line of its own looks like a message"
        )


def test_a_question_is_written_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked names tables and connectors."""
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    assert confirmation.confirm(HOSTILE)
    written = capsys.readouterr().err
    assert harmless(written)
    assert LINE in written


def test_a_script_is_exact_for_a_program_and_written_out_for_a_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init --print-sql | psql` gets each name as it is."""
    output.print_exactly('"a\x1b[2J"\n')
    assert capsys.readouterr().out == '"a\x1b[2J"\n'
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_exactly('"a\x1b[2J"\n')
    assert capsys.readouterr().out == '"a\\x1b[2J"\n'


def test_on_a_real_terminal(tmp_path: Path) -> None:
    """`config show`, with the words in a setting: nothing but colours leaves the
    program.
    """
    where = HOSTILE.removesuffix("\ud83d")
    (tmp_path / "vectrue.toml").write_text(
        f"[score]\nwhere = {json.dumps(where)}\n", encoding="utf-8"
    )
    code, written = shown(["config", "show"], columns=300, folder=tmp_path)
    assert code == 0, written
    assert harmless(written), written
    assert SHOWN in written


LOGGING = """
import logging, sys, structlog, warnings
from schemas.settings.sections import LogSettings
from streams.common import logs
hostile = eval(sys.argv[2])
logs.configure(LogSettings(format=sys.argv[1]), role=hostile)
log = structlog.get_logger()
log.warning(hostile, reason=hostile, keys=[hostile], error=ValueError(hostile))
logging.getLogger("other").warning("%s", hostile)
warnings.warn(hostile)
for one in (log, logging.getLogger("other")):
    try:
        raise ValueError(hostile)
    except ValueError:
        one.exception("failed")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_are_written_out(form: str) -> None:
    """Events, values, library lines, tracebacks; an event is one line, whatever it
    holds, but for its traceback.
    """
    done = python(LOGGING, form, repr(HOSTILE))
    assert done.returncode == 0, done.stderr
    assert harmless(done.stderr), done.stderr
    lines = done.stderr.splitlines()
    if form == "json":
        events = [json.loads(line) for line in lines]
        said = [event["event"] for event in events]
        assert said[:2] + said[3:] == [HOSTILE, HOSTILE, "failed", "failed"]
        assert f"UserWarning: {HOSTILE}" in said[2]
        assert events[0]["reason"] == HOSTILE
    else:
        assert [LINE in line for line in lines[:2]] == [True, True]
        assert f"ValueError: {SHOWN}" in lines


def test_an_exception_that_nobody_caught_is_written_out() -> None:
    """In the main thread and in another; the process ends as Python ends it."""
    program = """
import sys, threading
from streams.common import tracebacks
tracebacks.guard_tracebacks()
def fail():
    raise ValueError(eval(sys.argv[1]))
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    done = python(program, repr(HOSTILE))
    assert done.returncode == 1
    assert harmless(done.stderr), done.stderr
    assert done.stderr.count(f"ValueError: {SHOWN}") == 2


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "a\x1b]0;OWNED\x07\u202e\x9b.toml", "status"], 78),
        (["a\x1b]0;OWNED\x07\u202e\x9b"], 2),
        (["status", "a\x1b]0;OWNED\x07\u202e\x9b"], 2),
        (["replay", "run", "--rate", "a\x1b]0;OWNED\x07\u202e\x9b"], 2),
    ],
)
def test_errors_are_written_out(vectrue: Vectrue, arguments: list[str], code: int) -> None:
    """Our sentences, and those about arguments."""
    done = vectrue(*arguments)
    assert done.code == code
    assert harmless(done.err), done.err
    assert "a\\x1b]0;OWNED\\x07" in done.err


def test_a_name_of_a_table_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A legal identifier may hold an escape."""
    output.out.print(f"table {TableName('public', HOSTILE)} is not there", soft_wrap=True)
    assert harmless(capsys.readouterr().out)


def test_the_beginning_of_a_text_says_that_more_follows() -> None:
    """One line, nothing cut without a mark."""
    assert printable.beginning(" 가 나\n다 ", 5) == "가 나 다"
    assert printable.beginning("가나다라마바", 5) == "가나다라마…"
