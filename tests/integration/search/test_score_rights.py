"""The workers' role has what commands evaluate: `[score]`, granted by `init`; a right
that is missing is called one.
"""

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest

from connectors.clock import SystemClock
from connectors.postgres.checks import text_check
from connectors.postgres.health import checkup
from connectors.postgres.health.checkup import ExpectedModel
from connectors.postgres.ledger import enumeration
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.health.check_result import Level
from schemas.reports.replay import Request
from schemas.reports.score import Score
from schemas.reports.search import Hit
from schemas.settings.reading import Settings
from streams.api.batcher import Batcher
from streams.api.database import SessionPool
from streams.api.search_backend import HttpBackend
from streams.api.served import Catalog
from streams.search import score
from streams.search.core import SearchCore
from streams.search.search import Search
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, planned, set_up_database
from tests.support.vectors import embed_all
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

ANSWERS = """
    CREATE SCHEMA graded;
    CREATE FUNCTION graded.is_good(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 >= 85';
    REVOKE EXECUTE ON FUNCTION graded.is_good FROM PUBLIC;
    CREATE TABLE graded.judges (id int PRIMARY KEY, trusted boolean, name text);
    CREATE TABLE answers (
        id bigint PRIMARY KEY, "of%" text, body text, marks int, judge int, secret text,
        embedding vector(64)
    );
    INSERT INTO graded.judges VALUES (1, true, 'a');
    INSERT INTO answers VALUES
        (1, '17', 'a mutex for one thread', 90, 1, 'x'), (2, '17', 'a lock', 30, 1, 'x')
"""
WHERE = (
    "graded.is_good(marks) AND EXISTS (SELECT FROM graded.judges AS j WHERE j.id = judge AND "
    "j.trusted) -- 85 %"
)
SCORE = {"table": "answers", "question": "of%", "where": WHERE}


@pytest.fixture
def place(role: str, make_workplace: MakeWorkplace) -> Workplace:
    """Answers, whose vectors a role of its own writes; `init` was not run."""
    made = make_workplace(tables=[{"name": "public.answers", "text": "body"}])
    made.execute(ANSWERS)
    as_role(made, role)
    return made


def scored(settings: Settings) -> Score:
    """The score of an answer by those of question 17, as the workers' role."""
    with closing(
        Session(settings.postgres.dsn, role="test", prefix=settings.kafka.topic_prefix)
    ) as session:
        return score.against_stored(settings, Search(settings, session), "a lock", "17")


def scored_over_http(settings: Settings) -> list[Hit]:
    """The nearest answer as the server asks for it."""
    clock = SystemClock()
    database = SessionPool(
        settings.postgres.dsn,
        role="test",
        prefix=settings.kafka.topic_prefix,
        threads=1,
        seconds=30,
    )
    batcher = Batcher(clock, linger=0, most=1)

    async def ask() -> list[Hit]:
        backend = HttpBackend(Catalog(settings, database), batcher, database)
        request, only = score.stored_request(settings, "a lock", "17")
        hits, _ = await SearchCore(backend, clock).similar(request, only)
        return hits

    try:
        return asyncio.run(ask())
    finally:
        batcher.close()
        database.close()


def test_init_grants_what_score_names(place: Workplace) -> None:
    """By question and by a condition over another table and a function that not
    everyone may call: refused with the grant before `init`, answered after it; and
    nothing else is granted.
    """
    set_up_database(place.settings)
    embed_all(place)
    settings = place.with_settings(score={**SCORE, "where": "marks >= 85"})
    with pytest.raises(ConfigurationError) as refused:
        scored(settings)
    assert "may not read marks of public.answers, which score.where names" in str(refused.value)
    with pytest.raises(ConfigurationError, match=r"which score\.where names"):
        scored_over_http(settings)
    place.execute(str(refused.value.fix).partition(": ")[2])
    with pytest.raises(
        ConfigurationError, match=r"permission denied for table answers.*vectrue init"
    ):
        scored(settings)
    settings = place.with_settings(score=SCORE)
    report = set_up_database(settings)
    assert any("read score.question in public.answers" in line for line in report.changed)
    reference = scored(settings).reference
    assert reference is not None
    assert reference.text == "a mutex for one thread"
    assert [hit.text for hit in scored_over_http(settings)] == ["a mutex for one thread"]
    assert set_up_database(settings).changed == ()
    assert set_up_database(place.with_settings(score={**SCORE, "where": "true"})).changed == ()
    with closing(Session(settings.postgres.dsn, role="test")) as session:
        for column, table in (("secret", "answers"), ("name", "graded.judges")):
            with pytest.raises(ConfigurationError, match="permission denied"):
                session.rows(f"SELECT {column} FROM {table}")


