"""The commands on a terminal of 80 columns, on tables with names of the greatest length
and of wide characters.
"""

from pathlib import Path

import pytest

from tests.conftest import MakeWorkplace
from tests.support.terminal import shown

pytestmark = pytest.mark.stack

SCHEMA = "면접"
TABLE = "질문과_모범_답안_모음_한국어"
COLUMN = "embedding_of_the_question_and_of_its_best_answer"
LONG = "questions_of_interviews_with_their_best_answers_and_the_grades"

COMMANDS = (
    ("init",),
    ("status",),
    ("status", "-o", "wide"),
    ("lag",),
    ("lag", "-o", "wide"),
    ("verify",),
    ("replay", "plan"),
    ("replay", "status"),
    ("migrate", "plan", "--model", "lexical", "--dimensions", "128"),
    ("migrate", "status"),
    ("dlq", "list"),
    ("doctor",),
    ("config", "show"),
)


def test_no_name_is_cut_at_80_columns(make_workplace: MakeWorkplace) -> None:
    """Whatever a command prints: no ellipsis, every table and column by its whole name,
    every state by its own.
    """
    tables = [
        {"name": f"{SCHEMA}.{TABLE}", "text": "question", "column": COLUMN},
        {"name": f"public.{LONG}", "text": "question", "column": COLUMN},
    ]
    place = make_workplace(tables=tables)
    place.execute(f'CREATE SCHEMA "{SCHEMA}"')
    for name in (f'"{SCHEMA}"."{TABLE}"', f'public."{LONG}"'):
        place.execute(
            f'CREATE TABLE {name} (id bigint PRIMARY KEY, question text, "{COLUMN}" vector(64))'
        )
        place.execute(f"INSERT INTO {name} VALUES (1, '파이썬의 GIL'), (2, NULL)")
    config = place.write_config()
    seen = {}
    for arguments in COMMANDS:
        _, seen[arguments] = on_terminal(config, *arguments)
        assert "…" not in seen[arguments], f"$ vectrue {' '.join(arguments)}\n{seen[arguments]}"
    for arguments in (
        ("status",),
        ("verify",),
        ("replay", "plan"),
        ("status", "-o", "wide"),
        ("init",),
    ):
        whole = "".join(seen[arguments].split())
        for name in (TABLE, LONG):
            pieces = [part for part in name.split("_") if part not in whole]
            assert not pieces, f"{name} in\n{seen[arguments]}"
    for state in (
        "ROWS",
        "CURRENT",
        "MISSING",
        "STALE-TEXT",
        "STALE-MODEL",
        "BLANK",
        "QUARANTINED",
        "UNREADABLE",
    ):
        assert state in seen["status",], seen["status",]


def on_terminal(config: Path, *arguments: str) -> tuple[int, str]:
    environment = {"VECTRUE_LOG__FORMAT": "console"}
    return shown(
        ["--config", str(config), *arguments],
        columns=80,
        folder=config.parent,
        environment=environment,
    )
