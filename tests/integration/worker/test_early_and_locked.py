"""Early events and locked rows on the real database: neighbours are handled at once, and
the row itself is never lost.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import MakeWorkplace
from tests.support.locks import end_offsets, hint, transaction, unseen
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

LIVE = {"early_wait_ms": 20, "defer_seconds": 0.2, "defer_limit_seconds": 1}
BEGUN_BEFORE = """
    SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state = 'active' AND query_start < %s
        AND pid <> pg_backend_pid()
"""
SIMPLE = "(id bigint PRIMARY KEY, body text, embedding vector(64))"


def current(place: Workplace, *keys: int, table: str = "questions", text: str = "question") -> bool:
    """Whether these rows have the vector of their text; reads this table alone."""
    query = (
        f"SELECT count(*) FROM {table} WHERE id = ANY (%s) AND embedding_hash = "
        f"sha256(convert_to({text}, 'UTF8'))"
    )
    return bool(place.value(query, (list(keys),)) == len(keys))


def deferred(place: Workplace) -> int:
    return end_offsets(place, place.settings.deferred_topic)


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """One partition per topic, so that a row that stops it stops all; short deferrals."""
    names = [{"name": f"public.{name}", "text": "body"} for name in ("indexed", "altered")]
    questions = {"name": "public.questions", "text": "question"}
    made = make_workplace(
        tables=[questions, *names],
        live=LIVE,
        kafka={"partitions": 1},
        postgres={"lock_timeout_seconds": 0.2},
    )
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(f"CREATE TABLE indexed {SIMPLE}; CREATE TABLE altered {SIMPLE}")
    made.vectrue("init")
    return made


@pytest.fixture
def standby_away(place: Workplace) -> Iterator[None]:
    """Commits with synchronous_commit = on wait for ever; everyone else's are made
    asynchronous first.

    First means before: anyone's commit that had begun with the old setting would
    wait for the standby, too, and Connect or a worker would then stand still for as
    long as the test lasts.
    """
    try:
        place.execute("ALTER SYSTEM SET synchronous_commit = local")
        place.execute("SELECT pg_reload_conf()")
        until(
            lambda: place.value("SHOW synchronous_commit") == "local",
            what="commits that wait for nobody",
        )
        now = place.value("SELECT clock_timestamp()")
        until(
            lambda: not place.execute(BEGUN_BEFORE, (now,)),
            what="commands that began with the old setting to end",
        )
        place.execute("ALTER SYSTEM SET synchronous_standby_names = 'nosuch'")
        place.execute("SELECT pg_reload_conf()")
        until(
            lambda: place.value("SHOW synchronous_standby_names") == "nosuch",
            what="the setting to be in force",
        )
        yield
    finally:
        standby_back(place)


def standby_back(place: Workplace) -> None:
    place.execute("ALTER SYSTEM RESET synchronous_standby_names")
    place.execute("ALTER SYSTEM RESET synchronous_commit")
    place.execute("SELECT pg_reload_conf()")


def commit_in_background(place: Workplace, *statements: str) -> threading.Thread:
    """One transaction whose commit waits for the standby."""

    def work() -> None:
        with transaction(place, "SET LOCAL synchronous_commit = on", *statements) as cursor:
            cursor.connection.commit()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_commits_that_wait_for_a_standby_for_longer_than_every_bound(
    place: Workplace, request: pytest.FixtureRequest
) -> None:
    """A row changed twice in one transaction, one that moved to another key, a second
    session behind: none is lost.
    """
    place.execute(
        "INSERT INTO questions (id, question) VALUES (1, 'old'), (2, 'old too'), (3, 'z')"
    )
    place.start_worker("live")
    place.wait_current()
    topic = f"{place.settings.kafka.topic_prefix}.public.questions"
    before = end_offsets(place, topic)
    request.getfixturevalue("standby_away")
    first = commit_in_background(
        place,
        "UPDATE questions SET question = 'a' WHERE id = 1",
        "UPDATE questions SET question = 'b' WHERE id = 1",
        "UPDATE questions SET id = 102, question = 'moved' WHERE id = 2",
    )
    threads = [first]
    try:
        until(
            lambda: end_offsets(place, topic) >= before + 3,
            what="events of a commit that nobody sees",
        )
        # The first holds its row locks while it waits, so a second change of the row
        # cannot even be made.
        threads.append(
            commit_in_background(place, "UPDATE questions SET question = 'c' WHERE id = 1")
        )
        started = place.value("SELECT clock_timestamp()")
        place.execute("UPDATE questions SET question = 'a neighbour' WHERE id = 3")
        until(lambda: current(place, 3), what="the neighbour, while the commit is held")
        bound = place.settings.live.defer_limit_seconds + 1
        until(
            lambda: (
                place.value("SELECT extract(epoch FROM clock_timestamp() - %s)", (started,)) > bound
            ),
            what="all bounds",
        )
        looked = deferred(place)
        until(lambda: deferred(place) > looked, what="the rows to be deferred after the limit, too")
        assert place.value("SELECT question FROM questions WHERE id = 1") == "old"
        assert place.value("SELECT count(*) FROM questions WHERE id = 102") == 0
    finally:
        standby_back(place)
        for thread in threads:
            thread.join(120)
    place.wait_current()
    rows = place.execute("SELECT id, question FROM questions ORDER BY id")
    assert rows == [(1, "c"), (3, "a neighbour"), (102, "moved")]


def test_a_transaction_that_vanished_in_a_failover(place: Workplace) -> None:
    """An event whose transaction this server never had is deferred up to the limit;
    then the row is taken as it is.
    """
    place.execute("INSERT INTO questions (id, question) VALUES (1, 'old'), (2, 'x')")
    place.start_worker("live")
    place.wait_current()
    unseen(place, "UPDATE questions SET question = 'new' WHERE id = 1")
    assert not current(place, 1)
    future = place.value("SELECT (pg_current_xact_id()::text::bigint + 1000000000) % 4294967296")
    hint(place, "questions", 1, txid=future)
    until(lambda: deferred(place) >= 2, what="the row to be deferred twice")
    place.execute("UPDATE questions SET question = 'y' WHERE id = 2")
    place.wait_current()


HOLDS = {
    1: "SELECT FROM questions WHERE id = 1 FOR UPDATE",
    2: "SELECT FROM questions WHERE id = 2 FOR SHARE",
    3: "UPDATE questions SET question = 'committed' WHERE id = 3",
    4: "UPDATE questions SET question = 'never' WHERE id = 4",
}


def test_locked_rows_and_tables_stop_nobody_else(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row locks of every kind, an index build, a table taken as a whole: neighbours at
    once, the rest at the end.
    """
    place.execute(
        "INSERT INTO questions (id, question) SELECT i, 'x' || i FROM generate_series(1, 6) AS i"
    )
    place.execute("INSERT INTO indexed (id, body) VALUES (1, 'x')")
    unseen(place, "INSERT INTO altered (id, body) VALUES (1, 'x')")
    with ExitStack() as held:
        holders = {
            key: held.enter_context(transaction(place, statement))
            for key, statement in HOLDS.items()
        }
        # Does not conflict with a write that changes no key.
        held.enter_context(transaction(place, "SELECT FROM questions WHERE id = 5 FOR KEY SHARE"))
        # as CREATE INDEX does
        tables = [held.enter_context(transaction(place, "LOCK TABLE indexed IN SHARE MODE"))]
        place.start_worker("live")
        tables.append(
            held.enter_context(transaction(place, "LOCK TABLE altered IN ACCESS EXCLUSIVE MODE"))
        )
        started = time.monotonic()
        hint(place, "altered", 1)
        until(lambda: current(place, 5, 6), what="the neighbours")
        neighbours = time.monotonic() - started
        place.execute(
            "INSERT INTO questions (id, question) VALUES (7, 'later, in the same partition')"
        )
        until(lambda: current(place, 7), what="a later change of the partition")
        until(lambda: deferred(place) >= 12, what="each held row to be deferred, and again")
        assert not any(current(place, key) for key in HOLDS)
        assert not current(place, 1, table="indexed", text="body")
        started = time.monotonic()
        holders[3].connection.commit()
        for cursor in (*(holders[key] for key in (1, 2, 4)), *tables):
            cursor.connection.rollback()
        for table in ("questions", "indexed", "altered"):
            place.wait_current(f"public.{table}")
        ended = time.monotonic() - started
    assert place.execute("SELECT question FROM questions WHERE id IN (3, 4) ORDER BY id") == [
        ("committed",),
        ("x4",),
    ]
    with capsys.disabled():
        print(f"\n  neighbours {neighbours:.2f} s, held rows {ended:.2f} s after the last lock")


