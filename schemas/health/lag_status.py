"""The status of a partition, judged by samples of it over the last minutes.

Pure: no clock, no network. The rules and their order are those of Burrow.
"""

from dataclasses import dataclass, field
from typing import Self

from schemas.health.lag import PartitionLag, Status

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


@dataclass(frozen=True, slots=True)
class Sample:
    """A partition at one moment.

    `at` is monotonic, in seconds; `members` is the group's, None when unknown.
    """

    at: float
    partition: PartitionLag
    members: int | None


@dataclass(frozen=True, slots=True)
class Ring:
    """The samples of one partition over the last WINDOW_SECONDS.

    They are at least INTERVAL_SECONDS apart, but for the newest.

    `moved_at` is when the partition was last seen to get on: its commit changed, or
    nothing waited.
    """

    samples: tuple[Sample, ...] = field(default=())
    moved_at: float = 0.0

    def add(self, sample: Sample) -> Self:
        """The ring with one more sample.

        Samples with an error, and times that go back, leave it as is.
        """
        if sample.partition.error is not None or (self.samples and sample.at < self.samples[-1].at):
            return self
        kept = list(self.samples)
        moved = (
            not kept
            or kept[-1].partition.current_offset != sample.partition.current_offset
            or sample.partition.waiting == 0
        )
        # The newest is kept whatever its distance; once it is not the newest, it may go.
        if len(kept) > 1 and kept[-1].at - kept[-2].at < INTERVAL_SECONDS:
            kept.pop()
        kept = [old for old in kept if sample.at - old.at <= WINDOW_SECONDS]
        return type(self)((*kept, sample), sample.at if moved else self.moved_at)

    @property
    def is_full(self) -> bool:
        """Whether it reaches back far enough to judge by."""
        return self.samples[-1].at - self.samples[0].at >= WINDOW_SECONDS - INTERVAL_SECONDS


def classify(sample: Sample, history: Ring, *, floor: int, warn_seconds: float) -> Status:
    """Judge a partition, in Burrow's order of rules with the cases before STALL first.

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
    for earlier in history.samples:
        commit = earlier.partition.current_offset
        if commit is not None and now.current_offset < commit:
            return Status.REWIND
    return _judge_progress(sample, history, now.waiting, floor, warn_seconds)


def _judge_progress(
    sample: Sample, history: Ring, waiting: int, floor: int, warn_seconds: float
) -> Status:
    if waiting <= floor:
        return Status.OK
    if sample.members == 0 or sample.at - history.moved_at >= 2 * WINDOW_SECONDS:
        return Status.STOP
    if not history.is_full:
        return Status.OK
    lags: list[int] = []
    commits: set[int | None] = set()
    for earlier in history.samples:
        lag = earlier.partition.lag
        if lag is None or lag <= floor:
            return Status.OK
        lags.append(lag)
        commits.add(earlier.partition.current_offset)
    if len(commits) == 1:
        return Status.STALL
    grew = lags[-1] > lags[0] and lags == sorted(lags)
    is_old = (sample.partition.time_lag_seconds or 0.0) > warn_seconds
    return Status.WARN if grew and is_old else Status.OK
