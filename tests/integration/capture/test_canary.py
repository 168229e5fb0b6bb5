"""The canary on real parts: its record comes back, every verdict depends on it, and the hop
where it is stuck is named.
"""

import os
import signal
from datetime import datetime

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.kafka.client import client_config
from connectors.postgres.health.canary import CanaryStore
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from schemas.health.check_result import Level
from schemas.health.severity import Severity
from schemas.rows.table import TableName
from tests.conftest import MakeWorkplace
from tests.support.canary import QUICK, check, diagnosis, report, status, until_green, until_red
from tests.support.init import setup
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, QUESTIONS, Workplace

pytestmark = pytest.mark.stack

ANSWERS = {"name": "public.answers", "text": "answer"}
CREATE_ANSWERS = "CREATE TABLE answers (id int PRIMARY KEY, answer text, embedding vector(64))"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables after `init`, with a canary that is soon late; no worker runs."""
    made = make_workplace(tables=[QUESTIONS, ANSWERS], canary=QUICK)
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(CREATE_ANSWERS)
    setup(made.settings)
    return made


def test_green_begins_with_the_first_arrival_and_stays_in_quiet(place: Workplace) -> None:
    """Nothing is green before a live worker ran. Afterwards everything is, even if nothing
    changes for longer than any bound.

    The trail holds the times of the hops in order, and only one of two workers writes per
    period.
    """
    seen = report(place)
    assert (seen.severity, seen.verdict) == (
        Severity.WARNING,
        "live: no live worker has run yet: vectrue worker --role live",
    )
    code, shown = status(place)
    assert code == 0
    assert (
        shown["verdict"]
        == "0 rows are current or blank, but no live worker has run yet: vectrue worker --role live"
    )
    assert diagnosis(place, "canary").level is Level.WARNING
    place.start_worker("live", log="first")
    place.start_worker("live", log="second")
    until_green(place)
    began = report(place).witness.canary.written
    watched = datetime.now().astimezone()
    until(
        lambda: (
            report(place).verdict == "all caught up"
            and (datetime.now().astimezone() - watched).total_seconds()
            > QUICK["late_seconds"] + QUICK["slot_seconds"]
        ),
        what="a quiet time in which all was green",
        pause=0.5,
    )
    ended = report(place).witness.canary
    assert began is not None
    assert ended.written is not None
    assert ended.arrived is not None
    seconds = (ended.written.sent_at - began.sent_at).total_seconds()
    assert ended.written.number - began.number <= seconds / QUICK["seconds"] + 1
    hops = place.execute(
        "SELECT captured_at >= date_trunc('milliseconds', sent_at), queued_at >= captured_at, "
        "worker_at >= queued_at,"
        " arrived_at >= worker_at FROM vectrue.canary_trail"
    )
    assert set(hops) == {(True, True, True, True)}
    until(lambda: check(place)[0] == 0, what="the command to say so too")
    code, shown = status(place)
    assert (code, shown["verdict"], shown["witness"]["canary"]["last_seen"]) == (
        0,
        "all 0 rows are current or blank",
        "arrived",
    )
    assert diagnosis(place, "canary").level is Level.OK


def test_a_capture_that_waits_for_a_topic_is_named_and_heals(place: Workplace) -> None:
    """A table's topic is deleted and two of its rows change: Connect waits for the topic
    for ever, says RUNNING, and no table makes progress.

    `lag`, its check, `status` and `doctor` say so, and where the canary was last seen;
    `init` creates the topic again.
    """
    worker = place.start_worker("live")
    until_green(place)
    admin = AdminClient(client_config(place.settings))
    topic = TableName("public", "answers").topic(place.settings.kafka.topic_prefix)
    for deleted in admin.delete_topics([topic]).values():
        deleted.result()
    until(lambda: topic not in admin.list_topics(timeout=10).topics, what="the topic to be gone")
    assert "does not exist" in report(place).verdict
    assert check(place)[0] == 2
    until(lambda: _writes(place), what="rows that no capture could pass on")
    seen = until_red(place, "it was last seen written in Postgres, and is not captured into Kafka")
    assert (seen.connector.state, seen.connector.tasks) == ("RUNNING", ("RUNNING",))
    code, said = check(place)
    assert code == 2
    assert "last seen written in Postgres" in said
    code, shown = status(place)
    assert (code, shown["witness"]["canary"]["last_seen"]) == (1, "written")
    assert (
        "are current or blank, but" in shown["verdict"]
        or "lack a current vector" in shown["verdict"]
    )
    found = diagnosis(place, "canary")
    assert (found.level, "last seen written in Postgres" in found.sentence) == (Level.PROBLEM, True)
    setup(place.settings)
    worker.kill()  # a consumer that has seen a topic go is another test's matter
    place.start_worker("live")
    until_green(place)
    place.wait_current("public.answers")


def _writes(place: Workplace) -> bool:
    """Write another row; True once the canary is late."""
    place.execute("INSERT INTO answers SELECT coalesce(max(id), 0) + 1, 'more' FROM answers")
    return not report(place).witness.canary.is_fresh


def test_who_does_not_work_is_named(place: Workplace) -> None:
    """A paused connector, an unreadable canary and a stopped live worker are each named by
    their hop; afterwards all is green again.
    """
    connect = KafkaConnect(place.settings.connect.url, SystemClock())
    worker = place.start_worker("live")
    until_green(place)

    connect.pause(place.settings.connector)
    seen = until_red(place, "it was last seen written in Postgres, and is not captured into Kafka")
    assert seen.severity is Severity.WARNING
    assert "connector" in seen.verdict
    connect.resume(place.settings.connector)
    until_green(place)

    place.execute("ALTER TABLE vectrue.canary RENAME TO elsewhere")
    assert until_red(place, "whether changes arrive is not known").severity is Severity.UNKNOWN
    place.execute("ALTER TABLE vectrue.elsewhere RENAME TO canary")
    until_green(place)

    os.killpg(worker.pid, signal.SIGSTOP)
    seen = until_red(place, "no live worker runs, and the canary has not come back for")
    assert check(place)[0] == 1
    assert status(place)[1]["verdict"].startswith(
        "0 rows are current or blank, but no live worker runs"
    )
    os.killpg(worker.pid, signal.SIGCONT)
    until_green(place)
    connect.close()


def test_looks_are_shown_and_foreign_records_are_no_arrivals(place: Workplace) -> None:
    """A table that still waits for a look is a warning everywhere, with its reason, until
    the look is done.

    An unreadable record in the canary's topic becomes a dead letter, and another
    installation's beat is ignored.
    """
    # The live worker's keeper looks around once, at the start: what is asked for later
    # stays.
    settings = place.with_settings(keeper={"poll_seconds": 3600})
    prefix, table = settings.kafka.topic_prefix, TableName("public", "answers")
    stranger = CanaryStore(Session(settings.postgres.dsn, role="test"), "stranger", "none")
    stranger.beat(60.0)
    place.start_worker("live")
    until_green(place)

    looks.ask(place.session, prefix, [table], "a test asked")
    said = "the rows of public.answers are yet to be looked at: a test asked"
    seen = report(place)
    assert (seen.severity, seen.verdict) == (Severity.WARNING, f"replay: {said}")
    assert seen.to_json()["witness"]["looks"][0]["reason"] == "a test asked"
    assert check(place)[0] == 1
    assert status(place)[1]["verdict"] == f"0 rows are current or blank, but {said}"
    assert diagnosis(place, "rows to be looked at").sentence == said
    (look,) = looks.pending(place.session, prefix)
    looks.done(place.session, prefix, table, look.asked_at)

    producer = Producer(client_config(settings))
    for value in (
        b"{broken",
        b'{"op":"u","source":{"schema":"vectrue","table":"canary"},"after":{"beat":"x"}}',
    ):
        producer.produce(settings.canary_topic, value)
    assert producer.flush(30) == 0

    def letters() -> int:
        return place.vectrue("dlq", "list", "-o", "json").stdout.count(settings.canary_topic)

    until(letters, what="the dead letters")
    until_green(place)
    assert place.execute("SELECT DISTINCT prefix FROM vectrue.canary_trail") == [(prefix,)]
    stranger.close()
