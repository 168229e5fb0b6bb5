"""`vectrue doctor` without services: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.models import describe_model
from connectors.twins.memory import MemoryClock
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, guarded, ok, problem, unknown, warning
from schemas.health.witness import Difference, Look
from schemas.rows.table import TableName
from schemas.settings.reading import load
from schemas.settings.sections import ModelSettings
from streams.cli.main import app
from streams.operations import doctor as doctors
from tests.support.lag import NOW, report

WARNED = [ok("a", "fine"), warning("b", "look at [model]", "do this"), unknown("c", "a is away")]


def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: list[CheckResult], *arguments: str
) -> tuple[int, str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctors, "examine", lambda *_: findings)
    done = CliRunner().invoke(app, ["doctor", *arguments])
    return done.exit_code, done.stdout


def test_warnings_do_not_fail_and_problems_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit 0 without a problem, 1 with one."""
    assert run(monkeypatch, tmp_path, WARNED)[0] == 0
    code, said = run(monkeypatch, tmp_path, [*WARNED, problem("d", "broken", "mend it")])
    assert code == 1
    assert "1 problem, 1 warning" in said


def test_json_knows_the_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was not looked at has status null, which is neither ok nor a problem (I8)."""
    report = json.loads(run(monkeypatch, tmp_path, WARNED, "-o", "json")[1])
    assert report["problems"] == 0
    assert report["findings"] == [
        {"check": "a", "status": "ok", "sentence": "fine", "fix": None},
        {"check": "b", "status": "warning", "sentence": "look at [model]", "fix": "do this"},
        {"check": "c", "status": None, "sentence": "not checked: a is away", "fix": None},
    ]


def test_wrong_settings_are_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A settings file that cannot be read is the doctor's first line, and exit 1."""
    (tmp_path / "vectrue.toml").write_text("[model]\ndimensions = 0\n", encoding="utf-8")
    code, said = run(monkeypatch, tmp_path, [], "-o", "json")
    assert code == 1
    assert "model.dimensions" in json.loads(said)["findings"][0]["sentence"]


def test_an_error_of_ours_is_a_problem_in_its_own_words() -> None:
    """The sentence and the fix of the error stand in the line."""

    def look() -> list[CheckResult]:
        raise ConfigurationError("no table", fix="make one")

    assert guarded("t", look) == [problem("t", "no table", "make one")]


def test_what_brings_a_missing_model_is_said_once(tmp_path: Path) -> None:
    """Its own command, beside a sentence that does not repeat it."""
    there = tmp_path / "none"
    found = list(doctors._model(describe_model(ModelSettings(name=str(there)))))
    assert found == [
        problem("model", f"there is no folder {there} (model.name)", "correct model.name")
    ]


@pytest.mark.parametrize(
    ("kafka", "differences", "says"),
    [
        (
            [ok("live workers", "1"), ok("replay workers", "1")],
            [],
            "no action needed: the keeper of a running worker",
        ),
        (
            [ok("live workers", "1"), warning("replay workers", "none runs")],
            [],
            "no action needed",
        ),
        (
            [problem("live workers", "none"), warning("replay workers", "none")],
            [],
            "--role replay, whose keeper",
        ),
        ([], [], "the keeper of a worker checks them: vectrue worker --role replay"),
        (
            [ok("replay workers", "1 in group")],
            [Difference("there is no table public.docs", "-", "table public.docs")],
            "fix table public.docs; its rows are checked again",
        ),
    ],
)
def test_who_looks_at_a_table_is_said_by_who_runs(
    kafka: list[CheckResult],
    differences: list[Difference],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is told to start a worker that runs, or that it will come to a table that
    is gone.
    """
    look = Look(TableName("public", "docs"), "events expired", NOW, 9.0)
    seen = report(looks=(look,), differences=tuple(differences)).witness
    monkeypatch.setattr(doctors, "with_transit", lambda witness, *_: witness)
    settings = load(tables=[{"name": "public.docs", "text": "x"}])
    found = list(doctors._witnessed(settings, MemoryClock(), seen, kafka))
    (told,) = (finding for finding in found if finding.check == "rows to be looked at")
    assert says in (told.fix or "")