def test_a_literal_that_is_none_is_the_conditions(place: Workplace) -> None:
    """The server's sentence names the literal, and ours names the setting: no row was read
    that it could quote.
    """
    with pytest.raises(
        ConfigurationError, match=r'score\.where is not a condition on public\.answers \(.*"many"'
    ):
        set_up_database(place.with_settings(score={**SCORE, "where": "marks > 'many'"}))


def test_columns_of_an_expression(place: Workplace) -> None:
    """The columns that it names: none of the table if it names none, all of them if it
    takes whole rows.
    """
    set_up_database(place.settings)
    examined = planned(place.settings).tables[0]
    expected: tuple[tuple[str, dict[int, tuple[str, ...]]], ...] = (
        ("true", {}),
        ("body || marks", {examined.info.oid: ("body", "marks")}),
        ("answers::text", {examined.info.oid: ()}),
        ("(SELECT a.body FROM answers AS a LIMIT 1)", {examined.info.oid: ("body",)}),
    )
    for expression, columns in expected:
        assert (
            text_check.columns(place.session, replace(examined.target, text=expression)) == columns
        ), expression


def test_doctor_names_rights_that_score_lacks(place: Workplace) -> None:
    """Settings that name more than `init` has granted are a problem with the command
    that fixes it.
    """
    set_up_database(place.settings)
    settings = place.with_settings(score={**SCORE, "where": None})
    with closing(
        Session(settings.postgres.dsn, role="doctor", prefix=settings.kafka.topic_prefix)
    ) as session:
        seen = checkup.run(session, settings, ExpectedModel("lexical", None, 64)).findings
        rights = [one for one in seen if one.check == "rights"]
        assert [one.level for one in rights] == [Level.PROBLEM]
        assert "read score.question in public.answers" in rights[0].sentence
        set_up_database(settings)
        seen = checkup.run(session, settings, ExpectedModel("lexical", None, 64)).findings
        assert [one.level for one in seen if one.check == "rights"] == [Level.OK]


def test_a_right_that_a_condition_lacks_is_called_one(place: Workplace) -> None:
    """`--where` over columns that the role may not read says which, with the grant;
    else it is what Postgres says.
    """
    set_up_database(place.settings)
    target = planned(place.settings).tables[0].target
    with closing(
        Session(place.settings.postgres.dsn, role="test", prefix=place.settings.kafka.topic_prefix)
    ) as session:
        role = session.connection().info.user

        def refusal(where: str) -> ConfigurationError:
            with pytest.raises(ConfigurationError) as refused:
                enumeration.check_where(session, target, Request(where=where))
            return refused.value

        refused = refusal("marks > 1 OR judge = 2")
        assert (
            refused.message
            == f"role {role} may not read marks, judge of public.answers, which --where names"
        )
        assert refused.fix == (
            "as an owner of the table: "
            f'GRANT SELECT ("marks", "judge") ON "public"."answers" TO "{role}"'
        )
        assert "permission denied for schema graded" in refusal("graded.is_good(1)").message
        place.execute(f'GRANT USAGE ON SCHEMA graded TO "{role}"')
        assert "permission denied for function is_good" in refusal("graded.is_good(1)").message
        place.execute(str(refused.fix).partition(": ")[2])
        enumeration.check_where(session, target, Request(where="marks > 1 OR judge = 2"))
