"""The reaction of a running worker to each kind of failure: one sentence and 78, a retry in
place, or 70 and a traceback.
"""

from pathlib import Path

import pytest

from tests.conftest import MakeWorkplace
from tests.support.init import as_role, setup
from tests.support.prefork import Process
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

SLOW = """
    CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN IF $1 = ''slow'' THEN PERFORM pg_sleep(1.5); END IF; RETURN $1; END'
"""
EDIT = "UPDATE questions SET question = question || '.' WHERE id = 1"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    made = make_workplace(tables=[{"name": "public.questions", "text": "slow(question)"}])
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(SLOW)
    made.vectrue("init")
    return made


def leaves(place: Workplace, worker: Process, code: int, *words: str) -> None:
    """The worker ends with this code, and says these words in its one last line."""
    assert worker.wait(120) == code, place.log("live")[-2000:]
    last = [line for line in place.log("live").splitlines() if "worker exits" in line][-1]
    for word in words:
        assert word in last
    assert ("Traceback" in place.log("live")) == (code == 70)


# What breaks, what the sentence says, what fixes it.
WRONG: list[tuple[str, tuple[str, ...], str]] = [
    (
        (
            "ALTER TABLE questions RENAME question TO asked; UPDATE questions SET asked = asked || "
            "'.' WHERE id = 1"
        ),
        ("column", "question", "does not exist", "vectrue init"),
        "ALTER TABLE questions RENAME asked TO question",
    ),
    (
        f"{EDIT}; ALTER TABLE questions RENAME TO elsewhere",
        ("questions", "does not exist"),
        "ALTER TABLE elsewhere RENAME TO questions",
    ),
    (
        f"ALTER TABLE questions ALTER embedding TYPE vector(32) USING NULL; {EDIT}",
        (
            "public.questions.embedding is declared vector(32)",
            "wants 64 (lexical)",
            "TYPE vector(64)",
        ),
        "ALTER TABLE questions ALTER embedding TYPE vector(64) USING NULL",
    ),
    (
        f"ALTER TABLE questions DROP embedding; {EDIT}",
        ("embedding", "does not exist"),
        "ALTER TABLE questions ADD embedding vector(64)",
    ),
    (
        (
            "ALTER TABLE questions REPLICA IDENTITY NOTHING; INSERT INTO questions (id, question) "
            "VALUES (3, 'x')"
        ),
        ("replica identity",),
        "ALTER TABLE questions REPLICA IDENTITY DEFAULT",
    ),
]


def test_what_the_application_changes_under_a_running_worker(place: Workplace) -> None:
    """Each ends it with 78 and one sentence, and once it is fixed, nothing was lost."""
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'x')")
    for broken, words, mended in WRONG:
        worker = place.start_worker("live")
        place.wait_current()
        place.execute(broken)
        leaves(place, worker, 78, *words)
        place.execute(mended)
    place.start_worker("live")
    place.wait_current()


def test_a_right_that_is_taken_away(place: Workplace) -> None:
    """REVOKE under a running worker: 78, the table is named; GRANT brings back what was
    not handled.
    """
    role = f"worker_{place.value('SELECT current_database()')}"
    place.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    try:
        setup(as_role(place, role))
        worker = place.start_worker("live")
        place.execute(f"REVOKE SELECT (question) ON questions FROM {role}")
        place.execute("INSERT INTO questions (id, question) VALUES (1, 'x')")
        leaves(place, worker, 78, "permission denied", "questions", "vectrue init")
        again = place.start("worker", "--role", "live", log="live")
        leaves(place, again, 78, "permission denied")
        place.execute(f"GRANT SELECT (question) ON questions TO {role}")
        worker = place.start_worker("live")
        place.wait_current()
        worker.terminate()
        assert worker.wait(120) == 0
    finally:
        place.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


BUG = """
import streams.worker.live
def steps(self, records):
    raise ZeroDivisionError("a bug in the lane")
streams.worker.live.Sync.steps = steps
"""


def test_a_bug_ends_it_with_70_and_postgres_away_is_retried_in_place(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bug ends it with a traceback, and nothing is acknowledged. Sessions that end during
    a batch cost the process nothing.

    The session itself makes up for the first end; if the second try fails too, the batch is
    retried.
    """
    (tmp_path / "sitecustomize.py").write_text(BUG, encoding="utf-8")
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'x')")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        worker = place.start("worker", "--role", "live", log="live")
        leaves(place, worker, 70, "a bug in the lane")
    worker = place.start_worker("live")
    place.wait_current()
    place.execute("INSERT INTO questions (id, question) VALUES (2, 'slow'), (3, 'y')")
    reading = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
        "current_database()"
        " AND application_name = 'vectrue live' AND wait_event = 'PgSleep'"
    )
    until(lambda: place.value(reading) > 0, what="a batch in hand")
    until(
        lambda: "retrying" in place.log("live") or place.value(reading) < 0,
        what="a second try that ends too",
    )
    place.wait_current()
    assert worker.poll() is None
