"""The flood guard: how many bad events are too many.

One bad event is trouble of its own and goes to the dead letters. A topic full of them
is trouble of the producer or of the settings: moving it there event by event would only
hide that, and empty the topic. So the guard counts by topic, over a window of time and
in a row, and raises before the events that went too far are moved.

Hazard: it remembers nothing across a restart, so a worker that is started again may
move as many events as it takes to trip it once more: at most
`dead_letters.most_in_a_row` and one batch where every event is bad. The supervisor's
pause bounds how often. What is moved twice meanwhile is one entry of `vectrue dlq
list`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.errors import DeadLetterLimitReached
from schemas.settings.sections import DeadLetterSettings

_BUCKETS = 60
"""Parts of the window that are forgotten together: memory stays bounded at any rate of
events.
"""


@dataclass
class _Topic:
    """Counts of one topic; a bucket is its start in seconds, its events and the bad
    ones among them.
    """

    buckets: deque[list[float]] = field(default_factory=deque)
    in_a_row: int = 0

    def count(self, bad: bool, now: float, window: float) -> None:
        while self.buckets and self.buckets[0][0] <= now - window:
            self.buckets.popleft()
        if not self.buckets or now - self.buckets[-1][0] >= window / _BUCKETS:
            self.buckets.append([now, 0, 0])
        self.buckets[-1][1] += 1
        self.buckets[-1][2] += bad
        self.in_a_row = self.in_a_row + 1 if bad else 0

    @property
    def events(self) -> int:
        return int(sum(bucket[1] for bucket in self.buckets))

    @property
    def bad(self) -> int:
        return int(sum(bucket[2] for bucket in self.buckets))


class DeadLetterLimit:
    """Counts the events of one worker, by topic. Pure: time is passed in."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        """Set the limits; a limit of 0 is none."""
        self._settings = settings
        self._topics: dict[str, _Topic] = {}

    def judge(self, events: Iterable[tuple[str, str | None]], now: float) -> None:
        """Count events in the order in which they came.

        Args:
            events: topic, and why the event is bad; None for one that was handled (a
                tombstone is handled, too).
            now: monotonic seconds.

        Raises:
            DeadLetterLimitReached: a limit is passed; none of these events may be moved
                or acknowledged.
        """
        for topic, reason in events:
            seen = self._topics.setdefault(topic, _Topic())
            seen.count(reason is not None, now, self._settings.window_seconds)
            if reason is not None:
                self._check(topic, seen, reason)

    def _check(self, topic: str, seen: _Topic, reason: str) -> None:
        limits = self._settings
        if 0 < limits.most_in_a_row < seen.in_a_row:
            self._trip(topic, f"{seen.in_a_row} events in a row", "most_in_a_row", reason)
        events, bad = seen.events, seen.bad
        if limits.most_share and events >= limits.least_events and bad > limits.most_share * events:
            counts = f"{bad} of {events} events within {limits.window_seconds:g} s"
            self._trip(topic, counts, "most_share", reason)

    def _trip(self, topic: str, counts: str, setting: str, reason: str) -> None:
        raise DeadLetterLimitReached(
            f"{counts} of topic {topic} cannot be handled, the last because: {reason}; "
            "the worker stops rather than move the topic into the dead letters",
            fix="mend the producer or [[tables]] (`vectrue dlq list` shows what was moved), or "
            "raise "
            f"dead_letters.{setting}",
        )