TOUCH = """
    CREATE TABLE topics (id int PRIMARY KEY, touched int NOT NULL DEFAULT 0);
    INSERT INTO topics VALUES (1), (2);
    CREATE SEQUENCE tries;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.question = 'frozen' THEN
            RAISE EXCEPTION 'this row is frozen: %', NEW.question;
        END IF;
        IF NEW.question = 'deadlock' AND nextval('tries') = 1 THEN RAISE SQLSTATE '40P01'; END IF;
        IF NEW.question = 'deadlock' AND nextval('tries') = 3 THEN RAISE SQLSTATE '40001'; END IF;
        UPDATE topics SET touched = touched + 1 WHERE id = NEW.views;
        RETURN NEW;
    END $$;
    CREATE TRIGGER touched AFTER UPDATE ON questions FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.question = 'frozen late' THEN RAISE EXCEPTION 'too late'; END IF;
        RETURN NEW;
    END $$;
    CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON questions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse_late();
"""


def test_triggers_that_lock_refuse_and_deadlock(place: Workplace) -> None:
    """The worker gives way in a deadlock, retries a rollback, and quarantines what a
    trigger refuses, even late.
    """
    place.execute(TOUCH)
    place.execute(
        "INSERT INTO questions (id, question, views) VALUES"
        " (1, 'about 1', 1), (2, 'about 2', 2), (3, 'frozen', 2), (4, 'deadlock', 2), (5, ' ', 2),"
        " (6, 'frozen late', 2)"
    )
    # What a role may have set for itself must not make each write fail, or give one row
    # two texts.
    database = place.value("SELECT current_database()")
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "statement_timeout = '100ms'",
        "datestyle = 'SQL, DMY'",
    ):
        place.execute(f"ALTER DATABASE {database} SET {setting}")
    with transaction(
        place,
        "SET statement_timeout = 0; SET TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED",
        "UPDATE topics SET touched = touched WHERE id = 1",
    ) as application:
        place.start_worker("live")
        until(
            lambda: current(place, 2, 4),
            what="the rows of the other topic, and the one that was rolled back",
        )
        until(lambda: deferred(place) >= 1, what="the row whose trigger waits to be deferred")
        # The opposite order: the worker locks the question first, then the topic.
        application.execute("UPDATE questions SET question = 'edited' WHERE id = 1")
        application.connection.commit()
    until(lambda: place.coverage()["current"] == 3, what="all but the refused rows")
    seen = place.coverage()
    assert (seen["blank"], seen["quarantined"]) == (1, 2)
    lines = place.execute("SELECT key, reason FROM vectrue.quarantine ORDER BY key")
    assert lines == [([key], "the table refuses the write (RaiseException)") for key in ("3", "6")]
    assert "this row is frozen" not in place.log("live")
    place.execute("UPDATE questions SET question = 'thawed' WHERE id IN (3, 6)")
    place.wait_current()
    assert place.value("SELECT count(*) FROM vectrue.quarantine") == 0


