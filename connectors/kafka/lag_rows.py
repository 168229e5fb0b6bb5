"""What the broker answered about groups and logs, put together to a report's rows. Pure.

Hazard: what could not be read is never a number: its row says why.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.kafka.group import ConsumerGroup
from connectors.kafka.probe import Place
from schemas.health.lag import GroupLag, Member, PartitionLag


@dataclass(frozen=True, slots=True)
class Unread:
    """Why something could not be read.

    Attributes:
        reason: one sentence.
        is_missing: it is a topic that does not exist.
        is_denied: we may not see it.
    """

    reason: str
    is_missing: bool = False
    is_denied: bool = False


Partitions = Mapping[str, list[int] | Unread]
"""Partition numbers by topic."""
Commits = Mapping[Place, int | None] | Unread
"""What a group committed; None where it committed nothing."""


@dataclass(frozen=True, slots=True)
class LogBounds:
    """Offsets at which logs begin and end, by partition."""

    starts: Mapping[Place, int | Unread]
    ends: Mapping[Place, int | Unread]


_NO_ANSWER = Unread("no answer for this partition")


def rows(
    topics: Sequence[str], partitions: Partitions, bounds: LogBounds, commits: Commits
) -> Iterator[PartitionLag]:
    """One row per partition of the topics; one for a topic that could not be read."""
    for topic in topics:
        found = partitions[topic]
        if isinstance(found, Unread):
            yield PartitionLag(topic, None, is_missing=found.is_missing, error=found.reason)
            continue
        for number in found:
            yield _row((topic, number), bounds, commits)


def _row(place: Place, bounds: LogBounds, commits: Commits) -> PartitionLag:
    topic, number = place
    commit = commits if isinstance(commits, Unread) else commits.get(place, _NO_ANSWER)
    start, end = bounds.starts[place], bounds.ends[place]
    row = PartitionLag(
        topic,
        number,
        current_offset=None if isinstance(commit, Unread) else commit,
        log_start_offset=None if isinstance(start, Unread) else start,
        log_end_offset=None if isinstance(end, Unread) else end,
    )
    for what, answer in (("committed offset", commit), ("log start", start), ("log end", end)):
        if isinstance(answer, Unread):
            error = f"the {what} of {row.name} cannot be read ({answer.reason})"
            return replace(row, error=error)
    return row


def group(name: str, lines: Iterable[PartitionLag], described: ConsumerGroup | Unread) -> GroupLag:
    """A group, with the member that reads each partition."""
    if isinstance(described, Unread):
        error = f"group {name} cannot be described ({described.reason})"
        return GroupLag(name, partitions=tuple(lines), error=error)
    readers: dict[Place, Member] = {}
    for one in described.members:
        member = Member(one.member_id, one.host, one.client_id)
        readers.update(dict.fromkeys(one.partitions, member))
    partitions: list[PartitionLag] = []
    for row in lines:
        reader: Member | None = None
        if row.partition is not None:
            reader = readers.get((row.topic, row.partition))
        partitions.append(replace(row, member=reader))
    return GroupLag(name, described.state, len(described.members), tuple(partitions))
