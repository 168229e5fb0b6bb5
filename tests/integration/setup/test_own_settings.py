"""Several settings files of one installation: every command reports the tables of its own
file, and all of them.
"""

import json

import pytest

from connectors.postgres.audit import coverage
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from tests.conftest import MakeWorkplace
from tests.support.init import setup
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

NAMES = ("public.one", "public.two", "public.three", "public.four")


def listing(*names: str, text: str = "body") -> list[dict[str, str]]:
    """[[tables]] of a settings file."""
    return [{"name": f"public.{name}", "text": text} for name in names]


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Four tables, a row in each, all of them kept."""
    place = make_workplace(tables=listing("one", "two", "three", "four"))
    for name in NAMES:
        place.execute(
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, body text, note text, embedding "
            "vector(64))"
        )
        place.execute(f"INSERT INTO {name} (id, body) VALUES (1, 'a text')")
    setup(place.settings)
    return place


def counted(place: Workplace, *, code: int = 0) -> dict[str, int]:
    """Rows by table, as `status` prints them."""
    said = place.vectrue("status", "-o", "json", check=False)
    assert said.returncode in ((0, 1) if code == 0 else (code,)), said.stderr
    return {line["table"]: line["rows"] for line in json.loads(said.stdout)["tables"]}


def test_a_file_with_fewer_tables_takes_none_from_another(place: Workplace) -> None:
    """`init` is refused, `migrate start` renews what it must: the file with four tables
    counts four afterwards (H3).

    The file with one speaks of one, and names the others that are kept here.
    """
    four = place.settings
    place.with_settings(tables=listing("two"))
    assert place.vectrue("init", check=False).returncode == 2
    place.vectrue("migrate", "start", "--model", "lexical", "--dimensions", "96")
    said = place.vectrue("status", check=False)
    assert "not in these settings: public.four, public.one, public.three" in said.stdout
    assert set(counted(place)) == {"public.two"}
    findings = json.loads(place.vectrue("doctor", "-o", "json", check=False).stdout)["findings"]
    said_of = [
        one for one in findings if one["check"] == f"publication {four.postgres.publication}"
    ]
    assert [(one["status"], "public.four" in one["sentence"]) for one in said_of] == [
        ("warning", True)
    ]
    place.settings = four
    assert set(counted(place)) == set(NAMES)
    assert "not in these settings" not in place.vectrue("status", check=False).stdout
    place.with_settings(tables=listing("two"))
    place.vectrue("migrate", "rollback", "--yes")
    place.settings = four
    assert set(counted(place)) == set(NAMES)
    published = (
        "SELECT count(*) FROM pg_publication_tables WHERE pubname = %s AND schemaname = 'public'"
    )
    assert place.value(published, (four.postgres.publication,)) == len(NAMES)


def test_a_table_that_is_gone_blinds_nobody(place: Workplace) -> None:
    """The application drops a table: files without it work, a file with it counts the
    rest, names it, and exits 78.
    """
    four = place.settings
    place.execute("DROP TABLE one")
    said = place.vectrue("status", check=False)
    assert said.returncode == 78
    assert "there is no table public.one" in said.stderr
    assert "; also, public.one could not be counted" in said.stdout
    assert set(counted(place, code=78)) == {"public.two", "public.three", "public.four"}
    # not embedded yet
    assert place.vectrue("verify", "-t", "public.two", check=False).returncode == 1
    for command in ("status", "verify"):
        place.with_settings(tables=listing("two", "three"))
        assert "no table" not in place.vectrue(command, check=False).stderr
    assert set(counted(place)) == {"public.two", "public.three"}
    with pytest.raises(ConfigurationError, match=r"there is no table public\.one"):
        coverage.read(place.session, four)
    session = Session(four.postgres.dsn, role="test", prefix=four.kafka.topic_prefix)
    assert [line.rows for line in coverage.read(session, four, ["public.four"])] == [1]
    session.close()


def test_a_file_with_another_text_or_column_is_told_so(place: Workplace) -> None:
    """If the database counts something else than these settings say, no command reports
    "all rows are current".
    """
    place.with_settings(tables=[*listing("one"), *listing("two", text="note")])
    said = place.vectrue("status", check=False)
    assert said.returncode == 78
    assert (
        "public.two.embedding wants vectors of another text than [[tables]] text of public.two says"
        in said.stderr
    )
    assert "vectrue init" in said.stderr
    assert set(counted(place, code=78)) == {"public.one"}
    lost = json.loads(place.vectrue("status", "-o", "json", check=False).stdout)["not_counted"]
    assert [line["table"] for line in lost] == ["public.two"]
    place.execute("ALTER TABLE three ADD COLUMN other vector(64)")
    place.with_settings(tables=[{"name": "public.three", "text": "body", "column": "other"}])
    for command in ("status", "verify"):
        said = place.vectrue(command, check=False)
        assert said.returncode == 78
        assert "public.three.other" in said.stderr
