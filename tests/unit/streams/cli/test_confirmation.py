"""When a command asks, and what it does where no terminal can be asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from schemas.errors import IndexesLacking
from streams.cli import local
from streams.cli.data import dlq, migrate, verify
from streams.cli.main import app
from streams.cli.screen import confirmation
from streams.cli.screen.confirmation import (
    MANY_ROWS,
    ConfirmationRequired,
    require_confirmation,
)

ASKING = (
    "adopt",
    "init",
    "verify",
    "local reset",
    "replay run",
    "dlq purge",
    "migrate start",
    "migrate swap",
    "migrate rollback",
    "migrate finish",
)
SENTENCE = 'no terminal to ask "Delete it?": add --yes'


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A terminal whose user says no; the questions."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(confirmation, "can_ask", lambda: True)
    monkeypatch.setattr(confirmation, "confirm", confirm)
    return asked


def test_a_script_says_yes_or_is_refused() -> None:
    """One sentence, with the exit code of a usage error."""
    require_confirmation("Delete it?", yes=True)
    with pytest.raises(ConfirmationRequired) as refused:
        require_confirmation("Delete it?", yes=False)
    assert (str(refused.value), refused.value.exit_code) == (SENTENCE, 2)


def test_a_no_ends_the_command(terminal: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and a word that nothing happened; with --yes nothing is asked."""
    require_confirmation("Delete it?", yes=True)
    with pytest.raises(typer.Exit) as end:
        require_confirmation("Delete it?", yes=False)
    assert (end.value.exit_code, terminal) == (1, ["Delete it?"])
    assert capsys.readouterr().err == "nothing was changed\n"


@pytest.mark.parametrize("name", ASKING)
def test_every_command_that_asks_takes_yes(name: str) -> None:
    """The same option with the same help."""
    shown = CliRunner().invoke(
        app, [*name.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"}
    )
    assert shown.exit_code == 0, shown.output
    assert "required without a terminal" in " ".join(shown.output.split())


def test_a_reset_without_a_terminal_deletes_nothing(tmp_path: Path) -> None:
    """Where it was an interruption before."""
    done = CliRunner().invoke(local.app, ["reset", "--dir", str(tmp_path / "stack")])
    assert isinstance(done.exception, ConfirmationRequired)
    assert done.exception.exit_code == 2


def test_a_purge_without_a_terminal_purges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entries, no question."""
    entries: list[object] = []
    purged: list[object] = []

    def purge(given: list[object]) -> SimpleNamespace:
        purged.append(list(given))
        return SimpleNamespace(deleted=0, hidden=0, rows=0)

    letters = SimpleNamespace(entries=lambda *_, **__: entries, purge=purge)
    monkeypatch.setattr(dlq, "_letters", lambda *_: letters)
    monkeypatch.setattr(dlq, "open_session", lambda *_: None)
    runner = CliRunner()
    assert runner.invoke(dlq.app, ["purge", "--all"], obj=lambda: None).exit_code == 0
    entries.append(object())
    done = runner.invoke(dlq.app, ["purge", "--all"], obj=lambda: None)
    assert isinstance(done.exception, ConfirmationRequired)
    assert purged == [[]]
    assert runner.invoke(dlq.app, ["purge", "--all", "--yes"], obj=lambda: None).exit_code == 0
    assert purged == [[], entries]


def test_a_repair_of_many_rows_asks() -> None:
    """As a replay of as many does; the usual repair does not."""
    few: Any = [SimpleNamespace(untrue=MANY_ROWS)]
    many: Any = [SimpleNamespace(untrue=MANY_ROWS), SimpleNamespace(untrue=1)]
    verify._require_consent(few, yes=False)
    verify._require_consent(many, yes=True)
    with pytest.raises(ConfirmationRequired, match=r"Embed 100,001 rows\?"):
        verify._require_consent(many, yes=False)


def test_indexes_that_would_be_left_behind(terminal: list[str]) -> None:
    """A no takes no step; --yes goes on without whatever lacks a twin."""
    taken: list[object] = []

    def step(*, without: frozenset[str] | None) -> None:
        if without == frozenset():
            raise IndexesLacking("1 of 1 indexes", frozenset({"near"}), fix="vectrue migrate index")
        taken.append(without)

    with pytest.raises(typer.Exit):
        migrate._without_twins(step, yes=False)
    assert (terminal, taken) == (["1 of 1 indexes. Go on without them?"], [])
    migrate._without_twins(step, yes=True)
    assert taken == [None]


def test_indexes_that_a_script_would_leave_behind() -> None:
    """The way out is named, not only --yes."""

    def step(*, without: frozenset[str] | None) -> None:
        raise IndexesLacking("1 of 1 indexes", frozenset({"near"}), fix="vectrue migrate index")

    with pytest.raises(ConfirmationRequired, match="vectrue migrate index") as refused:
        migrate._without_twins(step, yes=False)
    assert refused.value.exit_code == 2
