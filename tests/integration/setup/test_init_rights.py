"""The rights of the worker, and those that `vectrue init` itself needs."""

import re

import psycopg2
import pytest

from connectors.models import open_model
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.rows.document import Update, Written
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, events, planned, setup
from tests.support.root import ROOT
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

SECURITY = ROOT / "docs" / "security.md"


def test_the_worker_has_what_it_needs_and_nothing_else(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """A role with the rights of `init` alone reads keys and text, writes vectors under
    an origin, and nothing else.
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute("ALTER TABLE questions ADD secret text")
    place.execute("INSERT INTO questions (id, question, secret) VALUES (1, 'a', 'hidden')")
    database = place.value("SELECT current_database()")
    place.execute(
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    )
    settings = as_role(place, role, fire_triggers=False)
    setup(settings)
    assert setup(settings).changed == ()

    target = planned(settings).tables[0].target
    store = PostgresStore(settings.postgres, role="test")
    document = store.read(target, [("1",)]).documents[0]
    vector = open_model(settings.model).encode_documents([document.text])[0]
    assert document.hash is not None
    assert store.write(target, [Update(("1",), document.hash, vector)]) == {("1",): Written.WRITTEN}
    store.close()
    place.execute("INSERT INTO questions (id, question) VALUES (2, 'b')")
    assert {event.key(["id"]) for event in events(settings, "public.questions", 1)} == {("2",)}

    worker = Session(settings.postgres.dsn, role="test")
    assert worker.rows("SELECT rows, current FROM vectrue.coverage") == [(2, 1)]
    worker.rows("UPDATE vectrue.replays SET state = 'done'; DELETE FROM vectrue.quarantine")
    worker.rows(
        "DELETE FROM vectrue.queries; DELETE FROM vectrue.quality_runs; UPDATE vectrue.feedback "
        "SET useful = true"
    )
    documented = re.findall(
        r"^\| `(.*?)` \| (.*?) \|$", SECURITY.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(documented) == 19
    place.execute("CREATE TABLE other (id int)")
    for statement, answer in documented:
        with pytest.raises(ConfigurationError) as refused:
            worker.rows(statement)
        assert isinstance(refused.value.__cause__, psycopg2.Error)
        assert refused.value.__cause__.pgcode == "42501"  # insufficient_privilege
        assert str(refused.value.__cause__).splitlines()[0] == answer.replace(
            "<database>", database
        )
    worker.close()


def test_rights_follow_the_text(role: str, make_workplace: MakeWorkplace) -> None:
    """A text over more columns, or another table, brings the rights on exactly those."""
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute("CREATE TABLE topics (id bigint PRIMARY KEY, name text, secret text)")
    setup(as_role(place, role))
    text = "question || views || (SELECT name FROM topics WHERE topics.id = questions.id)"
    settings = place.with_settings(tables=[{"name": "public.questions", "text": text}])
    granted = [step.sql for step in planned(settings).statements if "ON TABLE" in step.sql]
    assert [step.split(" TO ")[0] for step in granted] == [
        'GRANT SELECT ("views") ON TABLE "public"."questions"',
        'GRANT SELECT ("id", "name") ON TABLE "public"."topics"',
    ]


def test_a_missing_role_is_named(workplace: Workplace) -> None:
    """A role in postgres.dsn that does not exist is refused with the statement that
    makes it.
    """
    with pytest.raises(
        ConfigurationError, match=r'there is no role nobody_here.*CREATE ROLE "nobody_here"'
    ):
        setup(as_role(workplace, "nobody_here"))


def test_row_level_security_is_refused_for_a_role_that_obeys_it(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """Rows that a policy hides from the worker would silently never get a vector."""
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute("ALTER TABLE questions ENABLE ROW LEVEL SECURITY")
    settings = as_role(place, role)
    with pytest.raises(
        ConfigurationError, match=rf'hide rows from role {role}.*ALTER ROLE "{role}" BYPASSRLS'
    ):
        setup(settings)
    place.execute(f"ALTER ROLE {role} BYPASSRLS")
    assert planned(settings).statements


def test_only_an_owner_can_set_up(role: str, make_workplace: MakeWorkplace) -> None:
    """A role without the rights to set up is told which one is missing, before anything
    is changed.
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    settings = as_role(place, role, admin_dsn=None, origin=role)
    grants: list[tuple[str, str]] = [
        ("may not read the replication stream", f"ALTER ROLE {role} REPLICATION"),
        (
            "may not create a schema",
            f"GRANT CREATE ON DATABASE {place.value('SELECT current_database()')} TO {role}",
        ),
        ("does not own table public.questions", f"ALTER TABLE questions OWNER TO {role}"),
    ]
    for sentence, mend in grants:
        with pytest.raises(ConfigurationError, match=sentence):
            planned(settings)
        place.execute(mend)
    report = setup(settings)
    assert any("may not create replication origins" in notice for notice in report.notices)
    assert setup(settings).changed == ()
    place.execute("ALTER TABLE questions ENABLE ROW LEVEL SECURITY")
    assert planned(settings).statements == (), "an owner sees its rows"
    place.execute("ALTER TABLE questions FORCE ROW LEVEL SECURITY")
    with pytest.raises(ConfigurationError, match="hide rows"):
        planned(settings)
