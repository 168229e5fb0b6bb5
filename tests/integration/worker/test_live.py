"""The live lane on real parts: a row changed in Postgres comes back with a new vector."""

import json
import signal
import urllib.request
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import client_config
from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


def metric(port: int, name: str, **labels: str) -> float:
    """Sum of a worker's metric over the series with these labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    found = [
        line
        for line in lines
        if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted)
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def end_offsets(place: Workplace, topic: str) -> int:
    """Events ever written to a topic."""
    consumer = Consumer(client_config(place.settings, **{"group.id": "unused"}))
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
            for p in partitions
        )
    finally:
        consumer.close()


@pytest.fixture
def watched(ready: Workplace) -> Workplace:
    """A live worker runs, with its metrics on a port."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ready.with_settings(metrics={"live_port": port})
    ready.start_worker("live")
    return ready


def test_insert_update_and_blank_text(ready: Workplace) -> None:
    """An insert, an edit and a text that goes away each reach the vector by themselves."""
    ready.start_worker("live")
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 20) AS i"
    )
    ready.wait_current()
    first = ready.value("SELECT embedding::text FROM questions WHERE id = 1")
    ready.execute("UPDATE questions SET question = '파이썬의 GIL은 무엇인가요?' WHERE id = 1")
    ready.wait_current()
    assert ready.value("SELECT embedding::text FROM questions WHERE id = 1") != first
    ready.execute("UPDATE questions SET question = ' ' WHERE id = 1")
    ready.wait_current()
    row = ready.execute(
        "SELECT embedding, embedding_hash, embedding_model, embedded_at FROM questions WHERE id = 1"
    )
    assert row == [(None, None, None, None)]
    assert ready.coverage()["blank"] == 1


def test_an_unrelated_column_encodes_nothing_and_own_writes_bring_no_event(
    watched: Workplace,
) -> None:
    """1,000 updates of another column: 0 texts encoded; the worker's own writes: 0
    events in the topic (I7).
    """
    port = watched.settings.metrics.live_port
    assert port is not None
    watched.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 1000) "
        "AS i"
    )
    watched.wait_current()
    topic = f"{watched.settings.kafka.topic_prefix}.public.questions"
    assert end_offsets(watched, topic) == 1000
    encoded = metric(port, "vectrue_texts_encoded_total")
    watched.execute("UPDATE questions SET views = views + 1")
    until(
        lambda: metric(port, "vectrue_events_total", outcome="current") >= 1000,
        what="the updates to be looked at",
    )
    assert metric(port, "vectrue_texts_encoded_total") == encoded
    assert end_offsets(watched, topic) == 2000


def test_no_text_travels_through_kafka(ready: Workplace) -> None:
    """Events carry the primary key and nothing else of the row."""
    secret = "a text that must not leave Postgres"
    ready.execute("INSERT INTO questions (question) VALUES (%s)", (secret,))
    topic = f"{ready.settings.kafka.topic_prefix}.public.questions"
    options = {
        "group.id": f"{ready.settings.kafka.topic_prefix}-peek",
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(client_config(ready.settings, **options))
    consumer.subscribe([topic])
    message: Any = until(lambda: consumer.poll(0.2), what="the event")
    consumer.close()
    value = message.value()
    assert secret.encode() not in value
    assert json.loads(value)["after"] == {"id": 1}


TABLES: list[tuple[str, str, str]] = [
    (
        "public.by_uuid",
        "(id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text)",
        "(body) VALUES ('x')",
    ),
    ("public.by_text", "(id text PRIMARY KEY, body text)", "VALUES ('O''Brien \"é\" % 한글', 'x')"),
    ("public.by_two", "(a bigint, b text, body text, PRIMARY KEY (b, a))", "VALUES (7, '7', 'x')"),
    ('public."q; drop table x"', '("Ключ id" int PRIMARY KEY, body text)', "VALUES (-5, 'x')"),
    ("public.질문", "(번호 bigint PRIMARY KEY, body text)", "VALUES (1, 'x')"),
    ("public.by_numeric", "(id numeric(12,2) PRIMARY KEY, body text)", "VALUES (10.50, 'x')"),
    ("public.by_bool", "(id boolean PRIMARY KEY, body text)", "VALUES (true, 'x')"),
    ('public."100% of"', '("%s id" int PRIMARY KEY, body text)', "VALUES (1, 'x')"),
    ("public.by_char", "(id char(6) PRIMARY KEY, body text)", "VALUES ('ab', 'x')"),
]


def test_a_text_made_of_several_columns(make_workplace: MakeWorkplace) -> None:
    """The text may be any SQL expression, also one with a percent sign; each column it
    uses counts.
    """
    place = make_workplace(
        tables=[
            {
                "name": "posts",
                "text": "title || E'\\n\\n' || coalesce(body, '100 %') || length(title) % 3",
            }
        ]
    )
    place.execute(
        "CREATE TABLE posts (id int PRIMARY KEY, title text, body text, embedding vector(64))"
    )
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO posts VALUES (1, 'title', NULL)")
    place.wait_current("public.posts")
    before = place.value("SELECT embedding_hash FROM posts")
    place.execute("UPDATE posts SET body = 'body'")
    place.wait_current("public.posts")
    assert place.value("SELECT embedding_hash FROM posts") != before


def test_a_bad_event_is_dead_lettered_and_the_rest_goes_on(ready: Workplace) -> None:
    """Bytes that are not an event are moved, with the reason in Connect's header names, and
    stop nothing else (I10).
    """
    from confluent_kafka import Producer

    producer = Producer(client_config(ready.settings))
    topic = f"{ready.settings.kafka.topic_prefix}.public.questions"
    producer.produce(topic, b"\x00 not an event", key=b"k", headers=[("a", b"1"), ("a", b"2")])
    producer.flush()
    ready.execute("INSERT INTO questions (question) VALUES ('x')")
    ready.start_worker("live")
    ready.wait_current()
    options = {
        "group.id": f"{ready.settings.kafka.topic_prefix}-peek",
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(client_config(ready.settings, **options))
    consumer.subscribe([ready.settings.dead_letter_topic])
    letter: Any = until(lambda: consumer.poll(0.2), what="the dead letter")
    consumer.close()
    assert (letter.value(), letter.key()) == (b"\x00 not an event", b"k")
    headers = letter.headers()
    assert headers[:2] == [("a", b"1"), ("a", b"2")]
    assert dict(headers)["__connect.errors.topic"] == topic.encode()


def test_sigkill_in_the_middle_loses_nothing(ready: Workplace) -> None:
    """A worker killed again and again among thousands of changes: every row is current
    in the end (I3).
    """
    worker = ready.start_worker("live")
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 4000) "
        "AS i"
    )
    for share in (0.2, 0.5, 0.8):
        until(lambda share=share: ready.coverage()["current"] >= 4000 * share, what="some progress")  # type: ignore[misc] # bound per round
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = ready.start_worker("live")
    ready.wait_current()
    assert ready.coverage()["current"] == 4000


def test_sigterm_ends_the_worker_with_zero(ready: Workplace) -> None:
    """Asked to stop, the worker finishes its batch, commits, and exits 0; the next one
    has nothing to do again.
    """
    worker = ready.start_worker("live")
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 500) AS i"
    )
    until(lambda: ready.coverage()["current"] > 0, what="the first vector")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(120) == 0
    ready.start_worker("live")
    ready.wait_current()
