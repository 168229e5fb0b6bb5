"""An event that is too large stops the connector: the table and the way out are named,
and the way out works.
"""

from contextlib import closing

import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres.ledger import looks
from tests.conftest import MakeWorkplace
from tests.support.init import events, setup
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

LIMIT = 20_000
"""Of the connector's producer, in bytes; a heap that is too small would end the tasks
of other tests too.
"""


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A table with text keys, and a connector with a small limit; `init` was run."""
    made = make_workplace(
        tables=[{"name": "public.posts", "text": "title"}], kafka={"partitions": 1}
    )
    made.execute("CREATE TABLE posts (id text PRIMARY KEY, title text, embedding vector(64))")
    setup(made.settings)
    with closing(KafkaConnect(made.settings.connect.url, SystemClock())) as connect:
        config = connect.config(made.settings.connector) or {}
        connect.register(
            made.settings.connector, {**config, "producer.override.max.request.size": f"{LIMIT}"}
        )
        connect.wait_running(made.settings.connector)
    return made


def test_an_event_that_is_too_large_is_named_and_passed_over(place: Workplace) -> None:
    """`lag` and `doctor` name table, key, size and fix; "keys" and `init` go on behind
    it, and ask for a look.
    """
    place.execute(
        "INSERT INTO posts SELECT 'ab' || repeat('k', %s), repeat('words ', 500000)", (LIMIT,)
    )
    with closing(KafkaConnect(place.settings.connect.url, SystemClock())) as connect:
        until(
            lambda: (s := connect.status(place.settings.connector)) and s.error,
            what="the task to fail",
        )
    for command in ("lag", "doctor"):
        done = place.vectrue(command, "-o", "json", check=False)
        said = " ".join(done.stdout.split())
        assert done.returncode != 0 or command == "lag"
        assert "an event is too large" in said
        assert "abkkk" in said
        assert "of public.posts, 2.9 MB" in said
        assert "postgres.publication_columns" in said
    place.execute("INSERT INTO posts VALUES ('later', 'x')")
    report = setup(place.with_settings(postgres={"publication_columns": "keys"}))
    assert any(
        "is created again, because an event was too large" in notice for notice in report.notices
    )
    pending = looks.pending(place.session, place.settings.kafka.topic_prefix)
    lost = (
        f"replication slot {place.settings.slot} was lost: an event was too large for Kafka Connect"
    )
    assert {look.reason for look in pending} == {lost}
    place.execute("INSERT INTO posts VALUES ('after', 'x')")
    assert [event.key(["id"]) for event in events(place.settings, "public.posts", 1)] == [
        ("after",)
    ]
