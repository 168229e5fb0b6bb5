"""Malformed records through real workers: 20,000 events, half of them bad, and bad ones
in every topic that is read.
"""

import itertools
import json
import socket
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Producer

from connectors.clock import SystemClock
from connectors.kafka.client import client_config
from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.kafka.offsets import KafkaOffsets
from schemas.messages.dead_letter import DeadLetter
from tests.integration.worker.test_live import metric
from tests.support import malformed
from tests.support.locks import unseen
from tests.support.malformed import Event
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

COUNT = 10_000
SEED = 20260101


def produce(
    place: Workplace, events: list[Event], topic: str | None = None, count: int | None = None
) -> dict[tuple[str, int, int], Event]:
    """Write events to the change topic of questions, or another of `count` partitions;
    by the place they got.
    """
    topic = topic or f"{place.settings.kafka.topic_prefix}.public.questions"
    options = {
        "queue.buffering.max.messages": 1_000_000,
        "message.max.bytes": 2_000_000,
        "linger.ms": 20,
    }
    producer = Producer(client_config(place.settings, **options))
    placed: dict[tuple[str, int, int], Event] = {}
    partitions = itertools.cycle(range(count or place.settings.kafka.partitions))

    def note(event: Event) -> Any:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            placed[message.topic(), message.partition(), message.offset()] = event

        return delivered

    for event in events:
        number = next(partitions)
        producer.produce(
            topic, event.value, event.key, number, on_delivery=note(event), headers=event.headers
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    return placed


def letters(place: Workplace) -> list[DeadLetter]:
    """What the dead-letter topic holds."""
    return [
        DeadLetter.parse(record) for record in DeadLetterTopic(place.settings, SystemClock()).read()
    ]


def good(key: int) -> Event:
    """An event that says that a row may have changed."""
    return Event("good", b'{"id":%d}' % key, json.dumps(malformed.envelope(key)).encode(), [])


def free_port() -> int:
    """A port on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_ten_thousand_malformed_events_among_ten_thousand_good_ones(ready: Workplace) -> None:
    """Good ones are all handled; each bad one is a dead letter with its exact bytes, or
    a no-op that is counted.
    """
    port = free_port()
    limits = {"most_in_a_row": 0, "most_share": 0}
    ready.with_settings(
        metrics={"live_port": port},
        dead_letters=limits,
        live={"batch_size": 500},
        log={"level": "error"},
    )
    # The rows are written under a label of ours, which capture leaves out: their events
    # are the ones made here.
    ready.execute(
        "SELECT pg_replication_origin_session_setup(%s)", (f"{ready.settings.postgres.origin}_7",)
    )
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, %s) AS i",
        (COUNT,),
    )
    ready.execute("SELECT pg_replication_origin_session_reset()")
    bad = list(malformed.events(COUNT, seed_=SEED))
    mixed = [
        event for pair in zip(bad, map(good, range(1, COUNT + 1)), strict=True) for event in pair
    ]
    placed = produce(ready, mixed)
    assert len(placed) == 2 * COUNT
    worker = start_silent(ready, port)
    expected = {place: event for place, event in placed.items() if event.kind != "good"}
    no_ops = sum(event.no_op for event in bad)

    def moved() -> bool:
        assert worker.poll() is None, ready.log("live")[-3000:]
        dead = metric(port, "vectrue_dead_letters_total", lane="live")
        return dead + metric(port, "vectrue_events_total", outcome="ignored") >= len(expected)

    until(moved, what="every malformed event to be moved or ignored")
    ready.wait_current()
    assert ready.coverage() == {
        **ready.coverage(),
        "rows": COUNT,
        "current": COUNT,
        "quarantined": 0,
    }
    assert worker.poll() is None
    found = {
        (d.original.topic, d.original.partition, d.original.offset): d
        for d in letters(ready)
        if d.original
    }
    for place, letter in found.items():
        event = expected[place]
        original = letter.original
        assert original is not None
        assert (original.key, original.value, list(original.headers)) == (
            event.key,
            event.value,
            event.headers,
        )
    quiet = Counter(event.kind for place, event in expected.items() if place not in found)
    counted = metric(port, "vectrue_events_total", outcome="ignored")
    print(
        f"\n{COUNT} good current, {len(found)} dead letters, no-ops by kind {dict(quiet)}, "
        f"counted {counted:.0f}"
    )
    print(f"dead letters by kind {dict(Counter(expected[place].kind for place in found))}")
    assert set(quiet) <= {"tombstone", "hypothesis", "huge number", "wrong type"}
    assert quiet["tombstone"] == no_ops


EACH = 200


def test_bad_records_in_every_topic_that_is_read(ready: Workplace) -> None:
    """Both workers live, rows are made true, a replay ends, and `dlq` lists each bad
    record once.

    A deferred row without a zone or a key is among them (F1).
    """
    place = ready
    settings = place.with_settings(dead_letters={"most_in_a_row": 0, "most_share": 0})
    deferred, replay, canary = settings.deferred_topic, settings.replay_topic, settings.canary_topic
    table = f"{settings.kafka.topic_prefix}.public.questions"
    made = {
        table: (malformed.HAND_MADE, None),
        deferred: (malformed.DEFERRED, None),
        replay: (malformed.REPLAY, None),
        canary: (malformed.CANARY, 1),
        settings.dead_letter_topic: (malformed.LETTERS, 1),
    }
    placed: dict[tuple[str, int, int], Event] = {}
    for seed, (topic, (makers, count)) in enumerate(made.items()):
        placed |= produce(place, malformed.records(makers, EACH, seed_=SEED + seed), topic, count)
    assert len(placed) == EACH * len(made)
    unseen(
        place,
        "INSERT INTO questions (question) SELECT 'missed ' || i FROM generate_series(1, 50) AS i",
    )
    workers = [place.start_worker(role) for role in ("live", "replay")]
    place.execute(
        "INSERT INTO questions (question) SELECT 'seen ' || i FROM generate_series(1, 50) AS i"
    )
    place.vectrue("replay", "run", "--only", "missing")
    place.wait_current()
    live = {settings.live_group: [table, deferred, canary], settings.replay_group: [replay]}
    offsets = KafkaOffsets(settings, SystemClock())

    def handled() -> bool:
        logs = place.log("live")[-3000:] + place.log("replay")[-3000:]
        assert [worker.poll() for worker in workers] == [None, None], logs
        rows = [row for group in offsets.read(live).values() for row in group.partitions]
        at = {(row.topic, row.partition): row.current_offset or 0 for row in rows}
        return all(
            at[event[:2]] > event[2] for event in placed if event[0] != settings.dead_letter_topic
        )

    until(handled, what="every record to be handled")
    assert place.coverage() == {**place.coverage(), "rows": 100, "current": 100}
    told = Counter(
        (d.original.topic, d.original.partition, d.original.offset)
        for d in letters(place)
        if d.original and d.original.topic in live[settings.live_group] + [replay]
    )
    own = {event: count for event, count in told.items() if event in placed}
    assert set(own.values()) == {1}
    silent = {
        topic: Counter(e.kind for p, e in placed.items() if p[0] == topic and p not in own)
        for topic in made
    }
    print(f"\n{len(own)} dead letters; without one: {silent}")
    assert not silent[deferred]
    assert set(silent[replay]) <= {"run and deferral"}
    assert set(silent[table]) | set(silent[canary]) <= NO_OPS
    listed = json.loads(place.vectrue("dlq", "list", "-o", "json").stdout)
    assert len({entry["id"] for entry in listed}) == len(listed) >= len(own) + EACH // 2
    done = place.vectrue("dlq", "redrive", "--all", "--no-wait", "-o", "json", check=False)
    outcomes = Counter(result["outcome"] for result in json.loads(done.stdout))
    assert (done.returncode, outcomes["not sent"] > 0, "Traceback" in done.stderr) == (
        1,
        True,
        False,
    ), done.stderr
    assert set(outcomes) <= {"not sent", "waiting", "dead-lettered again", "handled", "gone"}
    offsets.close()


NO_OPS = {"tombstone", "no message", "letter", "wrong type", "huge number", "hypothesis"}
"""Of these some have no value, or name a row that is not there."""


def start_silent(place: Workplace, port: int) -> Any:
    """Start a live worker that logs errors only, and wait until its metrics answer."""
    worker = place.start("worker", "--role", "live", log="live")

    def answers() -> bool:
        assert worker.poll() is None, place.log("live")[-3000:]
        try:
            metric(port, "vectrue_events_total")
        except OSError:
            return False
        return True

    until(answers, what="the worker's metrics")
    return worker
