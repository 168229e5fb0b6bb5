"""Lag: figures that never lie about what is unknown, and the status rules."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.health.lag import ConnectorState, Member, PartitionLag, SlotLag, Status
from schemas.health.lag_status import (
    INTERVAL_SECONDS,
    LIVE_FLOOR,
    WINDOW_SECONDS,
    Ring,
    Sample,
    classify,
)
from tests.support.lag import TOPIC, group, report, row

WINDOW = int(WINDOW_SECONDS / INTERVAL_SECONDS)
offsets = st.one_of(st.none(), st.integers(0, 1000))


@st.composite
def partitions(draw: st.DrawFn) -> PartitionLag:
    """Any row that the reader could return, the impossible ones included."""
    return PartitionLag(
        TOPIC,
        draw(st.one_of(st.none(), st.integers(0, 5))),
        draw(offsets),
        draw(offsets),
        draw(offsets),
        draw(st.one_of(st.none(), st.floats(0, 1e6))),
        error=draw(st.sampled_from([None, "cannot be read"])),
        status=draw(st.sampled_from(Status)),
    )


@given(partitions())
def test_lag_is_never_negative_and_unknown_never_a_number(partition: PartitionLag) -> None:
    """Without a commit, a log end or a readable answer the lag is None; otherwise it is
    at least 0.
    """
    if partition.current_offset is None or partition.log_end_offset is None or partition.error:
        assert partition.lag is None
    else:
        assert partition.lag is None or partition.lag >= 0
    assert partition.pending is None or (
        partition.current_offset is None and partition.pending >= 0
    )


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_lag_counts_what_is_left_to_read(start: int, commit: int, more: int) -> None:
    """Within the log the lag is end - commit; a commit outside the log goes on at its
    start, and is lost.
    """
    end = start + more
    seen = row(commit, end, start=start)
    inside = start <= commit <= end
    assert seen.lag == (end - commit if inside else end - start)
    assert seen.is_lost is not inside
    assert seen.lost == max(0, start - commit)


@given(st.lists(partitions(), max_size=4))
def test_total_with_an_unknown_part_is_unknown(rows: list[PartitionLag]) -> None:
    """A sum or a maximum is only given when every part that counts is known."""
    seen = group(*rows)
    counted = [p for p in rows if p.pending != 0]
    unknown = not counted or any(p.lag is None for p in counted)
    assert (seen.total_lag is None) == unknown
    assert (seen.max_time_lag_seconds is None) == (
        not counted or any(p.time_lag_seconds is None for p in counted)
    )


def test_empty_partition_without_commit_does_not_hide_the_others() -> None:
    """Five of six partitions never got an event: the total is that of the sixth."""
    seen = group(row(3, 7, age=1.5), row(None, 0), row(None, 4, start=4))
    assert (seen.total_lag, seen.pending, seen.max_time_lag_seconds) == (4, 0, 1.5)


def test_uncommitted_events_make_the_total_unknown() -> None:
    """A partition with events and no commit is pending, and never counted as 0."""
    seen = group(row(3, 7, age=1.5), row(None, 9))
    assert (seen.total_lag, seen.pending) == (None, 9)


def test_json_keys_of_the_report() -> None:
    """The keys are a contract; null stands for unknown."""
    data = report(
        live=group(row(3, 7, age=1.23456, member=Member("c-1", "10.0.0.1", "faust")), row(None, 2)),
        slot=SlotLag("vectrue", "missing"),
        connector=ConnectorState("vectrue-postgres", "RUNNING", ("FAILED",), "boom"),
    ).to_json()
    assert json.loads(json.dumps(data)) == data
    assert data["time"] == "2026-01-01T00:00:00.000Z"
    first, second = data["groups"][0]["partitions"]
    assert first == {
        "topic": TOPIC,
        "partition": 0,
        "current_offset": 3,
        "log_start_offset": 0,
        "log_end_offset": 7,
        "lag": 4,
        "pending": None,
        "time_lag_seconds": 1.235,
        "status": "OK",
        "consumer_id": "c-1",
        "host": "10.0.0.1",
        "client_id": "faust",
        "error": None,
    }
    assert (second["lag"], second["pending"], second["time_lag_seconds"]) == (None, 2, None)
    assert [set(g) for g in data["groups"]] == [
        {
            "lane",
            "group_name",
            "state",
            "members",
            "total_lag",
            "pending",
            "max_time_lag_seconds",
            "status",
            "error",
            "partitions",
        }
    ] * 2
    assert data["slot"] == {
        "name": "vectrue",
        "state": "missing",
        "active": None,
        "wal_status": None,
        "unconfirmed_bytes": None,
        "retained_bytes": None,
        "safe_wal_bytes": None,
        "standstill_seconds": None,
        "error": None,
    }
    assert data["connector"] == {
        "name": "vectrue-postgres",
        "state": "RUNNING",
        "tasks": [{"id": 0, "state": "FAILED"}],
        "failure": "boom",
        "error": None,
    }
    assert (data["status"], data["hop"]) == ("CRITICAL", "source")


def judge(
    *samples: tuple[float, PartitionLag], members: int | None = 1, floor: int = LIVE_FLOOR
) -> Status:
    """Status at the last of the samples."""
    ring = Ring()
    for at, partition in samples:
        last = Sample(at, partition, members)
        ring = ring.add(last)
    return classify(last, ring, floor=floor, warn_seconds=30.0)


@pytest.mark.parametrize(
    ("partition", "members", "expected"),
    [
        (row(5, 5), 1, Status.OK),
        (row(5, 5), 0, Status.OK),
        (row(5, 5 + LIVE_FLOOR), 0, Status.OK),
        (row(5, 6 + LIVE_FLOOR), 0, Status.STOP),
        (row(5, 6 + LIVE_FLOOR), None, Status.OK),
        (row(5, 6 + LIVE_FLOOR), 1, Status.OK),
        (row(None, 100), 0, Status.NO_COMMIT),
        (row(5, 100, start=6), 0, Status.LOST),
        (row(5, 4), 1, Status.LOST),
        (row(5, None, error="x"), 1, Status.ERROR),
        (row(5, 100, start=6, error="x"), 1, Status.ERROR),
    ],
)
def test_single_sample(partition: PartitionLag, members: int | None, expected: Status) -> None:
    """What one look can decide: ERROR, NO_COMMIT, LOST, STOP, OK, in this order."""
    assert judge((0.0, partition), members=members) is expected


def every_interval(rows: list[PartitionLag]) -> list[tuple[float, PartitionLag]]:
    return [(i * INTERVAL_SECONDS, partition) for i, partition in enumerate(rows)]


def test_stall_needs_a_whole_window() -> None:
    """Commits stand still while more than noise waits: STALL after the window, OK
    before, STOP after two.
    """
    stuck = every_interval([row(5, 100)] * (2 * WINDOW + 1))
    assert judge(*stuck[: WINDOW - 1]) is Status.OK
    assert judge(*stuck[:WINDOW]) is Status.STALL
    assert judge(*stuck[: 2 * WINDOW]) is Status.STALL
    assert judge(*stuck) is Status.STOP


def test_idle_partition_that_wakes_up_is_not_stopped() -> None:
    """A lane that had nothing to do for an hour is not judged by the age of its last
    commit.
    """
    idle = every_interval([row(5, 5)] * 240)
    assert judge(*idle, (240 * INTERVAL_SECONDS, row(5, 100))) is Status.OK


def test_rewind_until_the_old_place_is_reached_again() -> None:
    """A commit that went back is REWIND until it is where it was."""
    assert judge((0, row(50, 60)), (15, row(20, 60))) is Status.REWIND
    assert judge((0, row(50, 60)), (15, row(20, 60)), (30, row(50, 60))) is Status.OK


def test_warn_when_the_lag_only_grows_and_is_old() -> None:
    """Growing over a whole window and older than --warn: WARN; once it fell, or
    younger: OK.
    """
    growing = [row(i, 50 + 2 * i, age=31.0) for i in range(WINDOW)]
    assert judge(*every_interval(growing)) is Status.WARN
    assert judge(*every_interval([replace(r, time_lag_seconds=30.0) for r in growing])) is Status.OK
    assert judge(*every_interval([replace(r, time_lag_seconds=None) for r in growing])) is Status.OK
    fell = [*growing[:10], row(10, 55, age=31.0), *growing[11:]]
    assert judge(*every_interval(fell)) is Status.OK


@given(st.lists(st.tuples(st.floats(0, 60), partitions()), max_size=60))
def test_ring_stays_small_ordered_and_recent(steps: list[tuple[float, PartitionLag]]) -> None:
    """However often it is fed, the ring holds one window, in order, spaced but for its
    newest, which it never drops.
    """
    ring, at = Ring(), 0.0
    for step, partition in steps:
        at += step
        ring = ring.add(Sample(at, partition, 1))
        if partition.error is None:
            assert ring.samples[-1] == Sample(at, partition, 1)
    times = [sample.at for sample in ring.samples]
    assert times == sorted(times)
    assert len(times) <= WINDOW + 2
    assert not times or times[-1] - times[0] <= WINDOW_SECONDS
    assert all(
        later - earlier >= INTERVAL_SECONDS for earlier, later in itertools.pairwise(times[:-1])
    )


@given(
    st.lists(st.tuples(st.floats(0, 60), partitions()), min_size=1, max_size=40), st.integers(0, 2)
)
def test_single_looks_agree_with_watched_ones_on_what_is_certain(
    steps: list[tuple[float, PartitionLag]], members: int
) -> None:
    """History never turns an error, a missing commit or a loss into anything else, nor
    invents one.
    """
    ring, at = Ring(), 0.0
    certain = {Status.ERROR, Status.NO_COMMIT, Status.LOST}
    for step, partition in steps:
        at += step
        sample = Sample(at, partition, members)
        ring = ring.add(sample)
        watched = classify(sample, ring, floor=LIVE_FLOOR, warn_seconds=30.0)
        single = classify(sample, Ring().add(sample), floor=LIVE_FLOOR, warn_seconds=30.0)
        assert (watched if watched in certain else None) == (single if single in certain else None)
