"""The replay lane's own code in this process, so that a replay needs no worker and no
group of Kafka.
"""

from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.client import client_config
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from streams.worker.lanes import open_replay
from streams.worker.watches.live_lag import Pause
from tests.support.prefork import Process
from tests.support.waiting import let_pass
from tests.support.workplace import Workplace


class Filler:
    """Works off the replay topic of one workplace, from where it left off."""

    def __init__(self, settings: Settings) -> None:
        """Remember the topic."""
        self._topic = settings.replay_topic
        self._next: Mapping[int, int] = {}

    def work_until(self, place: Workplace, ended: Process) -> None:
        """Work until a command has ended."""
        lane = open_replay(place.settings)
        consumer = Consumer(
            client_config(place.settings, **{"group.id": "walk", "enable.auto.commit": False})
        )
        with closing(lane.store):
            try:
                partitions = (
                    consumer.list_topics(self._topic, timeout=10).topics[self._topic].partitions
                )
                consumer.assign(
                    [TopicPartition(self._topic, p, self._next.get(p, 0)) for p in partitions]
                )
                while ended.poll() is None:
                    message = consumer.poll(0.1)
                    if message is None or message.error():
                        continue
                    partition, offset = message.partition() or 0, message.offset() or 0
                    record = Record(
                        self._topic,
                        partition,
                        offset,
                        _bytes(message.key()),
                        _bytes(message.value()),
                    )
                    for step in lane.chunks.steps(record):
                        if isinstance(step, Pause):
                            let_pass(step.seconds)
                    self._next = {**self._next, record.partition: record.offset + 1}
            finally:
                consumer.close()


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
