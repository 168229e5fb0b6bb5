"""Other people's sessions: transactions that hold rows and tables, and events that
were not captured.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg2.extensions import cursor as Cursor

from connectors.kafka.client import client_config
from tests.support.workplace import Workplace


@contextmanager
def transaction(place: Workplace, *statements: str) -> Iterator[Cursor]:
    """A transaction of the application that did these statements and stays open; rolled
    back unless it is committed.
    """
    other = psycopg2.connect(place.settings.postgres.dsn, application_name="the application")
    try:
        with other.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            yield cursor
    finally:
        other.close()


def unseen(place: Workplace, statement: str) -> None:
    """Run a statement that capture does not see, as if the connector had not got to it
    yet.
    """
    origin = f"{place.settings.postgres.origin}_7"
    with transaction(
        place, f"SELECT pg_replication_origin_session_setup('{origin}')", statement
    ) as cursor:
        cursor.connection.commit()
        # Given back here: the server may still hold it for a while after the connection
        # is closed.
        cursor.execute("SELECT pg_replication_origin_session_reset()")


def hint(place: Workplace, table: str, key: int, txid: int | None = None) -> None:
    """Produce a change event by hand."""
    value = {
        "op": "u",
        "source": {"schema": "public", "table": table, "txId": txid},
        "after": {"id": key},
    }
    producer = Producer(client_config(place.settings))
    topic = f"{place.settings.kafka.topic_prefix}.public.{table}"
    producer.produce(topic, json.dumps(value).encode(), json.dumps({"id": key}).encode())
    producer.flush()


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
