"""Other content of the database's log neither stops capture nor reaches Kafka."""

import psycopg2
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.client import client_config
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from tests.conftest import MakeWorkplace
from tests.support.init import events, setup, worker_role
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

SECRET = "text of somebody"
PREFIXES = ("cdc heartbeat", "", "two\nlines")
"""A dot of Java's regular expressions ends at a line feed."""


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A table, and two that someone published by hand, one of which differs by case
    alone; `init` was run.
    """
    made = make_workplace(
        tables=[{"name": "public.posts", "text": "title"}], kafka={"partitions": 1}
    )
    made.execute("CREATE TABLE posts (id bigint PRIMARY KEY, title text, embedding vector(64))")
    made.execute(
        'CREATE TABLE "Posts" (id bigint PRIMARY KEY, title text);'
        " CREATE TABLE other (id text PRIMARY KEY)"
    )
    setup(made.settings)
    made.execute('ALTER PUBLICATION vectrue ADD TABLE "Posts", other')
    return made


def test_nothing_else_stops_capture_or_reaches_kafka(place: Workplace) -> None:
    """Logical messages of a role that may only connect, and tables that someone
    published by hand: left out.

    First where their topics do not exist, which Connect would wait for; then where they
    do, as brokers may make them.
    """
    topics = [
        f"{place.settings.kafka.topic_prefix}.{name}"
        for name in ("message", "public.Posts", "public.other")
    ]
    with worker_role(place.endpoints.postgres_dsn) as role:
        speak(place, role)
        write(place, 1)
        assert [event.fields for event in events(place.settings, "public.posts", 1)] == [{"id": 1}]
        admin = AdminClient(client_config(place.settings))
        for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
            made.result()
        speak(place, role)
        write(place, 2)
        assert {event.key(["id"]) for event in events(place.settings, "public.posts", 2)} == {
            ("1",),
            ("2",),
        }
    assert [count(place.settings, topic) for topic in topics] == [0, 0, 0]
    changes = TableName.parse("public.posts").topic(place.settings.kafka.topic_prefix)
    assert not any(SECRET in part for part in content(place.settings, changes))


def speak(place: Workplace, role: str) -> None:
    """Write messages to the log, within a transaction and outside of one."""
    dsn = place.settings.postgres.dsn
    connection = psycopg2.connect(f"postgresql://{role}:pw@{dsn.split('@', 1)[1]}")
    with connection, connection.cursor() as cursor:
        for prefix in PREFIXES:
            for transactional in (True, False):
                cursor.execute(
                    "SELECT pg_logical_emit_message(%s, %s, %s)", (transactional, prefix, SECRET)
                )
    connection.close()


def write(place: Workplace, number: int) -> None:
    """Change every table that is published; the configured one last."""
    place.execute('INSERT INTO "Posts" VALUES (%s, %s)', (number, SECRET))
    place.execute("INSERT INTO other VALUES (%s)", (f"{SECRET} {number}",))
    place.execute("INSERT INTO posts VALUES (%s, %s)", (number, SECRET))


def count(settings: Settings, topic: str) -> int:
    """Records that a topic of one partition was given."""
    consumer = Consumer(client_config(settings, **{"group.id": "none"}))
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
        return int(high - low)
    finally:
        consumer.close()


def content(settings: Settings, topic: str) -> list[str]:
    """All keys, values and headers of a topic of one partition."""
    records = count(settings, topic)
    consumer = Consumer(client_config(settings, **{"group.id": "none"}))
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = consumer.consume(records, timeout=10)
        assert len(found) == records
        return [str((m.key(), m.value(), m.headers())) for m in found]
    finally:
        consumer.close()
