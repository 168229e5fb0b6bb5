"""In-memory twin of the offsets reader: topics, groups and their commits, as the broker
would answer.

Hazard: time does not pass in it. An existing record is found at once, so `timeout` has
no effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from connectors.kafka import errors
from connectors.kafka.offsets import Offsets
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


class MemoryOffsets(Offsets):
    """Twin of `Offsets`."""

    def __init__(self) -> None:
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
        # Offsets without a record: the log end moves alone.
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

    @override
    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        if self.away:
            raise TransientError(
                "Kafka does not answer at memory", fix="check kafka.bootstrap_servers"
            )
        found: dict[str, GroupLag] = {}
        for name, topics in groups.items():
            found[name] = self._read(name, topics)
        return found

    @override
    def records_at(
        self,
        places: Mapping[Place, int],
        *,
        timeout: float,
    ) -> Mapping[Place, Record | None]:
        found: dict[Place, Record | None] = {}
        for place, offset in places.items():
            found[place] = self._record_at(place, offset)
        return found

    @override
    def close(self) -> None: ...

    def _record_at(self, place: Place, offset: int) -> Record | None:
        topic, number = place
        for record in self._logs[topic][number].records:
            if record.offset >= offset:
                return record
        return None

    def _read(self, name: str, topics: Sequence[str]) -> GroupLag:
        known = self._groups.get(name, _Group())
        rows: list[PartitionLag] = []
        for topic in topics:
            if topic not in self._logs:
                error = str(errors.missing_topic(topic))
                rows.append(PartitionLag(topic, None, is_missing=True, error=error))
                continue
            for number, log in enumerate(self._logs[topic]):
                place = (topic, number)
                row = PartitionLag(
                    topic,
                    number,
                    current_offset=known.commits.get(place),
                    log_start_offset=log.start,
                    log_end_offset=log.end,
                    member=known.readers.get(place),
                )
                rows.append(row)
        members = len(set(known.readers.values()))
        state = None
        if name in self._groups:
            state = "stable" if members else "empty"
        return GroupLag(name, state, members, tuple(rows))
