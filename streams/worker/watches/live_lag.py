"""Live first: when the replay lane waits for the live lane, and how it knows.

A rule without I/O (`LiveFirst`), and what feeds it (`LiveWatch`): the age of the oldest
change that the live group has not handled, asked of the broker about once a second, in
a thread of its own.

Hazards:
- What is not known holds nothing up: no answer, no age, or no live worker that could
  catch up (logged once).
- Commits trail the work by up to a second (Faust commits once a second), so a limit
  under two seconds makes the replay wait for nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from streams.common.background_call import BackgroundCall
from streams.operations.lag import aged

log = structlog.get_logger()

ASK_SECONDS = 1.0
_AFTER_FAILURE_SECONDS = 15.0
_STALE_SECONDS = 10.0
"""An older answer is not used."""
_PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LiveView:
    """The live lane from outside; None: unknown."""

    members: int | None
    """Workers of its group."""
    lag: float | None
    """Age of the oldest unhandled change, in seconds."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is done now: look again after this many seconds."""

    seconds: float
    kind: str
    """Label of the metrics."""
    reason: str
    """For people."""


class LiveFirst:
    """Whether to wait for the live lane: from above the limit until half of it."""

    def __init__(self) -> None:
        self.waits = False

    def reason(self, view: LiveView | None, limit: float) -> str | None:
        """Return why to wait; None to go on.

        Args:
            view: the live lane now; None: unknown.
            limit: seconds it may be behind.
        """
        # Otherwise a replay would wait for ever for a lane that does not run.
        if view is None or view.lag is None or not view.members:
            self.waits = False
            return None
        over = view.lag > limit
        # Two limits, so that it does not start and stop around one of them.
        self.waits = over or (self.waits and view.lag > limit / 2)
        if not self.waits:
            return None
        shown = f"live lag {view.lag:.0f}s"
        if over:
            return f"{shown} > {limit:g}s"
        return f"{shown}, until it is {limit / 2:g}s"


class LiveWatch:
    """The newest view of the live lane, without ever waiting for it. One thread."""

    def __init__(self, settings: Settings, offsets: Offsets, clock: Clock) -> None:
        self._group = settings.live_group
        self._topics: list[str] = []
        # Change topics alone: deferred rows wait on purpose, and one locked row would
        # hold up every replay.
        for table in settings.tables:
            topic = table.table.topic(settings.kafka.topic_prefix)
            if topic not in self._topics:
                self._topics.append(topic)
        self._offsets = offsets
        self._clock = clock
        self._call = BackgroundCall(self._ask)
        self._view: LiveView | None = None
        self._seen_at = 0.0
        self._next = 0.0
        self._open = False
        self._logged: str | None = None

    def latest(self) -> LiveView | None:
        """Return the last answer, None when it is not fresh; ask again when it is time."""
        now = self._clock.monotonic()
        if self._open and not self._call.is_open:
            self._open = False
            self._take(now)
        if not self._open and now >= self._next:
            self._open = True
            self._next = now + ASK_SECONDS
            self._call.start()
        return self._view if now - self._seen_at <= _STALE_SECONDS else None

    def _take(self, now: float) -> None:
        try:
            # The call has ended, so this waits for nothing.
            self._view = self._call.answer(0)
        except VectrueError as error:
            self._view = None
            self._next = now + _AFTER_FAILURE_SECONDS
            self._log(f"the live lane's lag is not known ({error})")
            return
        self._seen_at = now
        if self._view is None:
            self._logged = None
        elif not self._view.members and (self._view.lag is None or self._view.lag > ASK_SECONDS):
            self._log("changes wait, but no live worker runs that could catch up")
        elif self._view.lag is None:
            self._log("changes wait, but their age is not known")
        else:
            self._logged = None

    def _log(self, why: str) -> None:
        if why != self._logged:
            self._logged = why
            log.warning("the replay does not wait for the live lane", reason=why)

    def _ask(self) -> LiveView:
        group = self._offsets.read({self._group: self._topics})[self._group]
        places: dict[tuple[str, int], int] = {}
        for row in group.partitions:
            if row.partition is not None and row.waiting and row.next_offset is not None:
                places[row.topic, row.partition] = row.next_offset
        records: Mapping[tuple[str, int], Record | None] = {}
        if places:
            records = self._offsets.records_at(places, timeout=_PROBE_SECONDS)
        now = self._clock.now()
        oldest: float | None = None
        for row in group.partitions:
            age: float | None = 0.0
            if row.waiting != 0:
                age = aged(row, records, now).time_lag_seconds
            # One partition of unknown age makes the lag unknown.
            if age is None:
                return LiveView(group.members, None)
            oldest = age if oldest is None else max(oldest, age)
        return LiveView(group.members, oldest)


View = Callable[[], LiveView | None]