def test_one_refused_row_of_a_replay_is_counted_and_its_neighbours_written(
    place: Workplace,
) -> None:
    """A constraint that only the vector write would break: one row in quarantine, the
    chunk done.
    """
    unseen(
        place,
        "INSERT INTO questions (id, question) SELECT i, 'x' || i FROM generate_series(1, 20) AS i",
    )
    place.execute(
        "ALTER TABLE questions ADD CONSTRAINT no_seven CHECK (id <> 7 OR embedding IS NULL)"
    )
    place.start_worker("replay")
    done = place.vectrue("replay", "run", check=False)
    assert done.returncode == 1
    counts = place.execute(
        "SELECT sum(embedded), sum(quarantined), sum(done_keys) FROM vectrue.replay_chunks"
    )
    assert counts == [(19, 1, 20)]
    reason = place.value("SELECT reason FROM vectrue.quarantine")
    assert reason == "the table refuses the write (CheckViolation by no_seven)"


ARCHIVE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {} THEN
            RAISE insufficient_privilege USING MESSAGE = 'archived: ' || NEW.question;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON questions FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_many_rows_that_are_refused_stop_nobody_where_the_table_takes_others(
    place: Workplace,
) -> None:
    """A trigger protects an archive, twenty rows in one transaction: they go to quarantine,
    and the next row is embedded.
    """
    place.execute(ARCHIVE.format("OLD.views = 9"))
    worker = place.start_worker("live")
    place.execute(
        "INSERT INTO questions (id, question) SELECT i, 'good ' || i FROM generate_series(1, 3) "
        "AS i"
    )
    place.wait_current()
    place.execute(
        "INSERT INTO questions (id, question, views) SELECT i, 'old', 9 FROM "
        "generate_series(11, 30) AS i"
    )
    until(lambda: place.coverage()["quarantined"] == 20, what="the archive in quarantine")
    assert place.value("SELECT DISTINCT reason FROM vectrue.quarantine") == (
        "the table refuses the write (InsufficientPrivilege)"
    )
    place.execute("INSERT INTO questions (id, question) VALUES (4, 'good 4')")
    until(lambda: place.coverage()["current"] == 4, what="the next row")
    # the trial is over
    assert place.value("SELECT count(*) FROM questions WHERE embedding_hash = sha256('')") == 0
    assert worker.poll() is None


