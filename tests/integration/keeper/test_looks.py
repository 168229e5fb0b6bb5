"""Looks that are asked for are done at once, by any process that can; the hourly
look is switched off here.
"""

import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres.ledger import looks
from schemas.rows.table import TableName
from tests.support.vectors import in_secret
from tests.support.waiting import until
from tests.support.workplace import QUESTIONS, Workplace

pytestmark = pytest.mark.stack

ANSWERS = {"name": "public.answers", "text": "answer"}


def no_looks(place: Workplace) -> None:
    """Wait until nothing is to be looked at."""
    until(lambda: not place.execute("SELECT 1 FROM vectrue.looks"), what="the looks to be done")


def test_what_joins_capture_is_looked_at(ready: Workplace) -> None:
    """A table of a wider settings file, one that was rewritten, and all tables when a
    slot is made again: by a live worker alone, which sends the rows to itself; by the
    keeper of a replay worker, once there is one, as a run.
    """
    place = ready
    place.with_settings(keeper={"reconcile_seconds": 0, "poll_seconds": 0.5})
    assert not place.execute("SELECT 1 FROM vectrue.looks"), "the first `init` asks for none"
    place.execute("CREATE TABLE answers (id bigint PRIMARY KEY, answer text, embedding vector(64))")
    place.execute("INSERT INTO answers SELECT i, 'answer ' || i FROM generate_series(1, 12) AS i")
    place.with_settings(tables=[QUESTIONS, ANSWERS])
    said = place.vectrue("init").stderr
    assert (
        "have the keeper look at all rows of public.answers: it came into the publication" in said
    )
    assert place.execute("SELECT table_name FROM vectrue.looks") == [("public.answers",)]
    live = place.start_worker("live")
    place.wait_current("public.answers")
    no_looks(place)
    assert "to the live lane, as no replay worker runs" in place.log("live")
    assert not place.execute("SELECT 1 FROM vectrue.replays")

    place.execute("ALTER TABLE answers ALTER COLUMN answer TYPE text USING 'rewritten ' || answer")
    until(
        lambda: "bring rows without events" in place.log("live"), what="the rewrite to be noticed"
    )
    place.wait_current("public.answers")
    no_looks(place)

    place.start_worker("replay")
    until(
        lambda: "this worker is the keeper" in place.log("replay"),
        what="the replay worker's keeper",
    )
    assert "another worker is the keeper" in place.log("live")
    in_secret(place, "UPDATE answers SET answer = 'edited in secret' WHERE id = 5")
    looks.ask(
        place.session,
        place.settings.kafka.topic_prefix,
        [TableName("public", "answers")],
        "a test asks",
    )
    place.wait_current("public.answers")
    no_looks(place)
    assert place.value("SELECT requested_by FROM vectrue.replays") == "keeper"
    assert live.poll() is None

    drop_slot(place)
    in_secret(place, "UPDATE answers SET answer = 'edited while there was no slot' WHERE id = 6")
    said = place.vectrue("init").stderr
    assert (
        f"public.answers, public.questions: replication slot {place.settings.slot} was gone" in said
    )
    place.wait_current("public.answers")
    no_looks(place)

    in_secret(place, "INSERT INTO questions (question) VALUES ('written in secret')")
    place.execute("DROP TABLE answers")
    names = [TableName("public", name) for name in ("answers", "questions")]
    looks.ask(place.session, place.settings.kafka.topic_prefix, names, "a test asks")
    left = "SELECT 1 FROM vectrue.looks WHERE table_name = 'public.questions'"
    until(
        lambda: not place.execute(left),
        what="the table beside the one that is gone to be looked at",
    )
    # the view counts nothing now
    written = "SELECT bool_and(embedding IS NOT NULL) FROM questions"
    until(lambda: place.value(written), what="its row to have a vector")
    assert "a table that should be looked at is gone" in place.log("replay")
    assert (
        "nothing to do"
        in place.vectrue("replay", "run", "--only", "missing", "-t", "questions").stdout
    )


def drop_slot(place: Workplace) -> None:
    """Drop the slot by hand, under a connector that is stopped."""
    connect = KafkaConnect(place.settings.connect.url, SystemClock())
    connect.stop(place.settings.connector)
    slot = place.settings.slot
    until(
        lambda: (
            not place.value("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        ),
        what="the connector to let go of its slot",
    )
    place.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    connect.close()
