"""No event is lost when capture restarts, wherever in the log it stopped."""

from collections.abc import Iterator
from functools import partial

import httpx
import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

INSERT = "INSERT INTO questions (id, question) VALUES (%s, 'a question')"


@pytest.fixture
def connect(ready: Workplace) -> Iterator[KafkaConnect]:
    """Kafka Connect, whose connector writes nothing to the log itself: its last stop
    stays where a test wants it.
    """
    client, name = KafkaConnect(ready.settings.connect.url, SystemClock()), ready.settings.connector
    config = client.config(name)
    assert config is not None
    client.register(
        name, {key: value for key, value in config.items() if key != "heartbeat.action.query"}
    )
    client.wait_running(name)
    yield client
    client.close()


def has_stopped_after(place: Workplace, position: int) -> bool:
    """Whether the offset that a restart begins with is the end of a transaction behind
    this position.
    """
    url = f"{place.settings.connect.url}/connectors/{place.settings.connector}/offsets"
    stored = [part["offset"] for part in httpx.get(url).json()["offsets"]]
    return any(
        offset.get("messageType") == "COMMIT" and offset["lsn"] > position for offset in stored
    )


def start_again(place: Workplace, connect: KafkaConnect) -> None:
    """Restart the connector's task, and wait until it reads the slot."""

    def reader() -> int | None:
        slot = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
        return place.value(slot, (place.settings.slot,))  # type: ignore[no-any-return]  # a number or NULL

    before = reader()
    connect.restart(place.settings.connector)
    until(lambda: reader() not in (before, None), what="capture to read the slot again")


def test_a_transaction_that_is_open_at_a_restart(ready: Workplace, connect: KafkaConnect) -> None:
    """One transaction writes on, right behind the end of another, and capture is
    started again in between.

    Debezium before 3.7 takes the first one's next change for the place where it
    stopped, as both are at the same position of the log, and leaves out everything that
    this transaction did before.
    """
    ready.start_worker("live")
    for first in (10, 20, 30):
        position = int(ready.value("SELECT pg_current_wal_insert_lsn() - '0/0'"))
        stopped = partial(has_stopped_after, ready, position)
        writer = psycopg2.connect(ready.settings.postgres.dsn)
        with writer, writer.cursor() as cursor:
            for number in range(5):
                cursor.execute(INSERT, (first + number,))
            ready.execute(INSERT, (first + 9,))
            cursor.execute(INSERT, (first + 5,))
            until(stopped, what="capture to keep the end of the other transaction")
            start_again(ready, connect)
        writer.close()
        ready.wait_current()
    assert ready.coverage()["current"] == 3 * 7