def test_a_table_that_takes_no_row_fills_no_quarantine(place: Workplace) -> None:
    """If a trigger is broken, the worker says so and leaves. The whole batch waits, since
    it is not known which rows are at fault.
    """
    place.with_settings(live={"batch_size": 20, "linger_ms": 60_000.0})
    place.execute(
        "INSERT INTO questions (id, question) SELECT i, 'x' || i FROM generate_series(1, 20) AS i"
    )
    place.execute(ARCHIVE.format("true"))
    worker = place.start("worker", "--role", "live", log="live")
    assert until(worker.poll, what="the worker to leave") == 70
    assert "table public.questions took none of " in place.log("live")
    assert place.coverage()["quarantined"] == 0


def test_a_trigger_that_always_wants_another_try_has_its_row_deferred(place: Workplace) -> None:
    """Its neighbours are written at once, and the row itself once the trigger lets it."""
    place.execute(
        ARCHIVE.replace("insufficient_privilege", "SQLSTATE '40001'").format("NEW.id = 2")
    )
    place.start_worker("live")
    place.execute(
        "INSERT INTO questions (id, question) SELECT i, 'x' || i FROM generate_series(1, 3) AS i"
    )
    until(lambda: current(place, 1, 3), what="the neighbours")
    until(lambda: deferred(place) >= 2, what="the row to be deferred, and again")
    place.execute("DROP TRIGGER refuse ON questions")
    place.wait_current()
