"""Before `vectrue init` every command reports that one problem, once, with the command that
fixes it.
"""

import json
import re

import pytest

from tests.conftest import MakeWorkplace
from tests.support.init import as_role, worker_role
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

SAID = r"this database does not know vectrue yet"
SENTENCE = (
    rf"error: ({SAID}.*|vectrue does not know public.questions.embedding yet): run `vectrue init`\n"
)
COMMANDS = (
    "status",
    "verify",
    "search anything",
    "adopt -t public.questions --model lexical --yes",
    "replay status",
    "replay plan",
    "replay run --yes",
    "replay pause",
    "migrate status",
    "migrate start -m lexical -d 96 --yes",
    "migrate swap --yes",
    "migrate rollback --yes",
    "migrate finish --yes",
    "dlq list",
)


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A table, and no `init`."""
    made = make_workplace()
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    return made


def test_every_command_names_init_and_nothing_else(place: Workplace) -> None:
    """One sentence and exit code 78. Postgres's own message about our relation is not shown."""
    for words in COMMANDS:
        said = place.vectrue(*words.split(), check=False)
        assert said.returncode == 78, (words, said)
        assert re.fullmatch(SENTENCE, said.stderr), (words, said.stderr)


def test_lag_says_it_once(place: Workplace) -> None:
    """No slot, connector or topic is missing for another reason, so none of them is
    named.
    """
    said = place.vectrue("lag", "--check", check=False)
    assert said.returncode == 2
    assert re.fullmatch(rf"LAG CRITICAL - source: {SAID}: vectrue init \| .*\n", said.stdout), (
        said.stdout
    )
    report = json.loads(place.vectrue("lag", "-o", "json").stdout)
    assert re.fullmatch(f"source: {SAID}: vectrue init", report["verdict"])


def test_start_leaves_nothing_behind_where_it_is_refused(place: Workplace) -> None:
    """Only `init` creates the schema."""
    assert (
        place.vectrue(
            "migrate", "start", "-m", "lexical", "-d", "96", "--yes", check=False
        ).returncode
        == 78
    )
    assert place.value("SELECT to_regnamespace('vectrue')") is None


def test_doctor_counts_what_init_does_not_mend_beside_it_once(place: Workplace) -> None:
    """Rights that `init` will give, as far as it can, cause no warning before it; who
    bypasses row-level security is.
    """
    place.execute("ALTER TABLE questions ENABLE ROW LEVEL SECURITY")
    with worker_role(place.settings.postgres.dsn) as role:
        as_role(place, role)
        report = json.loads(place.vectrue("doctor", "-o", "json", check=False).stdout)
    found = [line for line in report["findings"] if line["status"] in ("problem", "warning")]
    assert [line["check"] for line in found] == ["table public.questions", "schema vectrue"], found
    assert "older version" not in str(report)
