"""No committed offset passes an event that is not handled (I3): the worker is stopped
within its write, then killed.

A trigger on the table holds the write, so the moment is chosen by the test and not by
luck. One partition, so that one committed offset tells everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

HOLD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1);
        RETURN NEW;
    END $$;
    CREATE TRIGGER hold BEFORE UPDATE OF embedding ON questions FOR EACH ROW EXECUTE FUNCTION hold()
"""
REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        -- An error of the server itself, about no row: one that is raised here would send
        -- the row to quarantine.
        SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE UPDATE OF embedding ON questions
        FOR EACH ROW EXECUTE FUNCTION refuse()
"""
IS_HELD = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def caught_up(make_workplace: MakeWorkplace) -> Workplace:
    """A live worker that has written one row and committed its offset."""
    place = make_workplace(kafka={"partitions": 1})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO questions (question) VALUES ('first')")
    place.wait_current()
    until(lambda: committed(place) == 1, what="the first event's offset to be committed")
    return place


def committed(place: Workplace) -> int | None:
    """The live group's offset in the topic of `questions`."""
    topic = f"{place.settings.kafka.topic_prefix}.public.questions"
    offsets = KafkaOffsets(place.settings, SystemClock())
    try:
        group = place.settings.live_group
        (partition,) = offsets.read({group: [topic]})[group].partitions
        return partition.current_offset
    finally:
        offsets.close()


def let_commits_pass(place: Workplace) -> None:
    """Give the worker, which commits every second, the time for several commits."""
    started = place.value("SELECT clock_timestamp()")
    until(
        lambda: place.value("SELECT clock_timestamp() - %s > interval '4 s'", (started,)),
        what="four commits",
    )


@contextmanager
def held_writes(place: Workplace) -> Iterator[None]:
    """Within, every write of a vector stops in the middle of its UPDATE."""
    place.execute(HOLD)
    holder = psycopg2.connect(place.settings.postgres.dsn)
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(1)")
        yield
    finally:
        holder.close()


def test_an_event_is_acknowledged_after_its_write_and_not_before(caught_up: Workplace) -> None:
    """Killed within the write: the event's offset was not committed, and the next
    worker writes the row (I3).
    """
    (worker,) = caught_up.processes
    with held_writes(caught_up):
        caught_up.execute("INSERT INTO questions (question) VALUES ('second')")
        until(lambda: caught_up.value(IS_HELD) == 1, what="the worker to be within its write")
        let_commits_pass(caught_up)
        assert committed(caught_up) == 1
        worker.kill()
        worker.wait()
    assert caught_up.coverage()["missing"] == 1
    caught_up.start_worker("live")
    caught_up.wait_current()
    until(lambda: committed(caught_up) == 2, what="the second event's offset to be committed")


def test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing(caught_up: Workplace) -> None:
    """What cannot be handled is never acknowledged on the way out: exit 70, and the
    next worker gets the event (I3).
    """
    (worker,) = caught_up.processes
    caught_up.execute(REFUSE)
    caught_up.execute("INSERT INTO questions (question) VALUES ('second')")
    until(
        lambda: worker.poll() is not None or committed(caught_up) != 1, what="the worker to leave"
    )
    assert committed(caught_up) == 1
    assert worker.returncode == 70
    # The watchdog would end it too, a minute later.
    (exit_line,) = [line for line in caught_up.log("live").splitlines() if "worker exits" in line]
    assert "SET TRANSACTION ISOLATION LEVEL must" in exit_line
    caught_up.execute("DROP TRIGGER refuse ON questions")
    caught_up.start_worker("live")
    caught_up.wait_current()


def test_a_worker_asked_to_stop_within_its_write_acknowledges_nothing(caught_up: Workplace) -> None:
    """SIGTERM, then SIGKILL as a supervisor sends it: an offset is not committed for a
    write that never ended (I3).
    """
    (worker,) = caught_up.processes
    with held_writes(caught_up):
        caught_up.execute("INSERT INTO questions (question) VALUES ('second')")
        until(lambda: caught_up.value(IS_HELD) == 1, what="the worker to be within its write")
        worker.terminate()
        let_commits_pass(caught_up)
        assert committed(caught_up) == 1
        worker.kill()
        worker.wait()
    caught_up.start_worker("live")
    caught_up.wait_current()
