"""`vectrue init` as a superuser runs nothing of a role with fewer rights as that superuser."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import pytest

from connectors.models import open_model
from connectors.postgres import catalog, expressions
from connectors.postgres.checks import trust
from connectors.postgres.health import checkup
from connectors.postgres.health.checkup import ExpectedModel
from connectors.postgres.ledger import enumeration
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.replay import Request
from schemas.settings.reading import Settings
from streams.cli.data import migrate
from streams.setup import init
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, planned, set_up_database, worker_role
from tests.support.workplace import Workplace, server_owner

pytestmark = pytest.mark.stack

POSTS = "CREATE TABLE posts (id bigint PRIMARY KEY, body text, marks int, embedding vector(64))"
SEIZE = """
    CREATE FUNCTION seize() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        BEGIN
            RESET ROLE;
            RESET SESSION AUTHORIZATION;
        EXCEPTION WHEN insufficient_privilege THEN -- where Postgres runs it for an index
        END;
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            ALTER ROLE {app} SUPERUSER;
        END IF;
    END $$;
    CREATE FUNCTION norm(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        PERFORM public.seize();
        RETURN $1;
    END $$
"""
BETTER = """
    CREATE FUNCTION joined(jsonb, text, text) RETURNS jsonb LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM seize();
        RETURN coalesce($1, '{{}}') || jsonb_build_object($2, $3);
    END $$;
    CREATE AGGREGATE jsonb_object_agg(text, text) (SFUNC = joined, STYPE = jsonb);
    CREATE FUNCTION appended(text[], name) RETURNS text[] LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM seize();
        RETURN array_append($1, $2::text);
    END $$;
    CREATE AGGREGATE array_agg(name) (SFUNC = appended, STYPE = text[], INITCOND = '{{}}');
    CREATE FUNCTION unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM seize();
        RETURN QUERY SELECT pg_catalog.unnest($1);
    END $$
"""
"""They fit better than the server's own, which take any type, wherever the search path
leads to them.
"""
BREAKING_OUT = (
    "body)::text FROM posts; CREATE TABLE pwned(); SELECT ('x'",
    "body)::text FROM posts; CREATE TABLE pwned(); SELECT (($q$",
    "body)::text FROM posts UNION SELECT ('x'",
    "body; CREATE TABLE pwned()",
    "body) || (body",
    "body /* x",
    "",
)


@dataclass
class Trial:
    """A database of an application's role, which owns the table, and a role for the
    workers.
    """

    place: Workplace
    app: str
    worker: str

    def as_app(self, statement: str) -> None:
        """Run something as the application's role, logged in: one that was only set
        could be reset.
        """
        dsn = f"postgresql://{self.app}:pw@{self.place.settings.postgres.admin.split('@', 1)[1]}"
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            connection.commit()

    def with_text(self, text: str, **flags: Any) -> Settings:
        """Settings with another text."""
        return self.place.with_settings(tables=[{"name": "public.posts", "text": text}], **flags)

    @property
    def is_seized(self) -> bool:
        """Whether the application's role has become a superuser."""
        return bool(
            self.place.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (self.app,))
        )


@pytest.fixture
def roles(stack: Any) -> Iterator[tuple[str, str]]:
    """The application's and the workers'; they are dropped after the test's database."""
    app = f"app_{secrets.token_hex(4)}"
    with worker_role(stack.postgres_dsn) as worker, server_owner(stack.postgres_dsn) as cursor:
        cursor.execute(f"CREATE ROLE {app} LOGIN PASSWORD 'pw'")
        yield app, worker
        cursor.execute(f"DROP ROLE {app}")


