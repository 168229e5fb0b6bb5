"""The application changes its tables while a worker runs: what does not concern the vectors stops nothing."""

import threading

import pytest

from tests.conftest import MakeWorkplace
from tests.support.init import setup
from tests.support.locks import transaction
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

TABLES = ("public.questions", "public.parted", "public.leaving")
PARTED = (
    "(id bigint, region text, body text, embedding vector(64), PRIMARY KEY (region, id)) PARTITION BY LIST (region)"
)


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A plain table, a partitioned one, and one that will be renamed; a live worker runs."""
    named = [{"name": name, "text": "body"} for name in TABLES[1:]]
    made = make_workplace(tables=[{"name": TABLES[0], "text": "question"}, *named], kafka={"partitions": 1})
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(f"CREATE TABLE parted {PARTED}; CREATE TABLE parted_kr PARTITION OF parted FOR VALUES IN ('kr')")
    made.execute("CREATE TABLE leaving (id bigint PRIMARY KEY, body text, embedding vector(64))")
    made.embedsync("init")
    return made


def test_columns_types_partitions_and_names_change_under_a_running_worker(place: Workplace) -> None:
    """New columns, other types, a new partition, a table renamed away: the worker goes on with the rest."""
    worker = place.start_worker("live")
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'x'); INSERT INTO leaving VALUES (1, 'x')")
    place.execute("INSERT INTO parted VALUES (1, 'kr', 'x')")
    for table in TABLES:
        place.wait_current(table)
    steps = (
        "ALTER TABLE questions ADD note text NOT NULL DEFAULT 'n', DROP views",
        "ALTER TABLE questions ALTER question TYPE varchar(500)",
        "ALTER TABLE questions ALTER question TYPE text",
        "ALTER TABLE questions ADD COLUMN later int GENERATED ALWAYS AS (length(question)) STORED",  # a rewrite
        "CREATE INDEX ON questions USING hnsw (embedding vector_cosine_ops)",
    )
    for number, step in enumerate(steps, 2):
        place.execute(step)
        place.execute("UPDATE questions SET question = question || '.'")
        place.execute("INSERT INTO questions (id, question) VALUES (%s, 'y')", (number,))
    place.wait_current()
    place.execute("CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')")
    place.execute(
        "CREATE TABLE parted_jp (LIKE parted INCLUDING ALL); INSERT INTO parted_jp VALUES (3, 'jp', 'attached')"
    )
    place.execute("ALTER TABLE parted ATTACH PARTITION parted_jp FOR VALUES IN ('jp')")
    place.execute(
        "INSERT INTO parted VALUES (2, 'us', 'y'); UPDATE parted SET body = body || '.', region = 'us' WHERE id = 1"
    )
    place.execute("UPDATE parted SET body = body || '.' WHERE region = 'jp'")
    place.wait_current("public.parted")
    # Renamed with nothing of it on the way: no event names it any more, and its neighbours go on.
    place.execute("ALTER TABLE leaving RENAME TO gone")
    place.execute("UPDATE questions SET question = 'after' WHERE id = 1")
    until(lambda: current_question(place), what="the neighbour of the table that went away")
    assert worker.poll() is None
    # Whoever asks is told which; the worker says so at its next start, and nothing was lost when the name is back.
    assert 'relation "public.leaving" does not exist' in place.embedsync("status", check=False).stderr
    worker.terminate()
    assert worker.wait(30) == 0
    started = place.start("worker", "--role", "live", log="live")
    assert started.wait(30) == 78
    assert "there is no table public.leaving" in place.log("live")
    place.execute("ALTER TABLE gone RENAME TO leaving")
    place.execute("UPDATE leaving SET body = body")
    place.start_worker("live")
    place.wait_current("public.leaving")


def current_question(place: Workplace) -> bool:
    return bool(place.value("SELECT embedding_hash = sha256('after') FROM questions WHERE id = 1"))


def test_init_never_makes_the_application_wait_behind_it(make_workplace: MakeWorkplace) -> None:
    """A report reads the table for long: `init` asks again and again, queries behind it go through, then it is done."""
    place = make_workplace(postgres={"lock_timeout_seconds": 0.1})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    done: list[object] = []
    with transaction(place, "SELECT count(*) FROM questions") as report:
        thread = threading.Thread(target=lambda: done.append(setup(place.settings)))
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'questions'::regclass"
        with transaction(place, "SET lock_timeout = '5s'") as application:
            for number in range(3):
                until(lambda: place.value(waiting) > 0, what="the DDL to queue for the table")
                application.execute("INSERT INTO questions (question) VALUES (%s)", (f"{number}",))
                application.connection.commit()
        assert not done
        report.connection.rollback()
    thread.join(60)
    assert len(done) == 1
    assert place.value("SELECT count(*) FROM questions") == 3
