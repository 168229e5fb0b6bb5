"""`vectrue doctor` names what is under way, and what someone did to a table meanwhile,
with the way on.
"""

import json
from typing import Any

import pytest

from tests.conftest import MakeWorkplace
from tests.support.migrations import TO, migrate, true_tables
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "public.b"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables of 20 rows, both on their way to vectors of 96 numbers."""
    made = true_tables(make_workplace, A, B)
    migrate(made, "start", *TO)
    return made


def said(place: Workplace) -> dict[str, dict[str, Any]]:
    """What doctor says of migrations, by table."""
    answer = json.loads(place.vectrue("doctor", "-o", "json", check=False).stdout)
    found = [one for one in answer["findings"] if one["check"].startswith("migration of ")]
    return {one["check"].removeprefix("migration of ").rpartition(".")[0]: one for one in found}


def test_each_column_under_way_is_a_line(place: Workplace) -> None:
    """As it should be: ok. If someone dropped a column: a problem, and the command
    that fixes it, which works.
    """
    assert {name: one["status"] for name, one in said(place).items()} == {A: "ok", B: "ok"}
    place.execute("ALTER TABLE b DROP COLUMN embedding_v2")
    lines = said(place)
    assert (lines[A]["status"], lines[B]["status"]) == ("ok", "problem")
    assert "embedding_v2 is missing" in lines[B]["sentence"]
    assert lines[B]["fix"].startswith("vectrue migrate start --model lexical --dimensions 96")
    migrate(place, "start", *TO, "-t", B)
    assert {name: one["status"] for name, one in said(place).items()} == {A: "ok", B: "ok"}


def test_what_is_under_way_of_no_table_of_the_settings_is_named(place: Workplace) -> None:
    """A settings file that no longer lists the table: a warning that says where the
    migration stands.
    """
    place.with_settings(tables=[{"name": A, "text": "question"}])
    line = said(place)[B]
    assert line["status"] == "warning"
    assert "under way in the database, not in these settings" in line["sentence"]