@pytest.fixture
def trial(roles: tuple[str, str], make_workplace: MakeWorkplace) -> Trial:
    """A table with one row that belongs to the application's role; `init` was not run."""
    app, worker = roles
    place = make_workplace()
    place.execute(f"GRANT CREATE ON SCHEMA public TO {app}")
    place.execute(f"GRANT CREATE ON DATABASE {place.value('SELECT current_database()')} TO {app}")
    made = Trial(place, app, worker)
    made.as_app(f"{POSTS}; INSERT INTO posts VALUES (1, 'x', 90); {SEIZE.format(app=app)}")
    as_role(place, worker)
    return made


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("norm(body)", ""),
        ("norm('a constant') || body", ""),
        ("body", "CREATE INDEX ON posts ((norm('a constant'::text)))"),
        ("body", BETTER),
    ],
)
def test_init_runs_nothing_of_the_application_as_a_superuser(
    trial: Trial, text: str, before: str
) -> None:
    """Functions of the application in a text, in an index, or named as the server's
    own: the superuser's rights stay where they are, whatever they reset, and the rows
    are counted all the same.
    """
    settings = trial.with_text(text)
    if before:
        trial.as_app(before.format())
    script, _ = init.print_sql(settings, open_model(settings.model))
    assert "SET search_path = pg_catalog, pg_temp;" in script
    assert not trial.is_seized
    for _ in range(2):
        report = set_up_database(settings)
        assert not trial.is_seized
    assert [(line.rows, line.missing) for line in report.tables] == [(1, 1)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        trial.as_app("SELECT pg_read_file('/etc/hostname')")


DOMAIN = """
    CREATE FUNCTION odd(int) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.seize(); RETURN true; END $$;
    CREATE DOMAIN checked AS int CHECK (odd(VALUE));
    CREATE TYPE composed AS (part checked)
"""


@pytest.mark.parametrize(
    "text",
    [
        "body || ('{1}'::checked[])::text",
        "body || ('(1)'::composed)::text",
        "body || (E'\\x7b1}'::checked[])::text",
    ],
)
def test_a_domain_of_the_application_is_not_checked_as_a_superuser(trial: Trial, text: str) -> None:
    """The parser makes the value of a quoted array, and checks its domain: so such a
    text is refused unparsed.
    """
    trial.as_app(DOMAIN)
    settings = trial.with_text(text)
    for attempt in (
        lambda: init.print_sql(settings, open_model(settings.model)),
        lambda: set_up_database(settings),
    ):
        with pytest.raises(
            ConfigurationError, match=rf"might run public\.odd\(integer\) of role {trial.app}"
        ):
            attempt()
    assert not trial.is_seized
    score = {
        "table": "public.posts",
        "question": "id",
        "where": text.replace("body || ", "body <> "),
    }
    with pytest.raises(ConfigurationError, match=r"public\.odd\(integer\)"):
        set_up_database(trial.with_text("body || 'and {not first}'", score=score))
    set_up_database(
        trial.with_text("body || 'and {not first}'", score={"table": "public.posts", "where": None})
    )
    assert not trial.is_seized


def test_a_change_of_the_model_is_counted_as_the_worker(trial: Trial) -> None:
    """How many vectors become stale is read by the workers' role, which reads the
    application's table all day.
    """
    trial.as_app("CREATE INDEX ON posts ((norm('a constant'::text)))")
    set_up_database(trial.with_text("body"))
    trial.place.execute("UPDATE vectrue.targets SET model = 'another'")
    # a superuser's UPDATE would run what the index calls
    trial.as_app("UPDATE posts SET embedding_model = 'another'")
    report = set_up_database(trial.place.settings)
    assert not trial.is_seized
    assert any(
        "from another to lexical" in n and "1 vectors become stale" in n for n in report.notices
    ), report.notices


def test_a_superuser_alone_counts_nothing_that_others_can_reach(trial: Trial) -> None:
    """Without a role of its own for the workers the rows are not counted where others
    have functions, and it is said whose they are and what to do.
    """
    settings = trial.with_text(
        "norm(body)", postgres={"dsn": trial.place.settings.postgres.admin, "admin_dsn": None}
    )
    report = set_up_database(settings)
    assert not trial.is_seized
    assert report.tables == ()
    said = next(notice for notice in report.notices if "not counted" in notice)
    assert (
        f"belongs to role {trial.app}): name a role of its own for the workers in postgres.dsn"
        in said
    )
    with closing(
        Session(settings.postgres.dsn, role="doctor", prefix=settings.kafka.topic_prefix)
    ) as session:
        findings = checkup.run(session, settings, ExpectedModel("lexical", None, 64)).findings
    assert f"of role {trial.app}, once a text calls it" in " ".join(
        f.sentence for f in findings if f.check == "rights"
    )
    trial.as_app("DROP FUNCTION norm; DROP FUNCTION seize")
    report = set_up_database(trial.with_text("body"))
    assert [line.rows for line in report.tables] == [1]


def test_a_schema_that_is_not_the_superusers_is_refused(trial: Trial) -> None:
    """Someone who may make schemas has made ours, with a view that runs a function: it
    is named, and not read.
    """
    trial.as_app(
        "CREATE SCHEMA vectrue; CREATE VIEW vectrue.migrations AS SELECT 1 AS version, "
        "norm('x') AS name"
    )
    settings = trial.with_text("body")
    attempts = (
        lambda: init.print_sql(settings, open_model(settings.model)),
        lambda: set_up_database(settings),
        lambda: migrate.admin(settings).rows("SELECT version FROM vectrue.migrations"),
    )
    for attempt in attempts:
        with pytest.raises(
            ConfigurationError, match=rf"the schema vectrue belongs to role {trial.app}"
        ):
            attempt()
    trial.place.execute("ALTER SCHEMA vectrue OWNER TO CURRENT_USER")
    with pytest.raises(
        ConfigurationError, match=rf"vectrue\.migrations belongs to role {trial.app}"
    ):
        set_up_database(settings)
    assert not trial.is_seized


@pytest.mark.parametrize("text", BREAKING_OUT)
def test_a_text_that_is_not_one_expression_is_refused(trial: Trial, text: str) -> None:
    """A text that leaves its place is named by `init` and `init --print-sql`, and runs
    nowhere.
    """
    if not text:
        trial.with_text("body")
        # which the settings refuse themselves
        trial.place.settings.tables[0].__dict__["text"] = text
        settings = trial.place.settings
    else:
        settings = trial.with_text(text)
    for attempt in (
        lambda: init.print_sql(settings, open_model(settings.model)),
        lambda: set_up_database(settings),
    ):
        with pytest.raises(
            ConfigurationError, match=r"the text of table public\.posts is not a valid expression"
        ):
            attempt()
    assert trial.place.value("SELECT to_regclass('pwned')") is None
    assert trial.place.value("SELECT to_regnamespace('vectrue')") is None


@pytest.mark.parametrize("text", BREAKING_OUT)
def test_a_condition_that_is_not_one_is_refused(trial: Trial, text: str) -> None:
    """The same for `score.where` at `init`, and for `--where` wherever it is given."""
    where = text.replace("body", "true").replace("::text", "")
    settings = trial.with_text("body", score={"table": "public.posts", "where": where})
    with pytest.raises(
        ConfigurationError, match=r"score\.where is not a condition on public\.posts"
    ):
        init.print_sql(settings, open_model(settings.model))
    set_up_database(trial.with_text("body", score={"table": "public.posts", "where": None}))
    target = planned(trial.place.settings).tables[0].target
    with (
        closing(Session(trial.place.settings.postgres.dsn, role="test")) as session,
        pytest.raises(VectrueError, match=r"--where is not a condition on public\.posts"),
    ):
        enumeration.check_where(session, target, Request(where=where))
    assert trial.place.value("SELECT to_regclass('pwned')") is None


def test_an_expression_may_hold_whatever_stands_in_brackets_or_quotes(trial: Trial) -> None:
    """Semicolons in a text, comments, quotes of every kind, lists of values: what
    Postgres takes as one is one.
    """
    texts = (
        "body || '; '",
        "body -- ; )",
        "body /* ) ; */",
        "body || $q$; ) '$q$",
        "E'\\'; )' || body",
        "(SELECT body)",
        "CASE WHEN marks > 1 THEN body END",
        "concat_ws(E'\n', VARIADIC ARRAY[body, U&'\\003B'])",
        "(body, marks)::text",
    )
    for text in texts:
        settings = trial.with_text(text)
        init.print_sql(settings, open_model(settings.model))
    set_up_database(trial.with_text("body"))
    target = planned(trial.place.settings).tables[0].target
    with closing(Session(trial.place.settings.postgres.dsn, role="test")) as session:
        enumeration.check_where(session, target, Request(where="body LIKE '%;%' -- ) ;"))
        for text in texts:
            assert expressions.refusal(session, text) is None, text


def test_doctor_and_workers_plan_a_text_in_a_read_only_transaction(trial: Trial) -> None:
    """What planning runs can write nothing; where nothing of others may run at all,
    nothing is planned.
    """
    trial.place.execute("CREATE TABLE noted (id int); GRANT INSERT ON noted TO PUBLIC")
    trial.as_app(
        "CREATE FUNCTION note() RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO public.noted VALUES (1); RETURN 'x'; END $$; "
        "CREATE FUNCTION fixed(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN "
        "public.note(); END $$"
    )
    set_up_database(trial.with_text("body"))
    target = replace(planned(trial.place.settings).tables[0].target, text="fixed('x') || body")
    postgres = trial.place.settings.postgres
    with (
        closing(
            Session(postgres.dsn, role="test", prefix=trial.place.settings.kafka.topic_prefix)
        ) as session,
        pytest.raises(ConfigurationError, match="read-only transaction"),
    ):
        catalog.check_text(session, target)
    with closing(Session(postgres.admin, role="test", guard=trust.guard)) as session:
        catalog.check_text(session, target)
    assert trial.place.value("SELECT count(*) FROM noted") == 0


def test_a_guarded_session_finds_names_of_the_server_alone(trial: Trial) -> None:
    """From its first statement on, and again on each new connection; texts have the
    search path that was recorded.
    """
    set_up_database(trial.with_text("body"))
    prefix = trial.place.settings.kafka.topic_prefix
    with closing(
        Session(trial.place.settings.postgres.admin, role="test", prefix=prefix, guard=trust.guard)
    ) as session:
        for _ in range(2):
            assert session.rows("SHOW search_path") == [("pg_catalog, pg_temp",)]
            assert session.path == "public, pg_temp"
            session.close()


def test_the_function_behind_the_view_has_a_search_path_of_its_own(trial: Trial) -> None:
    """Anyone who asks the view gets the workers' search path, and names of temporary
    objects count last.
    """
    set_up_database(trial.with_text("body"))
    settings = trial.place.value(
        "SELECT array_to_string(proconfig, E'\n') FROM pg_proc WHERE proname LIKE 'count\\_rows%' "
        "AND pronamespace = 'vectrue'::regnamespace"
    )
    assert "search_path=public, pg_temp" in settings.splitlines()
