"""The lag monitor over twins: time lags, memory from sample to sample, and hops that
are away.
"""

import json
import threading
from datetime import timedelta

import pytest

from connectors.debezium.answers import ConnectorStatus
from connectors.twins.kafka import MemoryOffsets
from connectors.twins.memory import MemoryClock
from schemas.errors import TransientError, VectrueError
from schemas.health.lag import Member, SlotLag, Status
from schemas.health.lag_status import INTERVAL_SECONDS, WINDOW_SECONDS
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings
from streams.operations.lag import LagMonitor, live_topics
from tests.support.lag import TOPIC, witness
from tests.support.waiting import until


class Connect:
    def __init__(self, answer: ConnectorStatus | VectrueError | None) -> None:
        self.answer = answer

    def status(self, name: str) -> ConnectorStatus | None:  # noqa: ARG002 - the port's
        if isinstance(self.answer, VectrueError):
            raise self.answer
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


SETTINGS = Settings(tables=(TableSettings(name="public.docs", text="body"),))
RUNNING = ConnectorStatus("RUNNING", ("RUNNING",), None)


class Scene:
    """A monitor over twins."""

    def __init__(self, connect: Connect | None = None) -> None:
        self.clock = MemoryClock()
        self.broker = MemoryOffsets()
        for topic in (*live_topics(SETTINGS), SETTINGS.canary_topic, SETTINGS.replay_topic):
            self.broker.create_topic(topic, 1)
        self.connect = connect or Connect(RUNNING)
        self.witness = witness(slot=SlotLag("vectrue", "active", "reserved", 1, 2))
        self.monitor = LagMonitor(
            SETTINGS,
            clock=self.clock,
            offsets=self.broker,
            connect=self.connect,
            read_witness=lambda: self.witness,
        )

    def event(self, seconds_ago: float) -> bytes:
        ms = round((self.clock.now() - timedelta(seconds=seconds_ago)).timestamp() * 1000)
        return json.dumps(
            {"op": "u", "after": {}, "source": {"schema": "public", "table": "docs", "ts_ms": ms}}
        ).encode()

    def age(self) -> float | None:
        return self.monitor.sample().live.partitions[0].time_lag_seconds


def test_time_lag_is_the_age_of_the_oldest_unprocessed_event() -> None:
    """Counted from its commit in the database; 0 once everything is committed; never
    negative with a skewed clock.
    """
    scene = Scene()
    for seconds in (90.0, 60.0, -5.0):
        scene.broker.append(TOPIC, 0, scene.event(seconds))
    assert scene.age() == 90.0
    scene.broker.commit(SETTINGS.live_group, TOPIC, 0, 1)
    assert scene.age() == 60.0
    scene.broker.commit(SETTINGS.live_group, TOPIC, 0, 2)
    assert scene.age() == 0.0
    scene.clock.advance(10)
    assert scene.age() == 5.0
    scene.broker.commit(SETTINGS.live_group, TOPIC, 0, 3)
    assert scene.age() == 0.0


def test_time_lag_of_an_empty_uncommitted_partition_is_unknown() -> None:
    """Nothing there and nothing committed: not 0."""
    assert Scene().age() is None


@pytest.mark.parametrize(
    "value", [None, b"\xff not json", b'{"op":"u","source":{"schema":"s","table":"t"}}']
)
def test_event_without_commit_time_counts_from_its_arrival(value: bytes | None) -> None:
    """A tombstone or poison event at the commit still ages, by the time Kafka took it."""
    scene = Scene()
    arrived = round(scene.clock.now().timestamp() * 1000) - 7000
    scene.broker.append(TOPIC, 0, value, timestamp_ms=arrived)
    assert scene.age() == 7.0


