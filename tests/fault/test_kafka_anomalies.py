"""Kafka or its operators change things behind the workers' backs: nothing is lost, or what
was lost is named and healed.

The keeper looks only when it is asked to here, and no replay worker runs, so rows heal by a
look or an event.
"""

import signal
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from connectors.clock import SystemClock
from connectors.kafka.client import client_config
from connectors.kafka.offsets import KafkaOffsets
from schemas.errors import EXIT_RESTART
from schemas.health.lag import GroupLag
from tests.support.prefork import Process
from tests.support.vectors import in_secret
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

MISSED = "events may have been missed"


class Broker:
    """What someone does to the topic of the questions and the live group, with Kafka's
    own tools.
    """

    def __init__(self, place: Workplace) -> None:
        self.topic = f"{place.settings.kafka.topic_prefix}.public.questions"
        self.group = place.settings.live_group
        self.admin = AdminClient(client_config(place.settings))
        self.offsets = KafkaOffsets(place.settings, SystemClock())
        self._place = place

    def read(self) -> GroupLag:
        return self.offsets.read({self.group: [self.topic]})[self.group]

    def ends(self) -> dict[tuple[str, int], int]:
        return {
            (self.topic, row.partition or 0): row.log_end_offset or 0
            for row in self.read().partitions
        }

    def insert(self, count: int) -> None:
        """New rows, whose events are in the topic when this returns."""
        before = sum(self.ends().values())
        query = (
            "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, "
            "%s) AS i"
        )
        self._place.execute(query, (count,))
        until(lambda: sum(self.ends().values()) >= before + count, what="the events to be in Kafka")

    def expire(self) -> None:
        """Take away all events, as retention does."""
        ends = [TopicPartition(*place, offset) for place, offset in self.ends().items()]
        for done in self.admin.delete_records(ends).values():
            done.result()

    def settle(self) -> None:
        """Wait until the worker has handled whatever there is, rows that a look has
        sent to it as well.
        """
        topics = [self.topic, self._place.settings.deferred_topic]
        until(
            lambda: self.offsets.read({self.group: topics})[self.group].total_lag == 0,
            what="no event to wait",
        )

    def delete(self) -> None:
        self.admin.delete_topics([self.topic])[self.topic].result()

    def stop(self, worker: Process) -> None:
        """Stop a worker and wait until its group is empty."""
        worker.terminate()
        worker.wait(120)
        until(lambda: self.read().members == 0, what="the group to be empty")


@pytest.fixture
def place(ready: Workplace) -> Workplace:
    """A workplace after `init`."""
    ready.with_settings(keeper={"reconcile_seconds": 0, "poll_seconds": 0.5})
    return ready


@pytest.fixture
def broker(place: Workplace) -> Iterator[Broker]:
    made = Broker(place)
    yield made
    made.offsets.close()


def looked_at(place: Workplace, reason: str, *, log: str = "live") -> None:
    """The worker's log names the reason, all rows become current, and the look is over."""
    until(lambda: reason in place.log(log), what=f"the log to say: {reason}")
    assert MISSED in place.log(log)
    place.wait_current()
    until(lambda: not place.execute("SELECT 1 FROM vectrue.looks"), what="the look to end")


def test_what_happened_while_no_worker_ran(place: Workplace, broker: Broker) -> None:
    """Events that expired unread, offsets moved forward, a topic made again under
    offsets that mean nothing in it: each is named by the worker that starts, and the
    rows are looked at. A group that was deleted costs a redelivery alone.
    """
    broker.insert(10)
    broker.expire()
    broker.insert(3)
    worker = place.start_worker(log="expired")
    looked_at(place, f"10 events of topic {broker.topic} expired unread", log="expired")
    broker.stop(worker)

    broker.insert(5)
    broker.offsets.set_offsets(broker.group, broker.ends())
    worker = place.start_worker(log="moved")
    looked_at(place, "are not known to be handled", log="moved")
    broker.stop(worker)

    broker.admin.delete_consumer_groups([broker.group])[broker.group].result()
    broker.insert(2)
    worker = place.start_worker(log="deleted")
    place.wait_current()
    assert MISSED not in place.log("deleted")
    broker.stop(worker)

    broker.delete()
    place.vectrue("init")
    broker.insert(4)
    broker.offsets.set_offsets(broker.group, broker.ends())
    place.start_worker(log="again")
    looked_at(place, f"topic {broker.topic} was deleted and made again", log="again")
    broker.insert(1)
    place.wait_current()


def test_a_topic_made_again_under_a_live_worker(place: Workplace, broker: Broker) -> None:
    """The worker names a topic that is gone and lives on; when it is made again, it
    leaves within a minute, to be started again; what was lost with the topic heals.
    """
    worker = place.start_worker()
    broker.insert(20)
    place.wait_current()
    in_secret(place, "UPDATE questions SET question = 'its event went with the topic' WHERE id = 7")
    broker.delete()
    until(
        lambda: "topic no longer exists" in place.log("live"),
        what="the topic to be missed",
    )
    assert worker.poll() is None
    place.execute(
        "INSERT INTO questions (question) SELECT 'meanwhile ' || i FROM generate_series(1, 5) AS i"
    )
    said = place.vectrue("init").stderr
    assert f"topic {broker.topic} was gone and was created again" in said
    assert until(worker.poll, what="the worker to leave") == EXIT_RESTART
    place.start_worker()
    looked_at(place, f"topic {broker.topic} was deleted and made again")
    broker.insert(1)
    place.wait_current()


def test_events_that_expire_under_a_live_worker_and_partitions_that_are_added(
    place: Workplace, broker: Broker
) -> None:
    """Retention that outruns a worker is noticed between two looks, too. A new
    partition is read within a minute.
    """
    worker = place.start_worker()
    broker.insert(6)
    place.wait_current()
    worker.send_signal(signal.SIGSTOP)
    # the first is on its way to the worker, in answer to the request that it left
    # behind
    for _ in range(3):
        broker.insert(6)
    broker.expire()
    broker.insert(6)
    worker.send_signal(signal.SIGCONT)
    looked_at(place, "expired unread")

    count = len(broker.ends())
    broker.admin.create_partitions([NewPartitions(broker.topic, count + 2)])[broker.topic].result()
    key, value = an_event(place, broker)
    broker.settle()
    in_secret(place, "UPDATE questions SET embedding = NULL, embedding_hash = NULL")
    producer = Producer(client_config(place.settings))
    until(lambda: len(broker.ends()) == count + 2, what="the partitions to be there")
    producer.produce(broker.topic, value, key, partition=count + 1)
    assert producer.flush(20) == 0
    until(
        lambda: place.coverage()["current"] == 1,
        what="the event in the new partition to be handled",
    )
    assert worker.poll() is None


def an_event(place: Workplace, broker: Broker) -> tuple[bytes | None, bytes | None]:
    """Key and value of an event that is in the topic."""
    options = {"group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    reader = Consumer(client_config(place.settings, **options))
    reader.assign([TopicPartition(*partition, 0) for partition in broker.ends()])
    record = until(lambda: reader.poll(1.0), what="an event")
    reader.close()
    assert record is not None
    return record.key(), record.value()
