"""`vectrue lag` on a real broker, database and Connect: it says what is there, and
unknown is never a number.
"""

import functools
import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.client import client_config
from schemas.health.lag import Status
from schemas.settings.reading import load
from streams.operations.lag import collect, live_topics
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


class Lanes:
    """A workplace's topics, two partitions each, and hand-made events in them."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.settings = place.settings
        self.topic = live_topics(place.settings)[0]
        self.admin = AdminClient(client_config(place.settings))
        topics = [*live_topics(place.settings), place.settings.replay_topic]
        for created in self.admin.create_topics([NewTopic(topic, 2) for topic in topics]).values():
            created.result()
        until(
            lambda: all(p.error is None for p in self.report().live.partitions),
            what="the topics to have leaders",
        )

    def report(self) -> Any:
        return collect(self.settings)

    def send(self, ages: list[float], *, topic: str | None = None, partition: int = 0) -> None:
        """Write an update event per age (seconds since its commit)."""
        producer = Producer(client_config(self.settings))
        for age in ages:
            at = round((datetime.now(UTC) - timedelta(seconds=age)).timestamp() * 1000)
            source = {"schema": "public", "table": "questions", "ts_ms": at, "txId": 1}
            value = json.dumps({"op": "u", "after": {"id": 1}, "source": source}).encode()
            producer.produce(topic or self.topic, value, b'{"id":1}', partition)
        assert producer.flush(10) == 0

    def commit(self, offset: int, *, partition: int = 0) -> None:
        consumer = self.consumer()
        consumer.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=False)
        consumer.close()

    def consumer(self) -> Consumer:
        more: dict[str, Any] = {"group.id": self.settings.live_group, "enable.auto.commit": False}
        return Consumer(client_config(self.settings, **more))


@pytest.fixture
def lanes(workplace: Workplace) -> Lanes:
    return Lanes(workplace)


@pytest.fixture
def member(lanes: Lanes) -> Iterator[None]:
    """A consumer in the live group while the test runs."""
    consumer = lanes.consumer()
    consumer.subscribe([lanes.topic])

    def assigned() -> bool:
        consumer.poll(0.05)
        return bool(consumer.assignment())

    until(assigned, what="the consumer to have partitions")
    yield
    consumer.close()


def test_nothing_set_up_is_unknown_and_says_what_to_do(workplace: Workplace) -> None:
    """Before `init`: no topics, no groups, no slot, no connector; each says so, and no
    figure is made up.
    """
    seen = collect(workplace.settings)
    assert seen.live.state is None
    assert (seen.live.total_lag, seen.live.max_time_lag_seconds) == (None, None)
    assert all(
        p.error and "vectrue init" in p.error
        for p in (*seen.live.partitions, *seen.replay.partitions)
    )
    assert (seen.slot.state, seen.slot.retained_bytes) == ("missing", None)
    assert (seen.connector.state, seen.connector.tasks) == ("missing", None)
    assert [str(one) for one in seen.findings] == [
        "source: this database does not know vectrue yet: vectrue init"
    ]


def test_time_lag_comes_from_the_commit_in_the_database(lanes: Lanes) -> None:
    """The event at the committed offset was committed 300 s ago: that is the time lag,
    however young its record is.
    """
    lanes.send([900.0, 300.0, 60.0])
    lanes.commit(1)
    seen = lanes.report().live
    first, second = (p for p in seen.partitions if p.topic == lanes.topic)
    assert (first.current_offset, first.log_start_offset, first.log_end_offset, first.lag) == (
        1,
        0,
        3,
        2,
    )
    assert 300.0 <= first.time_lag_seconds < 900.0, (
        "neither the event before it nor the one after it"
    )
    assert (second.current_offset, second.lag, second.pending, second.time_lag_seconds) == (
        None,
        None,
        0,
        None,
    )
    assert seen.total_lag == 2


def test_caught_up_is_zero_and_only_then(lanes: Lanes) -> None:
    """Everything committed: lag 0 and time lag 0. Not committed at all: null, with what
    is pending.
    """
    lanes.send([300.0, 200.0])
    before = lanes.report().live.partitions[0]
    assert (before.status, before.lag, before.pending) == (Status.NO_COMMIT, None, 2)
    assert before.time_lag_seconds >= 300.0
    lanes.commit(2)
    after = lanes.report().live.partitions[0]
    assert (after.status, after.lag, after.time_lag_seconds) == (Status.OK, 0, 0.0)


def test_expired_events_are_lost(lanes: Lanes) -> None:
    """Retention overtook the group: LOST, critical, and the command that fixes it."""
    lanes.send([300.0] * 8)
    lanes.commit(2)
    for deleted in lanes.admin.delete_records([TopicPartition(lanes.topic, 0, 5)]).values():
        deleted.result()
    seen = lanes.report()
    assert (seen.live.partitions[0].status, seen.live.partitions[0].lag) == (Status.LOST, 3)
    assert any(
        f"3 events of {lanes.topic}[0] expired unread" in str(finding) for finding in seen.findings
    )


def test_empty_group_with_a_backlog_has_stopped(lanes: Lanes) -> None:
    """No one reads and more than noise waits: STOP."""
    lanes.send([1.0] * 12)
    lanes.commit(1)
    seen = lanes.report().live
    assert (seen.state, seen.members, seen.partitions[0].status) == ("empty", 0, Status.STOP)


@pytest.mark.usefixtures("member")
def test_readers_are_named(lanes: Lanes) -> None:
    """A member of the group is counted and named beside its partitions, and nothing has
    stopped.
    """
    lanes.send([1.0] * 12)
    seen = lanes.report().live
    assert (seen.state, seen.members) == ("stable", 1)
    assert {p.member.client_id for p in seen.partitions if p.topic == lanes.topic} == {"vectrue"}


def test_looking_does_not_disturb_the_group(lanes: Lanes, member: None) -> None:
    """Reading lag neither joins nor moves anything: same member, same commits, no group
    of its own.
    """
    lanes.send([1.0] * 3)
    before = lanes.report().live
    after = lanes.report().live
    assert [p.member for p in before.partitions] == [p.member for p in after.partitions]
    assert [p.current_offset for p in before.partitions] == [
        p.current_offset for p in after.partitions
    ]
    groups = {group.group_id for group in lanes.admin.list_consumer_groups().result().valid}
    assert not any("probe" in group for group in groups)


def test_replay_chunks_are_counted_apart(lanes: Lanes) -> None:
    """The replay topic belongs to the replay group alone; ages count from the arrival of
    the chunk.
    """
    lanes.send([3000.0, 3000.0], topic=lanes.settings.replay_topic, partition=1)
    seen = lanes.report()
    chunk = seen.replay.partitions[1]
    assert (chunk.topic, chunk.pending) == (lanes.settings.replay_topic, 2)
    assert 0 <= chunk.time_lag_seconds < 3000, "not the age that stands in the record"
    assert lanes.settings.replay_topic not in {p.topic for p in seen.live.partitions}


def test_slot_is_measured(lanes: Lanes) -> None:
    """An idle slot keeps WAL: inactive, with bytes that grow as the database writes."""
    place = lanes.place
    place.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (place.settings.slot,)
    )
    before = lanes.report().slot
    assert (before.state, before.wal_status, before.error) == ("inactive", "reserved", None)
    place.execute(
        "INSERT INTO public.questions (question) SELECT repeat('x', 1000) FROM "
        "generate_series(1, 500)"
    )
    after = lanes.report().slot
    assert after.unconfirmed_bytes > before.unconfirmed_bytes + 500_000
    # it starts to read before what it first delivers
    assert after.retained_bytes > after.unconfirmed_bytes


def test_other_hops_away_are_unknown_while_kafka_is_shown(lanes: Lanes) -> None:
    """Postgres and Connect gone: their blocks are null with a reason; the lanes are
    still there.
    """
    base = lanes.settings.model_dump()
    away = {
        "postgres": {**base["postgres"], "dsn": "postgresql://u:hush@127.0.0.1:1/x"},
        "connect": {"url": "http://127.0.0.1:1"},
    }
    data = collect(load(**{**base, **away})).to_json()
    assert (
        data["slot"]["state"]
        is data["slot"]["retained_bytes"]
        is data["connector"]["state"]
        is None
    )
    assert "Postgres does not answer" in data["slot"]["error"]
    assert "hush" not in json.dumps(data)
    assert "Kafka Connect does not answer" in data["connector"]["error"]
    assert data["groups"][0]["partitions"][0]["log_end_offset"] == 0


def test_command_and_check(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed command: JSON on stdout, exit 0; --check exits 2 while the slot is
    missing, 2 without a broker.
    """
    lanes.send([300.0, 200.0])
    lanes.commit(1)
    place = lanes.place
    data = json.loads(place.vectrue("lag", "-o", "json").stdout)
    assert [group["lane"] for group in data["groups"]] == ["live", "replay"]
    assert data["groups"][0]["partitions"][0]["lag"] == 1
    checked = place.vectrue("lag", "--check", "--warn", "30s", "--crit", "1h", check=False)
    assert checked.returncode == 2
    assert checked.stdout.startswith("LAG CRITICAL - source: this database does not know vectrue")
    assert "WARNING - live: no worker runs, 1 event behind" in checked.stdout
    assert checked.stderr == ""
    monkeypatch.setenv("VECTRUE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    gone = place.vectrue("lag", "--check", check=False)
    assert gone.returncode == 2
    assert "Kafka does not answer at 127.0.0.1:1" in gone.stdout
    assert gone.stderr == ""


def test_watch_prints_json_lines_and_ends_with_ctrl_c(lanes: Lanes) -> None:
    """`-w -o json`: an object per line; SIGINT is the ordinary end: exit 0, nothing on
    stderr.
    """
    arguments = lanes.place.command("lag", "-w", "200ms", "-o", "json")
    # A shell starts background jobs with SIGINT ignored, and children inherit that: the
    # tests may run in one.
    listening = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        arguments,
        preexec_fn=listening,  # noqa: PLW1509 - no thread of ours runs here
        cwd=lanes.place.directory,
        env=lanes.place.environment(),
        text=True,
        stdout=-1,
        stderr=-1,
    ) as process:
        assert process.stdout
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert [line["groups"][0]["lane"] for line in lines] == ["live", "live"]
    assert lines[0]["time"] < lines[1]["time"]
    assert (process.returncode, errors) == (0, "")
