"""The contract of `Offsets`, held by the in-memory twin and by a real broker alike."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.clock import SystemClock
from connectors.kafka.client import client_config
from connectors.kafka.offsets import KafkaOffsets, Offsets
from connectors.kafka.probe import Place
from connectors.twins.kafka import MemoryOffsets
from schemas.errors import ConfigurationError, TransientError
from schemas.health.lag import GroupLag, Member, PartitionLag
from schemas.settings.reading import Settings
from schemas.settings.sections import KafkaSettings
from tests.support.waiting import until

TIMEOUT = 10.0  # seconds


class World(Protocol):
    """What a test does to the broker, and the reader under test."""

    prefix: str
    reader: Offsets

    def create_topic(self, topic: str, partitions: int) -> None: ...
    def append(self, topic: str, partition: int, value: bytes | None) -> None: ...
    def append_with_marker(self, topic: str, partition: int, value: bytes) -> None: ...
    def delete_before(self, topic: str, partition: int, offset: int) -> None: ...
    def commit(self, group: str, topic: str, partition: int, offset: int) -> None: ...
    def reading(self, group: str, topic: str) -> AbstractContextManager[None]: ...


class MemoryWorld:
    prefix = "twin"

    def __init__(self) -> None:
        self.broker = MemoryOffsets()
        self.reader: Offsets = self.broker
        self.partitions: dict[str, int] = {}

    def create_topic(self, topic: str, partitions: int) -> None:
        self.broker.create_topic(topic, partitions)
        self.partitions[topic] = partitions

    def append(self, topic: str, partition: int, value: bytes | None) -> None:
        self.broker.append(topic, partition, value, key=b"k", timestamp_ms=1_700_000_000_000)

    def append_with_marker(self, topic: str, partition: int, value: bytes) -> None:
        self.append(topic, partition, value)
        self.broker.skip(topic, partition, 1)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        self.broker.delete_before(topic, partition, offset)

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        self.broker.commit(group, topic, partition, offset)

    @contextmanager
    def reading(self, group: str, topic: str) -> Iterator[None]:
        places = [(topic, number) for number in range(self.partitions[topic])]
        self.broker.join(group, Member("reader-1", "127.0.0.1", "reader"), places)
        yield
        self.broker.leave(group)


class KafkaWorld:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.prefix = settings.kafka.topic_prefix
        self.reader: Offsets = KafkaOffsets(settings, SystemClock())
        self.admin = AdminClient(client_config(settings))

    def create_topic(self, topic: str, partitions: int) -> None:
        for created in self.admin.create_topics([NewTopic(topic, partitions)]).values():
            created.result()

        def led() -> bool:
            return all(
                row.error is None for row in self.reader.read({"any": [topic]})["any"].partitions
            )

        until(led, what=f"topic {topic} to have leaders")

    def append(self, topic: str, partition: int, value: bytes | None) -> None:
        producer = Producer(client_config(self.settings))
        producer.produce(topic, value, b"k", partition, timestamp=1_700_000_000_000)
        assert producer.flush(TIMEOUT) == 0

    def append_with_marker(self, topic: str, partition: int, value: bytes) -> None:
        before = self._end(topic, partition)
        producer = Producer(client_config(self.settings, **{"transactional.id": topic}))
        producer.init_transactions(TIMEOUT)
        producer.begin_transaction()
        producer.produce(topic, value, b"k", partition)
        producer.commit_transaction(TIMEOUT)
        # The broker acknowledges before it writes the marker.
        until(lambda: self._end(topic, partition) == before + 2, what="the transaction marker")

    def _end(self, topic: str, partition: int) -> int:
        return self.reader.read({"any": [topic]})["any"].partitions[partition].log_end_offset or 0

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        for deleted in self.admin.delete_records(
            [TopicPartition(topic, partition, offset)]
        ).values():
            deleted.result()

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        consumer = self._consumer(group)
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    @contextmanager
    def reading(self, group: str, topic: str) -> Iterator[None]:
        consumer = self._consumer(group)
        consumer.subscribe([topic])

        def assigned() -> bool:
            consumer.poll(0.05)
            return bool(consumer.assignment())

        until(assigned, what=f"a member of {group} to have partitions")
        try:
            yield
        finally:
            consumer.close()

    def _consumer(self, group: str) -> Consumer:
        more: dict[str, Any] = {
            "group.id": group,
            "client.id": "reader",
            "enable.auto.commit": False,
        }
        return Consumer(client_config(self.settings, **more))


@pytest.fixture(params=["twin", pytest.param("kafka", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "twin":
        yield MemoryWorld()
        return
    made = KafkaWorld(request.getfixturevalue("workplace").settings)
    yield made
    made.reader.close()


def read(world: World, group: str, *topics: str) -> GroupLag:
    return world.reader.read({group: topics})[group]


def only(world: World, group: str, topic: str) -> PartitionLag:
    return read(world, group, topic).partitions[0]


def names(world: World) -> tuple[str, str]:
    """A group and a topic."""
    return f"{world.prefix}-live", f"{world.prefix}.public.docs"


def test_group_that_does_not_exist_is_unknown_and_not_zero(world: World) -> None:
    """No group: no state, no members, no commit; what lies in the log is pending, the
    lag unknown.
    """
    group, topic = names(world)
    world.create_topic(topic, 1)
    world.append(topic, 0, b"{}")
    seen = read(world, group, topic)
    assert (seen.state, seen.members, seen.total_lag, seen.error) == (None, 0, None, None)
    assert seen.partitions == (PartitionLag(topic, 0, None, 0, 1),)
    assert (seen.partitions[0].lag, seen.partitions[0].pending) == (None, 1)


def test_committed_offsets_of_each_partition(world: World) -> None:
    """Each partition has its own commit, start and end; one without a commit stays
    unknown beside the others.
    """
    group, topic = names(world)
    world.create_topic(topic, 3)
    for partition, count in ((0, 4), (1, 2)):
        for _ in range(count):
            world.append(topic, partition, b"{}")
    world.commit(group, topic, 0, 1)
    world.commit(group, topic, 1, 2)
    seen = read(world, group, topic)
    assert [
        (p.current_offset, p.log_start_offset, p.log_end_offset, p.lag) for p in seen.partitions
    ] == [
        (1, 0, 4, 3),
        (2, 0, 2, 0),
        (None, 0, 0, None),
    ]
    assert (seen.state, seen.members, seen.total_lag) == ("empty", 0, 3)


def test_groups_are_read_over_their_own_topics(world: World) -> None:
    """A group's rows are those of the topics asked for it, in that order, whatever else
    it has committed.
    """
    group, topic = names(world)
    other = f"{world.prefix}.replay"
    world.create_topic(topic, 1)
    world.create_topic(other, 2)
    seen = world.reader.read({group: [topic], "second": [other, topic], "none": []})
    assert [p.name for p in seen[group].partitions] == [f"{topic}[0]"]
    assert [p.name for p in seen["second"].partitions] == [
        f"{other}[0]",
        f"{other}[1]",
        f"{topic}[0]",
    ]
    assert seen["none"].partitions == ()


def test_missing_topic_costs_one_row(world: World) -> None:
    """A topic that does not exist is a row with an error and the command that fixes it;
    the others are read.
    """
    group, topic = names(world)
    world.create_topic(topic, 1)
    missing, there = read(world, group, f"{topic}.gone", topic).partitions
    assert (missing.partition, missing.lag, missing.pending) == (None, None, None)
    assert missing.error == f"topic {topic}.gone does not exist: run `vectrue init`"
    assert (there.partition, there.error) == (0, None)


def test_reader_of_a_partition_is_named(world: World) -> None:
    """While someone reads, the group is stable and each partition names its member;
    afterwards it is empty.
    """
    group, topic = names(world)
    world.create_topic(topic, 2)
    with world.reading(group, topic):
        seen = read(world, group, topic)
        assert (seen.state, seen.members) == ("stable", 1)
        assert all(p.member and p.member.client_id == "reader" for p in seen.partitions)
        assert all(p.member and p.member.host == "127.0.0.1" for p in seen.partitions)
    assert [p.member for p in read(world, group, topic).partitions] == [None, None]


def test_expired_events_are_seen_as_lost(world: World) -> None:
    """A commit below the log start is lost; what is left to read counts from the log
    start.
    """
    group, topic = names(world)
    world.create_topic(topic, 1)
    for _ in range(6):
        world.append(topic, 0, b"{}")
    world.commit(group, topic, 0, 2)
    world.delete_before(topic, 0, 5)
    row = only(world, group, topic)
    assert (row.is_lost, row.lost, row.lag, row.log_start_offset) == (True, 3, 1, 5)


def test_first_record_at_or_after_an_offset(world: World) -> None:
    """Records are found for several partitions at once, at the offset or behind a hole,
    with their bytes and time.
    """
    _, topic = names(world)
    world.create_topic(topic, 2)
    world.append_with_marker(topic, 0, b"a")
    world.append(topic, 0, b"b")
    world.append(topic, 1, None)
    found = world.reader.records_at({(topic, 0): 1, (topic, 1): 0}, timeout=TIMEOUT)
    first, second = found[topic, 0], found[topic, 1]
    assert first is not None
    assert (first.offset, first.key, first.value, first.timestamp_ms) == (
        2,
        b"k",
        b"b",
        1_700_000_000_000,
    )
    assert second is not None
    assert (second.offset, second.value) == (0, None)


def test_a_log_that_ends_in_markers_has_no_record(world: World) -> None:
    """Behind a transaction marker nothing waits: the lag is an offset, not an event,
    and that is told apart.
    """
    group, topic = names(world)
    world.create_topic(topic, 1)
    world.append_with_marker(topic, 0, b"a")
    world.commit(group, topic, 0, 1)
    assert only(world, group, topic).lag == 1
    place: Place = (topic, 0)
    assert world.reader.records_at({place: 1}, timeout=TIMEOUT) == {place: None}


def test_nothing_asked_nothing_answered(world: World) -> None:
    """No places, no records: nothing is opened for it."""
    assert world.reader.records_at({}, timeout=TIMEOUT) == {}


def test_probe_leaves_no_group_behind(world: World) -> None:
    """Reading records joins no group and makes none."""
    group, topic = names(world)
    world.create_topic(topic, 1)
    world.append(topic, 0, b"{}")
    world.reader.records_at({(topic, 0): 0}, timeout=TIMEOUT)
    assert read(world, "vectrue-lag-probe", topic).state is None
    assert read(world, group, topic).state is None


def test_broker_that_is_away_is_a_transient_error() -> None:
    """If nothing listens, a TransientError names the setting, within the first
    answer's limit; so does the twin.
    """
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 .*refused.*kafka\.bootstrap_servers"):
        KafkaOffsets(settings, SystemClock()).read({"g": ["t"]})
    twin = MemoryOffsets()
    twin.away = True
    with pytest.raises(TransientError, match=r"kafka\.bootstrap_servers"):
        twin.read({"g": ["t"]})


def test_wrong_security_option_is_a_configuration_error() -> None:
    """An option that the client does not know is the settings' fault; the others are
    passed on, and never shown.
    """
    settings = Settings(
        kafka=KafkaSettings(security={"sasl.nonsense": "1", "sasl.password": "hush"})
    )
    with pytest.raises(ConfigurationError, match=r"sasl\.nonsense.*kafka\.security") as caught:
        KafkaOffsets(settings, SystemClock()).read({"g": ["t"]})
    assert "hush" not in str(caught.value)
