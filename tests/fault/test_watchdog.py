"""The watchdog in real processes."""

import pytest

from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS

pytestmark = pytest.mark.stack


def test_a_batch_over_its_budget_ends_the_worker_with_70(make_workplace: MakeWorkplace) -> None:
    """A read never returns: the stack of every thread is logged, the worker exits 70, and
    the event is handled later.
    """
    place = make_workplace(
        tables=[{"name": "public.questions", "text": "slow(question)"}],
        watchdog={"batch_seconds": 2},
        log={"format": "console"},
    )
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.execute(
        "CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " 'BEGIN IF $1 = ''slow'' THEN PERFORM pg_sleep(30); END IF; RETURN $1; END'"
    )
    place.vectrue("init")
    worker = place.start_worker("live")
    place.execute("INSERT INTO questions (question) VALUES ('slow')")
    assert worker.wait(120) == 70
    log = place.log("live")
    assert "over its budget" in log
    assert "most recent call first" in log
    place.execute("UPDATE questions SET question = 'fast'")
    place.start_worker("live")
    until(
        lambda: place.value("SELECT embedding IS NOT NULL FROM questions"),
        what="the row to be current",
    )


def test_a_spare_worker_is_left_alone(make_workplace: MakeWorkplace) -> None:
    """With more workers than partitions, the spare one may wait longer than the limit, and
    takes over when it is needed.
    """
    # Three topics of one partition, four workers: one has nothing to do. The limit is
    # above the session timeout of 6 s.
    place = make_workplace(kafka={"partitions": 1}, watchdog={"idle_seconds": 8})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.vectrue("init")
    workers = [place.start_worker("live", log=f"live{i}") for i in range(4)]
    place.execute("INSERT INTO questions (question) VALUES ('x')")
    place.wait_current()
    started = place.value("SELECT clock_timestamp()")
    until(
        lambda: place.value("SELECT clock_timestamp() - %s > interval '17 s'", (started,)),
        what="twice the limit",
    )
    assert [worker.poll() for worker in workers] == [None] * 4
    for worker in workers[:3]:
        worker.kill()
        worker.wait()
    place.execute("INSERT INTO questions (question) VALUES ('y')")
    place.wait_current()
    assert workers[3].poll() is None