def test_chunks_count_from_their_arrival() -> None:
    """A replay message has no commit time; its Kafka timestamp counts."""
    scene = Scene()
    arrived = round(scene.clock.now().timestamp() * 1000) - 3000
    scene.broker.append(SETTINGS.replay_topic, 0, b"{}", timestamp_ms=arrived)
    scene.broker.append(SETTINGS.deferred_topic, 0, b"{}", timestamp_ms=arrived - 1000)
    seen = scene.monitor.sample()
    assert seen.replay.partitions[0].time_lag_seconds == 3.0
    assert seen.live.partitions[1].time_lag_seconds == 4.0


@pytest.mark.parametrize("timestamp", [None, -1, 10**18])
def test_event_without_any_time_is_unknown(timestamp: int | None) -> None:
    """No time, or one that no calendar has: the age is unknown, not 0."""
    scene = Scene()
    scene.broker.append(TOPIC, 0, None, timestamp_ms=timestamp)
    assert scene.age() is None


def test_log_that_ends_in_a_marker_has_nothing_waiting() -> None:
    """Lag 1 by offsets, no event: the time lag is 0."""
    scene = Scene()
    scene.broker.append(TOPIC, 0, b"{}")
    scene.broker.skip(TOPIC, 0, 1)
    scene.broker.commit(SETTINGS.live_group, TOPIC, 0, 1)
    seen = scene.monitor.sample().live.partitions[0]
    assert (seen.lag, seen.time_lag_seconds) == (1, 0.0)


def test_monitor_remembers_from_sample_to_sample() -> None:
    """The same monitor sees a stall that a single look cannot."""
    scene = Scene()
    for _ in range(50):
        scene.broker.append(TOPIC, 0, scene.event(0))
    scene.broker.commit(SETTINGS.live_group, TOPIC, 0, 1)
    scene.broker.join(SETTINGS.live_group, Member("m", "h", "c"), [(TOPIC, 0)])
    statuses = []
    for _ in range(int(WINDOW_SECONDS / INTERVAL_SECONDS) + 1):
        statuses.append(scene.monitor.sample().live.partitions[0].status)
        scene.clock.advance(INTERVAL_SECONDS)
    assert statuses[0] is Status.OK
    assert statuses[-1] is Status.STALL


def test_one_hop_away_leaves_the_others_in_the_report() -> None:
    """Kafka, Connect or Postgres away: that block is unknown, with the reason; the rest
    is there.
    """
    scene = Scene()
    scene.broker.away = True
    seen = scene.monitor.sample()
    assert seen.kafka_error is not None
    assert (seen.live.state, seen.live.members, seen.live.total_lag) == (None, None, None)
    assert (seen.slot.state, seen.connector.state) == ("active", "RUNNING")
    scene.broker.away = False
    scene.connect.answer = TransientError("Connect does not answer")
    seen = scene.monitor.sample()
    assert (seen.kafka_error, seen.connector.state, seen.connector.error) == (
        None,
        None,
        "Connect does not answer",
    )
    scene.connect.answer = None
    assert scene.monitor.sample().connector.state == "missing"


def test_two_tables_of_one_topic_are_read_once() -> None:
    """Table names that Kafka cannot hold may share a topic."""
    tables = tuple(TableSettings(name=name, text="body") for name in ("public.a$", "public.a#"))
    assert live_topics(Settings(tables=tables)) == ["vectrue.public.a_", "vectrue.deferred"]


def test_hop_that_hangs_is_unknown_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect takes the question and never answers: its block says so, and no second
    question piles up.
    """
    monkeypatch.setattr("streams.operations.lag.OTHERS_SECONDS", 0.05)
    released, asked = threading.Event(), 0

    class Hanging(Connect):
        def status(self, name: str) -> ConnectorStatus | None:
            nonlocal asked
            asked += 1
            released.wait(30)
            return super().status(name)

    scene = Scene(Hanging(RUNNING))
    for _ in range(3):
        seen = scene.monitor.sample()
        assert seen.connector.state is None
        assert "Kafka Connect did not answer" in (seen.connector.error or "")
        assert seen.slot.state == "active"
    assert asked == 1
    released.set()
    until(lambda: scene.monitor.sample().connector.state == "RUNNING", what="the answer")
