"""The broker dies, is silent or refuses: some parts must go on, some must leave, and
nothing may be lost.
"""

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.local.stack import LocalStack
from schemas.errors import TransientError
from schemas.settings.reading import Settings
from tests.fault.conftest import ready_on
from tests.support.prefork import Process
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

_KILLED_AFTER = 30.0
"""A supervisor grants this many seconds between SIGTERM and SIGKILL."""


@pytest.fixture
def place(fragile: LocalStack, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace on the stack of this folder, `init` run; its workers give up after 4
    s of trying.
    """
    with ready_on(
        fragile.endpoints(), tmp_path, live={"retry_seconds": 4}, log={"format": "console"}
    ) as made:
        yield made


def broker_pid(fragile: LocalStack) -> int:
    return next(status.pid for status in fragile.status() if status.name == "kafka" and status.pid)


def joined(place: Workplace) -> list[Process]:
    """A worker of each role, started, and known to its group: from then on SIGTERM is
    Faust's to handle.
    """
    settings = place.settings
    offsets = KafkaOffsets(settings, SystemClock())
    workers = [place.start_worker(role) for role in ("live", "replay")]
    for group in (settings.live_group, settings.replay_group):
        until(functools.partial(is_listed, offsets, group), what=f"a member in {group}")
    return workers


def test_workers_that_are_told_to_stop_while_the_broker_is_silent_end_by_themselves(
    fragile: LocalStack, place: Workplace
) -> None:
    """SIGSTOP of the broker, then SIGTERM of both workers: they leave with 0 before a
    supervisor would kill them.
    """
    workers = joined(place)
    place.execute("INSERT INTO questions (question) VALUES ('x')")
    place.wait_current()
    pid = broker_pid(fragile)
    os.kill(pid, signal.SIGSTOP)
    try:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(_KILLED_AFTER) for worker in workers] == [0, 0]
    finally:
        os.kill(pid, signal.SIGCONT)


def test_workers_that_are_told_to_stop_after_the_broker_was_killed_end_by_themselves(
    fragile: LocalStack, place: Workplace
) -> None:
    """SIGKILL of the broker, then SIGTERM of both workers: 0, in time."""
    workers = joined(place)
    fragile.stop("kafka", signal.SIGKILL)
    try:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(_KILLED_AFTER) for worker in workers] == [0, 0]
    finally:
        fragile.start("kafka")


def test_offsets_are_read_again_after_the_broker_was_killed(
    fragile: LocalStack, place: Workplace
) -> None:
    """One reader of offsets, as in `lag -w` and in the watchdog, across two kills: it
    answers once the broker does.
    """
    settings = place.settings
    group = settings.live_group
    offsets = KafkaOffsets(settings, SystemClock())

    def answers() -> bool:
        try:
            found = offsets.read({group: [settings.deferred_topic]})[group]
        except TransientError:
            return False
        return (
            found.error is None
            and found.members == 1
            and not any(row.error for row in found.partitions)
        )

    place.start_worker("live")
    until(answers, what="the group to be described")
    for _ in range(2):
        fragile.stop("kafka", signal.SIGKILL)
        try:
            assert not answers()
        finally:
            fragile.start("kafka")
        until(answers, what="the same reader to describe the group again")


def is_listed(offsets: KafkaOffsets, group: str) -> bool:
    """Whether the group has a member."""
    try:
        return bool(offsets.client_ids(group))
    except TransientError:
        return False


def limit(settings: Settings, size: int) -> None:
    """Let the dead-letter topic take records up to this many bytes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, settings.dead_letter_topic, incremental_configs=[entry]
    )
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def dead_letters(settings: Settings) -> set[bytes | None]:
    """The values of all dead letters."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "test"})
    try:
        place = TopicPartition(settings.dead_letter_topic, 0, OFFSET_BEGINNING)
        end = consumer.get_watermark_offsets(place, timeout=10)[1]
        consumer.assign([place])
        found: list[bytes | None] = []
        while len(found) < end:
            found += [message.value() for message in consumer.consume(100, timeout=0.5)]
        return set(found)
    finally:
        consumer.close()


def test_a_dead_letter_topic_that_refuses_loses_no_event(place: Workplace) -> None:
    """Poison events while the topic takes nothing: tried again, exit 70, and each is
    there once it takes records again.

    Their neighbours, which are in the same partitions, are made true as well.
    """
    settings = place.settings
    poison = {b'{"broken %d' % number for number in range(12)}
    limit(settings, 10)
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for value in poison:
        producer.produce(settings.tables[0].table.topic(settings.kafka.topic_prefix), value)
    assert producer.flush(30) == 0
    worker = place.start_worker("live")
    place.execute(
        "INSERT INTO questions (question) SELECT 'text ' || i FROM generate_series(1, 20) AS i"
    )
    assert worker.wait(120) == 70
    assert "retrying" in place.log("live")
    assert dead_letters(settings) == set()
    limit(settings, 1_048_588)
    place.start_worker("live")
    place.wait_current()
    until(lambda: dead_letters(settings) == poison, what="every poison event to be a dead letter")
