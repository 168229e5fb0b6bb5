"""Two installations in one database never share by accident, and none takes tables from
another without being told.
"""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres.audit import coverage
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.operations.lag import collect
from streams.setup import plan as setup_plan
from tests.conftest import MakeWorkplace
from tests.support.init import events, setup, worker_role
from tests.support.waiting import until
from tests.support.workplace import QUESTIONS, Workplace

pytestmark = pytest.mark.stack

ANSWERS = {"name": "public.answers", "text": "answer"}
NOTES = {"name": "public.notes", "text": "note"}


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Three tables; the first installation keeps two of them."""
    place = make_workplace(tables=[QUESTIONS, NOTES])
    for name, column in (("questions", "question"), ("answers", "answer"), ("notes", "note")):
        place.execute(
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, {column} text, embedding vector(64))"
        )
    place.with_settings(postgres={"publication": place.settings.slot})
    setup(place.settings)
    return place


def test_whose_the_publication_is(place: Workplace) -> None:
    """Given to another role, or recorded for another prefix too: every verdict names
    it; `init` takes the new owner.
    """
    publication = place.settings.postgres.publication
    with worker_role(place.settings.postgres.dsn) as role:
        place.execute(
            f"ALTER ROLE {role} SUPERUSER; ALTER PUBLICATION {publication} OWNER TO {role}"
        )
        try:
            said = (
                f"publication {publication} belongs to role {role}, and belonged to postgres "
                "when `init` ran"
            )
            assert said in _named(place)
            # Trouble with a table hides nothing about the publication.
            place.execute("ALTER TABLE questions REPLICA IDENTITY NOTHING")
            findings = json.loads(place.vectrue("doctor", "-o", "json", check=False).stdout)[
                "findings"
            ]
            assert said in "; ".join(line["sentence"] for line in findings)
            place.execute("ALTER TABLE questions REPLICA IDENTITY DEFAULT")
            setup(place.settings)
            assert "belongs to role" not in _named(place)
        finally:
            place.execute(f"ALTER PUBLICATION {publication} OWNER TO postgres")
    place.execute(
        "INSERT INTO vectrue.installations "
        """SELECT (jsonb_populate_record(one, '{"prefix": "oth"}')).*"""
        " FROM vectrue.installations AS one"
    )
    assert (
        f"publication {publication} is also that of the installation with the prefix oth"
        in _named(place)
    )


def _named(place: Workplace) -> str:
    return "; ".join(one.sentence for one in collect(place.settings).witness.differences)


@pytest.fixture
def connect(place: Workplace) -> Iterator[KafkaConnect]:
    client = KafkaConnect(place.settings.connect.url, SystemClock())
    yield client
    client.close()


def _other(place: Workplace, prefix: str, *tables: dict[str, str]) -> Settings:
    """Another settings file for the same database; names that are unset follow from the
    prefix.
    """
    unset = {"publication": "", "origin": "", "slot": None}
    settings = place.with_settings(
        kafka={"topic_prefix": prefix}, postgres=unset, tables=list(tables)
    )
    assert settings.postgres.publication == settings.postgres.origin == settings.slot
    return settings


def _published(place: Workplace, publication: str) -> set[str]:
    query = (
        "SELECT tablename FROM pg_publication_tables WHERE pubname = %s AND schemaname <> 'vectrue'"
    )
    return {name for (name,) in place.execute(query, (publication,))}


def test_two_prefixes_work_side_by_side(place: Workplace, connect: KafkaConnect) -> None:
    """Both capture, nothing leaves the first's publication, each counts, keeps and
    locks for itself; a table that the other's application drops breaks no command here.
    """
    first = place.settings
    other = _other(place, f"{first.slot}.oth", ANSWERS)
    try:
        report = setup(other)
        assert not any("was gone" in notice for notice in report.notices)
        assert _published(place, first.postgres.publication) == {"questions", "notes"}
        assert _published(place, other.postgres.publication) == {"answers"}
        for table, text in (("questions", "question"), ("answers", "answer")):
            place.execute(f"INSERT INTO {table} (id, {text}) VALUES (1, 'one')")
        assert events(first, "public.questions", 1)[0].fields == {"id": 1}
        assert events(other, "public.answers", 1)[0].fields == {"id": 1}
        assert setup(other).changed == setup(first).changed == ()
        _refusals(place, first, other)
        _each_for_itself(place, first, other)
    finally:
        connect.delete(other.connector)


def _refusals(place: Workplace, first: Settings, other: Settings) -> None:
    with pytest.raises(
        ConfigurationError, match=r"public\.notes is kept by the installation \w+ of this database"
    ):
        setup(_other(place, other.kafka.topic_prefix, ANSWERS, NOTES))
    with pytest.raises(ConfigurationError, match="make the same names in Postgres"):
        setup(_other(place, f"{first.slot}_oth", ANSWERS))
    place.with_settings(
        kafka={"topic_prefix": "third"}, postgres={"publication": first.postgres.publication}
    )
    with pytest.raises(ConfigurationError, match=r"the publication .* is that of the installation"):
        setup(place.settings)


def _each_for_itself(place: Workplace, first: Settings, other: Settings) -> None:
    sessions = [Session(first.postgres.dsn, role="test") for _ in range(3)]
    desks = [
        KeeperStore(session, settings.kafka.topic_prefix)
        for session, settings in zip(sessions, (first, other, first), strict=True)
    ]
    assert [desk.is_mine() for desk in desks] == [True, True, False]
    desks[0].note_reconcile(0)
    assert desks[1].since_reconcile() is None
    assert {line.table for line in coverage.read(sessions[0], other)} == {"public.answers"}
    query = "SELECT table_name FROM vectrue.coverage ORDER BY 1"
    assert place.execute(query) == [("public.answers",), ("public.notes",), ("public.questions",)]
    place.execute("DROP TABLE answers")
    assert {line.table for line in coverage.read(sessions[0], first)} == {
        "public.questions",
        "public.notes",
    }
    for session in sessions:
        session.close()


def test_a_file_that_lacks_a_table(place: Workplace, connect: KafkaConnect) -> None:
    """A colleague's file takes no table out without --yes, and names it; a file with a
    table that is not kept is told so by status and verify, which never speak of fewer
    tables than it lists.
    """
    first = place.settings
    place.with_settings(tables=[QUESTIONS])
    refused = place.vectrue("init", check=False)
    said = refused.stderr.replace("\n", " ")
    assert refused.returncode == 2
    assert "public.notes would leave the publication" in said
    assert "--yes" in said
    assert place.vectrue("init", "--print-sql", check=False).returncode == 2
    assert _published(place, first.postgres.publication) == {"questions", "notes"}
    assert "questions" in place.vectrue("status").stdout

    looks.ask(place.session, first.kafka.topic_prefix, [TableName.parse("notes")], "a test asks")
    assert "public.notes would leave" in place.vectrue("init", "--yes").stderr
    # no keeper would end it
    assert looks.pending(place.session, first.kafka.topic_prefix) == []
    assert _published(place, first.postgres.publication) == {"questions"}
    place.settings = first
    for command in ("status", "verify"):
        lacking = place.vectrue(command, check=False)
        assert lacking.returncode == 78
        assert "public.notes.embedding is not kept" in lacking.stderr.replace("\n", " ")
        assert "vectrue init" in lacking.stderr
    setup(first)
    assert "public.notes" in place.vectrue("status").stdout
    # A migration of one table, with a file of its own, leaves the others' lines alone.
    one = place.with_settings(tables=[QUESTIONS])
    with closing(
        Session(one.postgres.admin, role="test", prefix=one.kafka.topic_prefix)
    ) as session:
        assert not any(
            "coverage" in step.description for step in setup_plan.bookkeeping(one, session)
        )
    _of_an_older_vectrue(place, first)
    place.execute("DROP TABLE notes")
    assert not any("public.notes" in line for line in setup(one).notices)
    until(
        lambda: (status := connect.status(first.connector)) and status.is_running,
        what="the connector to run",
    )


def _of_an_older_vectrue(place: Workplace, settings: Settings) -> None:
    """One function for all, which named no prefix, is replaced; what it counted is
    still asked about.
    """
    function = counting.function_of(settings.kafka.topic_prefix)
    place.execute(
        f"ALTER FUNCTION vectrue.{function}() RENAME TO count_rows; DELETE FROM vectrue.counted"
    )
    with pytest.raises(ConfigurationError, match=r"public\.notes would leave"):
        setup(place.settings)
    setup(settings)
    assert place.value("SELECT to_regprocedure('vectrue.count_rows()')") is None
    assert place.value("SELECT count(*) FROM vectrue.coverage") == 2
