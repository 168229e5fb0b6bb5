"""In-memory twin of the offsets reader: topics, groups and their commits, as the broker
would answer.

Hazard: time does not pass in it. A record that is there is found at once, so `timeout`
has no effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.kafka.probe import Place
from schemas.errors import TransientError
from schemas.health.lag import GroupLag, Member, PartitionLag
from schemas.messages.record import Record


@dataclass
class _Log:
    start: int = 0
    end: int = 0
    records: list[Record] = field(default_factory=list)


@dataclass
class _Group:
    commits: dict[Place, int] = field(default_factory=dict)
    readers: dict[Place, Member] = field(default_factory=dict)


class MemoryOffsets:
    """Twin of `Offsets`."""

    def __init__(self) -> None:
        """A broker without topics."""
        self.away = False
        self._logs: dict[str, list[_Log]] = {}
        self._groups: dict[str, _Group] = {}

    def create_topic(self, topic: str, partitions: int) -> None:
        """Make an empty topic."""
        self._logs[topic] = [_Log() for _ in range(partitions)]

    def append(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        timestamp_ms: int | None = None,
    ) -> int:
        """Write a record; returns its offset."""
        log = self._logs[topic][partition]
        log.records.append(Record(topic, partition, log.end, key, value, (), timestamp_ms))
        log.end += 1
        return log.end - 1

    def skip(self, topic: str, partition: int, offsets: int) -> None:
        """Leave a hole, as compaction and transaction markers do."""
        self._logs[topic][partition].end += offsets

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Let everything before an offset expire."""
        log = self._logs[topic][partition]
        log.start = offset
        log.records = [record for record in log.records if record.offset >= offset]

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        """Commit for a group, which comes into being with it."""
        self._groups.setdefault(group, _Group()).commits[topic, partition] = offset

    def join(self, group: str, member: Member, places: Sequence[Place]) -> None:
        """Assign partitions to a member."""
        self._groups.setdefault(group, _Group()).readers.update(dict.fromkeys(places, member))

    def leave(self, group: str) -> None:
        """Let all members go."""
        self._groups[group].readers.clear()

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """As the port says."""
        if self.away:
            raise TransientError(
                "Kafka does not answer at memory", fix="check kafka.bootstrap_servers"
            )
        return {name: self._read(name, topics) for name, topics in groups.items()}

    def records_at(
        self,
        places: Mapping[Place, int],
        *,
        timeout: float,  # noqa: ARG002 - the port's
    ) -> Mapping[Place, Record | None]:
        """As the port says."""
        return {
            (topic, number): next(
                (r for r in self._logs[topic][number].records if r.offset >= offset), None
            )
            for (topic, number), offset in places.items()
        }

    def close(self) -> None:
        """As the port says."""

    def _read(self, name: str, topics: Sequence[str]) -> GroupLag:
        group = self._groups.get(name)
        known = group or _Group()
        rows = []
        for topic in topics:
            if topic not in self._logs:
                error = f"topic {topic} does not exist: vectrue init"
                rows.append(PartitionLag(topic, None, is_missing=True, error=error))
            for number, log in enumerate(self._logs.get(topic, ())):
                place = (topic, number)
                commit, member = known.commits.get(place), known.readers.get(place)
                rows.append(PartitionLag(topic, number, commit, log.start, log.end, None, member))
        members = len(set(known.readers.values()))
        state = None if group is None else "stable" if members else "empty"
        return GroupLag(name, state, members, tuple(rows))
