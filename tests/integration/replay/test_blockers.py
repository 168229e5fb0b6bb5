"""The session that blocks is named, and no other; and the command to repeat is the one
that was typed.
"""

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from connectors.clock import SystemClock
from connectors.local.stack import LocalStack
from connectors.postgres import statement
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from schemas.errors import TransientError
from tests.support.own_postgres import postgres_alone
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

TO = ("--model", "lexical", "--dimensions", "96")


@contextmanager
def session(place: Workplace, application: str, *statements: str) -> Iterator[Cursor]:
    """A transaction of an application, open until the end."""
    other = psycopg2.connect(place.settings.postgres.dsn, application_name=application)
    try:
        with other.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            yield cursor
    finally:
        other.close()


@pytest.fixture
def started(ready: Workplace) -> Workplace:
    """A table whose migration has begun; locks are waited for briefly."""
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 20) AS i"
    )
    ready.with_settings(postgres={"lock_timeout_seconds": 0.3})
    ready.vectrue("migrate", "start", *TO)
    return ready


def pid(cursor: Cursor) -> int:
    """Of the server's process."""
    return cursor.connection.info.backend_pid


def test_the_reader_is_named_and_not_the_oldest_writer(started: Workplace) -> None:
    """A reader holds the table, an older transaction has written elsewhere: the reader
    alone is in the way.
    """
    started.execute("CREATE TABLE elsewhere (id integer)")
    with (
        session(started, "innocent", "INSERT INTO elsewhere VALUES (1)") as writer,
        session(started, "reporting", "SELECT count(*) FROM questions") as reader,
    ):
        done = started.vectrue("migrate", "rollback", "--yes", check=False)
        assert done.returncode == 1
        said = " ".join(done.stderr.split())
        assert f"blocked by pid {pid(reader)}, user " in said
        assert "application reporting, in a transaction for" in said
        assert "innocent" not in said
        assert str(pid(writer)) not in said
        assert f"SELECT pg_terminate_backend({pid(reader)})" in said
        assert "migrate rollback --yes`" in said
        assert "vectrue init" not in said
        assert "count(*)" not in said  # what others run is theirs


def test_who_stands_before_us_in_the_queue_and_whom_that_one_waits_for(started: Workplace) -> None:
    """Someone waits for a reader, and we wait behind both: the reader must be
    ended.
    """
    behind = "LOCK TABLE questions IN EXCLUSIVE MODE"
    with (
        ThreadPoolExecutor(1) as pool,
        session(started, "migrator", "SET lock_timeout = '90s'") as other,
        session(started, "reporting", "LOCK TABLE questions IN ROW SHARE MODE") as reader,
    ):
        queued, reading = pid(other), pid(reader)
        waits = pool.submit(other.execute, behind)
        until(
            lambda: started.value("SELECT cardinality(pg_blocking_pids(%s))", (queued,)),
            what="the other to wait",
        )
        done = started.vectrue("migrate", "rollback", "--yes", check=False)
        reader.connection.rollback()
        waits.result()
    said = " ".join(done.stderr.split())
    assert f"blocked by pid {reading}, user " in said
    assert re.search(r"application migrator[^;]*, which waits itself", said)
    assert f"SELECT pg_terminate_backend({reading})" in said


def test_a_command_that_waits_says_for_whom(started: Workplace) -> None:
    """No time-out ends a count: who holds the table is said while it stands still, and
    then it goes on.
    """
    with session(started, "maintenance", "LOCK TABLE questions IN ACCESS EXCLUSIVE MODE") as holder:
        process = started.start("replay", "plan", "--exact", log="plan")
        until(
            lambda: "waiting for pid" in started.log("plan"),
            what="the command to say what it waits for",
        )
        waited_for = pid(holder)
    assert process.wait(120) == 0, started.log("plan")
    said = " ".join(started.log("plan").split())
    assert said.count("waiting for pid") == 1
    assert f"waiting for pid {waited_for}, user " in said
    assert "application maintenance, in a transaction for" in said


@pytest.fixture
def unbuilt(ready: Workplace) -> Workplace:
    """A migration whose index is yet to be built, of a table without rows."""
    ready.execute("CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)")
    ready.execute("CREATE TABLE elsewhere (id integer)")
    ready.vectrue("migrate", "start", *TO)
    return ready


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_an_index_build_names_the_snapshot_it_waits_for(
    unbuilt: Workplace, number: int, code: int
) -> None:
    """A forgotten transaction that never touched the table holds a build up: it is
    named. The build ends with its command, also a killed one's, and the next one goes
    on.
    """
    snapshot = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM elsewhere")
    with session(unbuilt, "forgotten", *snapshot) as holder:
        process = unbuilt.start("migrate", "index", log="index")
        until(
            lambda: "waiting for pid" in unbuilt.log("index"),
            what="the build to say what it waits for",
        )
        said = " ".join(unbuilt.log("index").split())
        assert f"waiting for pid {pid(holder)}, user " in said
        assert "application forgotten, in a transaction for" in said
        process.send_signal(number)
        assert process.wait(120) == code
        building = (
            "SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()"
        )
        until(lambda: not unbuilt.value(building), what="the build to end on the server")
    done = unbuilt.vectrue("migrate", "index")
    assert "done: build the index" in done.stderr


class Hasty(SystemClock):
    """Does not wait between two attempts."""

    def wait(self, seconds: float) -> None:
        """A moment."""
        super().wait(min(seconds, 0.1))


def test_a_prepared_transaction_is_named_by_its_gid(tmp_path: Path) -> None:
    """It has no process that could be asked or ended, and what it read stays locked:
    its name is what ends it.
    """
    with postgres_alone(tmp_path) as dsn:
        owner = Session(dsn, role="test")
        owner.rows("CREATE TABLE t (id integer)")
        owner.rows("ALTER SYSTEM SET max_prepared_transactions = 4")
        owner.close()
        server = LocalStack(tmp_path)
        server.stop("postgres")
        server.start("postgres")
        with closing(psycopg2.connect(dsn)) as other, other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM t")
            cursor.execute("PREPARE TRANSACTION 'left behind'")
        with pytest.raises(TransientError) as refused:
            statement.run(
                owner,
                Statement("drop the table t", "DROP TABLE t"),
                lock_seconds=0.5,
                clock=Hasty(),
            )
        assert (
            "blocked by the prepared transaction left behind, in a transaction for"
            in refused.value.message
        )
        assert refused.value.fix is not None
        assert (
            "ROLLBACK PREPARED 'left behind' (or COMMIT PREPARED 'left behind')"
            in refused.value.fix
        )
        owner.rows("ROLLBACK PREPARED 'left behind'")
        statement.run(
            owner, Statement("drop the table t", "DROP TABLE t"), lock_seconds=0.5, clock=Hasty()
        )
        owner.close()
