"""How far behind each hop is: figures of partitions, groups, slot and connector.

Pure: no clock, no network. Offsets and times are read by `connectors`, put together by
`streams.operations.lag`, summed up in words by `schemas.health.lag_report`.

Hazards:
- Unknown is None, shown as `-` or null. It is never 0, -1 or the log end: a total with
  an unknown part is unknown.
- Offsets may have holes (compaction, transaction markers), so an offset lag is an upper
  bound of the events behind.
- A time lag compares this machine's clock with the database's; a skew between them
  shows up in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """State of a partition, worst first.

    Names as Burrow has them, plus LOST, NO_COMMIT and ERROR.
    """

    LOST = "LOST"
    STOP = "STOP"
    STALL = "STALL"
    REWIND = "REWIND"
    WARN = "WARN"
    ERROR = "ERROR"
    NO_COMMIT = "NO_COMMIT"
    OK = "OK"


@dataclass(frozen=True, slots=True)
class Member:
    """The consumer that a partition is assigned to."""

    consumer_id: str
    host: str
    client_id: str


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition as one group sees it.

    Attributes:
        topic: its topic.
        partition: its number; None for a topic that could not be described.
        current_offset: the group's committed offset, which is the next one to read;
            None without a commit.
        log_start_offset: first offset still in the log.
        log_end_offset: offset that the next record will get. Read after the commit.
        time_lag_seconds: age of the oldest unprocessed event, by its commit time in the
            database; 0 without one.
        member: who reads it; None when no one does.
        status: by `classify`.
        is_missing: whether the topic does not exist, which holds capture up from its
            table's next change on.
        error: why its figures are unknown, one sentence.
    """

    topic: str
    partition: int | None
    current_offset: int | None = None
    log_start_offset: int | None = None
    log_end_offset: int | None = None
    time_lag_seconds: float | None = None
    member: Member | None = None
    status: Status = Status.OK
    is_missing: bool = False
    error: str | None = None

    @property
    def name(self) -> str:
        """`topic[partition]`, for messages."""
        return self.topic if self.partition is None else f"{self.topic}[{self.partition}]"

    @property
    def lag(self) -> int | None:
        """Offsets from where the group goes on to the log end; None without a commit."""
        return None if self.current_offset is None else self.waiting

    @property
    def pending(self) -> int | None:
        """Offsets in the log of a partition that has no commit; None when it has one."""
        return self.waiting if self.current_offset is None else None

    @property
    def waiting(self) -> int | None:
        """Offsets that a worker would still read: `lag` or `pending`. Never negative."""
        if self.log_end_offset is None or self.next_offset is None:
            return None
        # Commit and log end are read one after the other, so the commit may be ahead.
        return max(0, self.log_end_offset - self.next_offset)

    @property
    def next_offset(self) -> int | None:
        """Where a worker goes on: at the commit, or at the log start without it.

        The log start is where it resets to when the log no longer has the commit.

        None for a row with an error: a commit that could not be read is not the same as
        no commit.
        """
        if self.error is not None:
            return None
        return (
            self.log_start_offset
            if self.current_offset is None or self.is_lost
            else self.current_offset
        )

    @property
    def is_lost(self) -> bool:
        """Whether the commit lies outside the log.

        Events expired unread, or the topic was created again.
        """
        commit, start, end = self.current_offset, self.log_start_offset, self.log_end_offset
        return commit is not None and (
            (start is not None and commit < start) or (end is not None and commit > end)
        )

    @property
    def lost(self) -> int:
        """Offsets that left the log before the group read them."""
        if self.current_offset is None or self.log_start_offset is None:
            return 0
        return max(0, self.log_start_offset - self.current_offset)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data, keys as in rpk, None for unknown."""
        member = self.member
        return {
            "topic": self.topic,
            "partition": self.partition,
            "current_offset": self.current_offset,
            "log_start_offset": self.log_start_offset,
            "log_end_offset": self.log_end_offset,
            "lag": self.lag,
            "pending": self.pending,
            "time_lag_seconds": _milli(self.time_lag_seconds),
            "status": str(self.status),
            "consumer_id": member.consumer_id if member else None,
            "host": member.host if member else None,
            "client_id": member.client_id if member else None,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One consumer group over its topics.

    Attributes:
        group_name: its id.
        state: `stable`, `empty`, `preparing_rebalance`, `completing_rebalance`; None
            for a group that does not exist.
        members: consumers in it; None when it could not be asked.
        partitions: every partition of every topic of the lane, in order.
        error: why the group could not be read, one sentence.
    """

    group_name: str
    state: str | None = None
    members: int | None = None
    partitions: tuple[PartitionLag, ...] = ()
    error: str | None = None

    @property
    def total_lag(self) -> int | None:
        """Sum of the lags; None if one is unknown or nothing is committed."""
        # Empty partitions need no commit.
        lags: list[int | None] = []
        for partition in self.partitions:
            if partition.pending != 0:
                lags.append(partition.lag)
        return _total(lags)

    @property
    def pending(self) -> int | None:
        """Sum of what lies in partitions without a commit; None if one is unknown."""
        pending: list[int | None] = []
        for partition in self.partitions:
            if partition.current_offset is None:
                pending.append(partition.waiting)
        # No counts add up to None in `_total`; here every partition has a commit.
        return _total(pending) if pending else 0

    @property
    def waiting(self) -> int | None:
        """Offsets that the lane would still read; None if one partition is unknown."""
        waiting: list[int | None] = []
        for partition in self.partitions:
            waiting.append(partition.waiting)
        return _total(waiting)

    @property
    def max_time_lag_seconds(self) -> float | None:
        """Age of the lane's oldest unprocessed event; None if unknown."""
        oldest: float | None = None
        for partition in self.partitions:
            if partition.pending == 0:
                continue
            age = partition.time_lag_seconds
            if age is None:
                return None
            oldest = age if oldest is None else max(oldest, age)
        return oldest

    @property
    def status(self) -> Status | None:
        """Status of the worst partition; None when there is none."""
        seen: set[Status] = set()
        for partition in self.partitions:
            # A partition without events has nothing to commit, and counts as OK.
            is_empty = partition.pending == 0 and partition.status is Status.NO_COMMIT
            seen.add(Status.OK if is_empty else partition.status)
        # The members stand worst first, so the lowest place is the worst.
        order = list(Status)
        return min(seen, key=order.index, default=None)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data, keys as in rpk."""
        return {
            "group_name": self.group_name,
            "state": self.state,
            "members": self.members,
            "total_lag": self.total_lag,
            "pending": self.pending,
            "max_time_lag_seconds": _milli(self.max_time_lag_seconds),
            "status": str(self.status) if self.status else None,
            "error": self.error,
            "partitions": [partition.to_json() for partition in self.partitions],
        }


@dataclass(frozen=True, slots=True)
class SlotLag:
    """The replication slot.

    Attributes:
        name: its name.
        state: `active`, `inactive`, `missing`; None when Postgres could not be asked.
        wal_status: reserved, extended, unreserved or lost, as in pg_replication_slots.
        unconfirmed_bytes: WAL behind the current position that the connector has not
            confirmed.
        retained_bytes: WAL that the slot keeps on disk. Far above unconfirmed_bytes
            means a long transaction.
        safe_wal_bytes: WAL that can still be written before the slot is lost; None
            without max_slot_wal_keep_size.
        standstill_seconds: for how long its confirmed position has stood still although
            something was written for the connector to read; None when it moved since,
            or its position was never noted.
        error: why it is unknown, one sentence.
    """

    name: str
    state: str | None = None
    wal_status: str | None = None
    unconfirmed_bytes: int | None = None
    retained_bytes: int | None = None
    safe_wal_bytes: int | None = None
    standstill_seconds: float | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "name": self.name,
            "state": self.state,
            # Of a missing slot it is not known: false would read as "there, and not in use".
            "active": self.state == "active" if self.state in ("active", "inactive") else None,
            "wal_status": self.wal_status,
            "unconfirmed_bytes": self.unconfirmed_bytes,
            "retained_bytes": self.retained_bytes,
            "safe_wal_bytes": self.safe_wal_bytes,
            "standstill_seconds": _milli(self.standstill_seconds),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """The connector as Kafka Connect reports it.

    Attributes:
        name: its name.
        state: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING; `missing` when
            there is none; or None.
        tasks: state of each task, by number; None when unknown.
        failure: what a task or the connector failed with, one line.
        error: why it is unknown, one sentence.
    """

    name: str
    state: str | None = None
    tasks: tuple[str, ...] | None = None
    failure: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The states as plain data."""
        tasks: list[dict[str, object]] | None = None
        if self.tasks is not None:
            tasks = [{"id": i, "state": state} for i, state in enumerate(self.tasks)]
        return {
            "name": self.name,
            "state": self.state,
            "tasks": tasks,
            "failure": self.failure,
            "error": self.error,
        }


def worst(partitions: Iterable[PartitionLag]) -> PartitionLag | None:
    """The partition with the oldest event, then with the most behind; None: none waits."""
    return max(filter(_waits, partitions), key=_age_and_depth, default=None)


def _waits(partition: PartitionLag) -> bool:
    return bool(partition.waiting)


def _age_and_depth(partition: PartitionLag) -> tuple[float, int]:
    # An unknown age sorts last: the oldest event that is known is named.
    return partition.time_lag_seconds or 0.0, partition.waiting or 0


def _total(counts: Sequence[int | None]) -> int | None:
    """Add up counts; None for no counts, or if one is unknown."""
    total: int | None = None
    for count in counts:
        if count is None:
            return None
        total = count + (total or 0)
    return total


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
