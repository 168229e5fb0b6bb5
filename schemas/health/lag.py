"""How far behind each hop is: figures of partitions, groups, slot and connector, and
the status rules over samples.

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

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

WINDOW_SECONDS = 300.0
"""How far back the rules look: 20 samples of 15 s. Time-based, since Faust commits
every second or so and a window of ten commits, as Burrow has it, would say STALL after
a slow batch.
"""

INTERVAL_SECONDS = 15.0
"""Least distance between two samples that are kept; the newest is kept whatever its
distance.
"""

LIVE_FLOOR = 10
"""Events behind that are the ordinary noise of a running live lane."""

REPLAY_FLOOR = 0
"""A replay message is a chunk of up to 500 rows, so none is noise."""


class Status(StrEnum):
    """State of a partition, worst first. Names as Burrow has them, plus LOST, NO_COMMIT
    and ERROR.
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
        member: who reads it; None when nobody does.
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
        """`lag` or `pending`, whichever there is: offsets that a worker would still
        read. Never negative.
        """
        if self.log_end_offset is None or self.next_offset is None:
            return None
        return max(0, self.log_end_offset - self.next_offset)

    @property
    def next_offset(self) -> int | None:
        """Where a worker goes on: at the commit if the log still has it, else at the
        log start (it resets there).

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
        """Whether the commit lies outside the log: events expired unread, or the topic
        was made anew.
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
        """Sum of the lags; None if one is unknown or nothing is committed. Empty
        partitions need no commit.
        """
        counted = [p.lag for p in self.partitions if p.pending != 0]
        return (
            None
            if not counted or None in counted
            else sum(lag for lag in counted if lag is not None)
        )

    @property
    def pending(self) -> int | None:
        """Sum of what lies in partitions without a commit; None if one could not be
        read.
        """
        pending = [p.waiting for p in self.partitions if p.current_offset is None]
        return None if None in pending else sum(n for n in pending if n is not None)

    @property
    def waiting(self) -> int | None:
        """Offsets that the lane would still read; None if one partition is unknown."""
        waiting = [p.waiting for p in self.partitions]
        return None if not waiting or None in waiting else sum(n for n in waiting if n is not None)

    @property
    def max_time_lag_seconds(self) -> float | None:
        """Age of the lane's oldest unprocessed event; None if one is unknown or nothing
        is committed.
        """
        ages = [p.time_lag_seconds for p in self.partitions if p.pending != 0]
        return None if not ages or None in ages else max(age for age in ages if age is not None)

    @property
    def status(self) -> Status | None:
        """Status of the worst partition; None when there is none. A partition without
        commit or events counts as OK.
        """
        seen = {
            Status.OK if p.pending == 0 and p.status is Status.NO_COMMIT else p.status
            for p in self.partitions
        }
        return next((status for status in Status if status in seen), None)

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
            or nobody has noted where it stood.
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
        tasks = (
            None
            if self.tasks is None
            else [{"id": i, "state": state} for i, state in enumerate(self.tasks)]
        )
        return {
            "name": self.name,
            "state": self.state,
            "tasks": tasks,
            "failure": self.failure,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """A partition at one moment. `at` is monotonic, in seconds; `members` is the
    group's, None when unknown.
    """

    at: float
    partition: PartitionLag
    members: int | None


@dataclass(frozen=True, slots=True)
class Ring:
    """The samples of one partition over the last WINDOW_SECONDS, at least
    INTERVAL_SECONDS apart but for the newest.

    `moved_at` is when the partition was last seen to get on: its commit changed, or
    nothing waited.
    """

    samples: tuple[Sample, ...] = field(default=())
    moved_at: float = 0.0

    def add(self, sample: Sample) -> Self:
        """The ring with one more sample. Samples with an error, and times that go back,
        leave it as it is.
        """
        if sample.partition.error is not None or (self.samples and sample.at < self.samples[-1].at):
            return self
        kept = list(self.samples)
        moved = (
            not kept
            or kept[-1].partition.current_offset != sample.partition.current_offset
            or sample.partition.waiting == 0
        )
        if len(kept) > 1 and kept[-1].at - kept[-2].at < INTERVAL_SECONDS:
            kept.pop()
        kept = [old for old in kept if sample.at - old.at <= WINDOW_SECONDS]
        return type(self)((*kept, sample), sample.at if moved else self.moved_at)

    @property
    def is_full(self) -> bool:
        """Whether it reaches back far enough to judge by."""
        return self.samples[-1].at - self.samples[0].at >= WINDOW_SECONDS - INTERVAL_SECONDS


def classify(sample: Sample, history: Ring, *, floor: int, warn_seconds: float) -> Status:
    """Judge a partition. The order of the rules is Burrow's, with the cases before
    STALL put first.

    Args:
        sample: the partition now.
        history: its ring, with `sample` added. A ring of one sample yields ERROR,
            NO_COMMIT, LOST, STOP or OK.
        floor: offsets behind that are not worth a word.
        warn_seconds: age of the oldest event from which a growing lag is a warning.
    """
    now = sample.partition
    if now.error is not None or now.waiting is None:
        return Status.ERROR
    if now.current_offset is None:
        return Status.NO_COMMIT
    if now.is_lost:
        return Status.LOST
    commits = [
        s.partition.current_offset
        for s in history.samples
        if s.partition.current_offset is not None
    ]
    if commits and now.current_offset < max(commits):
        return Status.REWIND
    return _judge_progress(sample, history, now.waiting, floor, warn_seconds)


def _judge_progress(
    sample: Sample, history: Ring, waiting: int, floor: int, warn_seconds: float
) -> Status:
    if waiting <= floor:
        return Status.OK
    if sample.members == 0 or sample.at - history.moved_at >= 2 * WINDOW_SECONDS:
        return Status.STOP
    lags = [s.partition.lag for s in history.samples]
    if not history.is_full or any(lag is None or lag <= floor for lag in lags):
        return Status.OK
    if len({s.partition.current_offset for s in history.samples}) == 1:
        return Status.STALL
    known = [lag for lag in lags if lag is not None]
    grew = known[-1] > known[0] and all(
        later >= earlier for earlier, later in itertools.pairwise(known)
    )
    return (
        Status.WARN
        if grew and (sample.partition.time_lag_seconds or 0.0) > warn_seconds
        else Status.OK
    )


def worst(partitions: Iterable[PartitionLag]) -> PartitionLag | None:
    """The partition with the oldest unprocessed event, then with the most behind; None
    when nothing waits.
    """
    waiting = [p for p in partitions if p.waiting]
    return max(waiting, key=lambda p: (p.time_lag_seconds or 0.0, p.waiting or 0), default=None)


def rfc3339(moment: datetime) -> str:
    """A time as JSON has it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
