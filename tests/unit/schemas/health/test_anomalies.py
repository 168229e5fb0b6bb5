"""What tells an anomaly of Kafka from its everyday: the rules, without a broker."""

import pytest

from schemas.health import anomalies
from schemas.health.anomalies import Anomaly, Gap, Noted
from schemas.health.lag import PartitionLag

TOPIC = "p.public.t"


def row(commit: int | None, start: int = 0, end: int = 100, partition: int = 0) -> PartitionLag:
    return PartitionLag(TOPIC, partition, commit, start, end)


def told(*rows: PartitionLag, noted: Noted | None = None, topic_id: str = "a") -> list[str]:
    return [found.what for found in anomalies.of_topic(TOPIC, topic_id, rows, noted)]


@pytest.mark.parametrize(
    ("rows", "noted"),
    [
        ([row(None, 0, 0)], None),
        ([row(None, 0, 5)], None),
        ([row(7)], None),
        ([row(7)], Noted("a", {0: 7})),
        ([row(7)], Noted("a", {0: 9})),
        ([row(100, 100, 100)], Noted("a", {0: 100})),
        ([row(None)], Noted("a", {0: 50})),
        ([row(0, 40)], Noted("a", {0: 50})),
        ([row(None, 0, 3, partition=1)], Noted("a", {0: 50})),
        ([row(5)], Noted("", {0: 5})),
        ([PartitionLag(TOPIC, 0, None, 50, 90, error="unknown")], None),
    ],
    ids=[
        "empty",
        "before the first start",
        "an older version committed",
        "all noted",
        "not committed yet",
        "expired when handled",
        "group deleted",
        "set back to events that were handled and have expired since",
        "a new partition",
        "id not known before",
        "figures that cannot be read",
    ],
)
def test_the_everyday_is_no_surprise(rows: list[PartitionLag], noted: Noted | None) -> None:
    """Redelivery is harmless, and what was handled may expire, whatever the group's
    offsets say.
    """
    assert told(*rows, noted=noted) == []


def test_events_that_expired_unread_are_counted() -> None:
    """From where the group had come, or from the beginning; over all partitions of the
    topic.
    """
    assert told(row(10, 30), row(5, 9, partition=1)) == [
        f"24 events of topic {TOPIC} expired unread"
    ]
    assert told(row(None, 30)) == [f"30 events of topic {TOPIC} expired unread"]
    assert told(row(None, 30), noted=Noted("a", {0: 29})) == [
        f"1 events of topic {TOPIC} expired unread"
    ]


def test_a_topic_made_again_makes_its_offsets_mean_nothing() -> None:
    """Whatever the figures say, for they are of another log."""
    what = f"topic {TOPIC} was deleted and made again"
    found = anomalies.of_topic(TOPIC, "b", [row(5)], Noted("a", {0: 5}))
    assert found == [Anomaly(TOPIC, what, forget=True)]
    (beyond,) = anomalies.of_topic(TOPIC, "a", [row(7, 0, 5)], None)
    assert beyond.forget
    assert "lies beyond the end of its log" in beyond.what


def test_a_commit_beyond_its_note_is_somebody_elses() -> None:
    """Offsets moved forward by hand, and commits whose rows the database lost, look
    alike: events are skipped.
    """
    for noted in (Noted("a", {0: 40}), Noted("a")):
        (what,) = told(row(60), noted=noted)
        assert f"{TOPIC}[0] stands at 60" in what


@pytest.mark.parametrize(("start", "lost"), [(None, 0), (10, 0), (13, 3), (50, 10)])
def test_a_gap_is_a_loss_only_where_the_log_begins_after_it(start: int | None, lost: int) -> None:
    """Markers of transactions make gaps as well."""
    found = anomalies.of_gap(Gap((TOPIC, 0), 10, 20), start)
    assert (found.what if found else None) == (
        f"{lost} events of {TOPIC}[0] expired unread" if lost else None
    )
