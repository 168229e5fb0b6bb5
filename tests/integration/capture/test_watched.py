"""Settings and database differ after `init`: rows are hidden, tables are swapped."""

import pytest

from connectors.postgres.audit import coverage
from connectors.postgres.health import watched
from connectors.postgres.session import Session
from connectors.postgres.setup import counting
from schemas.errors import ConfigurationError, HiddenRows
from tests.conftest import MakeWorkplace
from tests.support.init import as_role
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, QUESTIONS, Workplace

pytestmark = pytest.mark.stack

HIDDEN = "row-level security of table"


def sentences(place: Workplace) -> list[str]:
    """What differs, as the worker's role sees it."""
    session = Session(place.settings.postgres.dsn, role="test")
    try:
        return [one.sentence for one in watched.differences(session, place.settings)]
    finally:
        session.close()


def asked(place: Workplace) -> list[str]:
    """Tables whose rows are yet to be looked at."""
    return [table for (table,) in place.execute("SELECT table_name FROM vectrue.looks ORDER BY 1")]


def test_rows_hidden_after_init_stop_everything_that_counts_them(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """A policy made after `init` ends the worker with 78 without any event, and no
    command calls the rest true (A1).
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    as_role(place, role)
    place.vectrue("init")
    worker = place.start_worker("live")
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'x')")
    place.wait_current()
    assert sentences(place) == []
    place.execute(
        "ALTER TABLE questions ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON questions USING "
        "(id > 5)"
    )
    until(lambda: worker.poll() is not None, what="the worker to leave")
    assert worker.returncode == 78
    assert f"{HIDDEN} public.questions would hide rows from role {role}" in place.log("live")
    place.execute(
        "INSERT INTO questions (id, question) VALUES (2, 'y'); UPDATE questions SET question = "
        "'z' WHERE id = 1"
    )
    commands = (["status"], ["verify"], ["replay", "run"], ["search", "x"], ["doctor"])
    for command in commands:
        said = place.vectrue(*command, check=False)
        assert said.returncode != 0, command
        words = " ".join(f"{said.stdout} {said.stderr}".split())
        assert HIDDEN in words, command
        assert f'ALTER ROLE "{role}" BYPASSRLS' in words, command
    for kind in ("live", "replay"):
        started = place.start("worker", "--role", kind, log=f"again-{kind}")
        assert started.wait(120) == 78
        assert f'ALTER ROLE "{role}" BYPASSRLS' in place.log(f"again-{kind}")
    place.execute(f"ALTER ROLE {role} BYPASSRLS")
    place.start_worker("live")
    place.wait_current()
    assert place.coverage()["rows"] == 2


def test_whatever_hides_rows_is_named_and_what_hides_none_is_not(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """FORCE for an owner, a role that loses its exemption, a policy on what the text
    reads; not one on a partition.

    A count of nothing by a view that was given other rights is unknown, and so is one
    of a view in the table's place.
    """
    other = {"name": "public.parted", "text": "(SELECT max(name) FROM topics)"}
    place = make_workplace(tables=[QUESTIONS, other])
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute("CREATE TABLE topics (id bigint, name text)")
    place.execute(
        "CREATE TABLE parted (id bigint PRIMARY KEY, embedding vector(64)) PARTITION BY RANGE (id)"
    )
    place.execute("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100)")
    place.execute("INSERT INTO questions (question) VALUES ('x')")
    as_role(place, role)
    place.vectrue("init")
    place.execute("ALTER TABLE parted_1 ENABLE ROW LEVEL SECURITY")
    assert sentences(place) == []

    place.execute("ALTER TABLE topics ENABLE ROW LEVEL SECURITY")
    assert [f"{HIDDEN} topics" in said for said in sentences(place)] == [True]
    place.execute(f"ALTER ROLE {role} BYPASSRLS")
    assert sentences(place) == []
    place.execute(f"ALTER ROLE {role} NOBYPASSRLS; ALTER TABLE topics DISABLE ROW LEVEL SECURITY")

    place.execute(f"GRANT {role} TO CURRENT_USER; GRANT CREATE ON SCHEMA public TO {role}")
    place.execute(
        f"ALTER TABLE questions OWNER TO {role}; ALTER TABLE questions ENABLE ROW LEVEL SECURITY"
    )
    assert sentences(place) == []
    place.execute("ALTER TABLE questions FORCE ROW LEVEL SECURITY")
    assert [f"{HIDDEN} public.questions" in said for said in sentences(place)] == [True]

    worker = Session(place.settings.postgres.dsn, role="test")
    function = counting.function_of(place.settings.kafka.topic_prefix)
    place.execute(f"ALTER FUNCTION vectrue.{function}() SET row_security = on")
    assert worker.rows(
        "SELECT rows FROM vectrue.coverage WHERE table_name = 'public.questions'"
    ) == [(0,)]
    with pytest.raises(HiddenRows):
        coverage.read(worker, place.settings)
    place.execute("ALTER TABLE questions DISABLE ROW LEVEL SECURITY")
    assert [line.rows for line in coverage.read(worker, place.settings)] == [0, 1]
    place.execute("DELETE FROM questions")
    assert [line.rows for line in coverage.read(worker, place.settings)] == [0, 0]

    place.execute(
        "ALTER TABLE questions RENAME TO kept; CREATE VIEW questions AS SELECT * FROM kept "
        "WHERE false"
    )
    place.execute(f"GRANT SELECT ON questions TO {role}")
    assert any("public.questions is a view" in said for said in sentences(place))
    with pytest.raises(ConfigurationError, match="it is a view"):
        coverage.read(worker, place.settings)
    worker.close()
    for command in ("status", "verify", "search"):
        arguments = [command, "x"] if command == "search" else [command]
        assert "public.questions" in place.vectrue(*arguments, check=False).stderr
        assert place.vectrue(*arguments, check=False).returncode != 0


def test_a_table_that_the_view_does_not_count_is_missed(make_workplace: MakeWorkplace) -> None:
    """`init` ran with fewer tables than the settings name: `status` does not present its
    tables as all of them.
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.vectrue("init")
    place.execute("CREATE TABLE answers (id bigint PRIMARY KEY, answer text, embedding vector(64))")
    place.with_settings(tables=[QUESTIONS, {"name": "public.answers", "text": "answer"}])
    said = place.vectrue("status", check=False)
    assert said.returncode != 0
    assert "public.answers" in said.stderr
    assert any("public.answers is not published" in one for one in sentences(place))


def test_a_table_swapped_by_renames_is_named_and_looked_at(make_workplace: MakeWorkplace) -> None:
    """Another table has the name: the worker goes on, says which is published instead,
    and has the rows looked at (A3).

    `init` publishes the new one without a restart of the worker.
    """
    # The worker's keeper looks around once, at the start: what the watcher asks for
    # stays.
    place = make_workplace(keeper={"stale_seconds": 1, "poll_seconds": 3600})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute("CREATE TABLE other (id bigint PRIMARY KEY, body text, embedding vector(64))")
    place.with_settings(tables=[QUESTIONS, {"name": "public.other", "text": "body"}])
    place.vectrue("init")
    worker = place.start_worker("live")
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'x')")
    place.wait_current()
    place.execute(
        "CREATE TABLE beside (LIKE questions INCLUDING ALL); INSERT INTO beside SELECT * FROM "
        "questions"
    )
    place.execute(
        "BEGIN; ALTER TABLE questions RENAME TO old; ALTER TABLE beside RENAME TO questions; COMMIT"
    )
    place.execute("UPDATE questions SET question = 'y' WHERE id = 1")
    until(lambda: "public.questions" in asked(place), what="the table to be looked at")
    assert "table public.questions is not published" in place.log("live")
    assert "public.old" in place.log("live")
    assert "public.questions is not published" in place.vectrue("doctor", check=False).stdout
    place.execute("INSERT INTO other VALUES (1, 'a neighbour')")
    place.wait_current("public.other")
    place.execute("DELETE FROM vectrue.looks")
    until(lambda: asked(place) == ["public.questions"], what="the table to be looked at again")
    place.vectrue("init")
    assert sentences(place) == []
    until(lambda: "is as configured again" in place.log("live"), what="the worker to see it")
    place.execute("UPDATE questions SET question = 'z' WHERE id = 1")
    place.wait_current()
    assert worker.poll() is None
    place.execute(f"DROP PUBLICATION {place.settings.postgres.publication}")
    until(
        lambda: "there is no publication" in place.log("live"), what="the publication to be missed"
    )
    assert any("no publication" in said for said in sentences(place))
    assert worker.poll() is None
