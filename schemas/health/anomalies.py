"""What happened to a topic or group, told from its figures and notes.

Pure.

An offset is noted in Postgres before it is committed in Kafka, and the figures are read
before the notes. So a commit beyond its note is not one of ours, however many workers
there are.

Hazard: what could not be read is neither an anomaly nor reassuring: it is asked again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.health.lag import PartitionLag

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What is remembered of a topic.

    Attributes:
        topic_id: Kafka's, which a topic of the same name that is made later does not
            have; empty where unknown.
        handled: by partition, the offset up to which all events are handled.
    """

    topic_id: str
    handled: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Events of a topic may have been missed.

    Attributes:
        topic: which.
        what: why, one clause.
        forget: whether the group's offsets of the topic mean nothing any more.
    """

    topic: str
    what: str
    forget: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets of a partition that a worker was not given.

    It got `before - 1`, then `after`.
    """

    place: Place
    before: int
    after: int


def of_topic(
    topic: str, topic_id: str, rows: Sequence[PartitionLag], noted: Noted | None
) -> list[Anomaly]:
    """What happened to a topic since it was noted.

    Args:
        topic: its name.
        topic_id: Kafka's id of it, now; empty where the broker gives none.
        rows: its partitions, as the group sees them.
        noted: what is remembered; None for a topic that was never consumed with notes.
    """
    if noted is not None and is_another(topic_id, noted.topic_id):
        return [Anomaly(topic, f"topic {topic} was deleted and made again", forget=True)]
    known = list(filter(_is_known, rows))
    found = list(_beyond(topic, known))
    expired = 0
    for row in known:
        expired += _expired(row, noted)
    if expired:
        found.append(Anomaly(topic, f"{expired:,} events of topic {topic} expired unread"))
    found += _moved(topic, known, noted)
    return found


def of_gap(gap: Gap, start: int | None) -> Anomaly | None:
    """Whether a gap in what a worker was given is events that expired.

    Markers of transactions make gaps as well.

    Args:
        gap: the gap.
        start: first offset that the log holds now; it only grows.
    """
    topic, partition = gap.place
    # The log still has the offsets of the gap, so nothing expired: they never held events.
    if start is None or start <= gap.before:
        return None
    count = min(start, gap.after) - gap.before
    return Anomaly(topic, f"{count:,} events of {topic}[{partition}] expired unread")


def handled(row: PartitionLag) -> int | None:
    """Up to where a partition counts as handled once its anomalies are known."""
    if row.current_offset is None or row.log_start_offset is None:
        return row.log_start_offset if row.current_offset is None else row.current_offset
    # Expired events never come: their anomaly has all rows looked at instead.
    return max(row.current_offset, row.log_start_offset)


def is_another(one: str, other: str) -> bool:
    """Whether two ids are those of different topics; an unknown one is not."""
    return bool(one and other) and one != other


def _is_known(row: PartitionLag) -> bool:
    return row.error is None and row.log_start_offset is not None and row.log_end_offset is not None


def _handled_in(noted: Noted | None, row: PartitionLag) -> int:
    return noted.handled.get(row.partition or 0, 0) if noted is not None else 0


def _beyond(topic: str, rows: Sequence[PartitionLag]) -> Iterator[Anomaly]:
    for row in rows:
        commit, end = row.current_offset, row.log_end_offset or 0
        if commit is not None and commit > end:
            what = (
                f"the group's offset {commit:,} of {row.name} lies beyond the end of its log, "
                f"{end:,}"
            )
            yield Anomaly(topic, what, forget=True)


def _expired(row: PartitionLag, noted: Noted | None) -> int:
    # A note is written before its commit, so it may be ahead of it.
    reached = max(row.current_offset or 0, _handled_in(noted, row))
    return max(0, (row.log_start_offset or 0) - reached)


def _moved(topic: str, rows: Sequence[PartitionLag], noted: Noted | None) -> Iterator[Anomaly]:
    if noted is None:
        return
    for row in rows:
        commit, reached = row.current_offset, _handled_in(noted, row)
        # Notes come before commits, so someone else moved the group: a reset, another program.
        if commit is not None and commit > reached:
            yield Anomaly(
                topic,
                f"the offset of {row.name} stands at {commit:,}, and events from {reached:,} on "
                "are not known to be handled",
            )
