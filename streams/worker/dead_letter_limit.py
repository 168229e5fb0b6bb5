"""The limit on dead letters: how many bad events are too many.

One bad event is a trouble of its own and goes to the dead letters. A topic full of them
is a trouble of the producer or of the settings: moving it there event by event would
hide that, and empty the topic. So bad events are counted by topic, over a window of
time and in a row, and the limit raises before the events that pass it are moved.

Hazard: it remembers nothing across a restart, so a worker that is restarted may move as
many events as it takes to reach the limit again: at most `dead_letters.most_in_a_row`
and one batch, where every event is bad. The supervisor's pause limits how often. What
is moved twice is one entry of `vectrue dlq list`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.errors import DeadLetterLimitReached
from schemas.settings.sections import DeadLetterSettings

_WINDOW_SECONDS = 60.0
_LEAST_EVENTS = 200
"""Events in the window before the share counts: of three events two are bad by chance."""
_BUCKETS = 60
"""Parts of the window that are forgotten together: memory stays bounded at any rate of
events.
"""


@dataclass
class _Bucket:
    """Counts of a stretch of time."""

    start: float
    """Monotonic seconds."""
    events: int = 0
    bad: int = 0


@dataclass
class _TopicCounts:
    """Counts of one topic, over the window and in a row."""

    buckets: deque[_Bucket] = field(default_factory=deque)
    events: int = 0
    bad: int = 0
    in_a_row: int = 0

    def count(self, is_bad: bool, now: float) -> None:
        while self.buckets and self.buckets[0].start <= now - _WINDOW_SECONDS:
            old = self.buckets.popleft()
            self.events -= old.events
            self.bad -= old.bad
        if not self.buckets or now - self.buckets[-1].start >= _WINDOW_SECONDS / _BUCKETS:
            self.buckets.append(_Bucket(now))
        self.buckets[-1].events += 1
        self.buckets[-1].bad += is_bad
        self.events += 1
        self.bad += is_bad
        self.in_a_row = self.in_a_row + 1 if is_bad else 0


class DeadLetterLimit:
    """Counts the events of one worker, by topic. Pure: time is passed in."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        """Set the limits; 0 means no limit."""
        self._settings = settings
        self._topics: dict[str, _TopicCounts] = {}

    def judge(self, events: Iterable[tuple[str, str | None]], now: float) -> None:
        """Count events in the order in which they came.

        Args:
            events: topic, and why the event is bad; None for one that was handled (a
                tombstone is handled, too).
            now: monotonic seconds.

        Raises:
            DeadLetterLimitReached: a limit is passed. None of these events may be moved
                or acknowledged.
        """
        for topic, reason in events:
            seen = self._topics.setdefault(topic, _TopicCounts())
            seen.count(reason is not None, now)
            if reason is not None:
                self._check(topic, seen, reason)

    def _check(self, topic: str, seen: _TopicCounts, reason: str) -> None:
        limits = self._settings
        if 0 < limits.most_in_a_row < seen.in_a_row:
            self._trip(topic, f"{seen.in_a_row} events in a row", "most_in_a_row", reason)
        if not limits.most_share or seen.events < _LEAST_EVENTS:
            return
        if seen.bad > limits.most_share * seen.events:
            counts = f"{seen.bad} of {seen.events} events within {_WINDOW_SECONDS:g} s"
            self._trip(topic, counts, "most_share", reason)

    def _trip(self, topic: str, counts: str, setting: str, reason: str) -> None:
        raise DeadLetterLimitReached(
            f"{counts} of topic {topic} cannot be handled, the last because: {reason}; "
            "the worker stops rather than move the topic into the dead letters",
            fix="fix the producer or [[tables]] (`vectrue dlq list` shows what was moved), "
            f"or raise dead_letters.{setting}",
        )
