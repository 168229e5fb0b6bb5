"""Live first: when the replay lane waits for the live lane, and how it knows that the
live lane is behind.

A rule without I/O (`LiveFirst`), and the eye that feeds it (`LiveWatch`): how old the
oldest change is that the live group has not handled, asked of the broker about once a
second, in a thread of its own.

Hazards:
- Only the change topics count. Deferred rows wait on purpose, and one locked row would
  hold every replay.
- What is not known holds nothing up: no answer, no age, or no live worker that could
  catch up (it says so once). A replay that waited for a lane that nobody runs would
  wait for ever.
- Commits trail the work by up to a second (Faust commits once a second), so a limit
  under two seconds makes it wait for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.settings.reading import Settings
from streams.common.background_call import BackgroundCall
from streams.operations.lag import aged

log = structlog.get_logger()

ASK_SECONDS = 1.0
_AFTER_FAILURE_SECONDS = 15.0
_STALE_SECONDS = 10.0
"""An answer older than this is none."""
_PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LiveView:
    """The live lane from outside: workers, and the age in seconds of the oldest
    unhandled change; None: unknown.
    """

    members: int | None
    lag: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is done now: look again after this many seconds. `reason` is for people,
    `kind` a label of metrics.
    """

    seconds: float
    kind: str
    reason: str


class LiveFirst:
    """Whether to wait for the live lane: from above the limit until it is down to half
    of it.
    """

    def __init__(self) -> None:
        """Nothing is waited for yet."""
        self.waits = False

    def reason(self, view: LiveView | None, limit: float) -> str | None:
        """Why to wait; None to go on.

        Args:
            view: the live lane now; None: unknown.
            limit: seconds it may be behind.
        """
        if view is None or view.lag is None or not view.members:
            self.waits = False
            return None
        over = view.lag > limit
        self.waits = over or (self.waits and view.lag > limit / 2)
        if not self.waits:
            return None
        shown = f"live lag {view.lag:.0f}s"
        return f"{shown} > {limit:g}s" if over else f"{shown}, until it is {limit / 2:g}s"


class LiveWatch:
    """The newest view of the live lane, without ever waiting for it. One thread."""

    def __init__(self, settings: Settings, offsets: Offsets, clock: Clock) -> None:
        """Remember whom to ask; nothing is asked yet."""
        self._group = settings.live_group
        self._topics = list(
            dict.fromkeys(t.table.topic(settings.kafka.topic_prefix) for t in settings.tables)
        )
        self._offsets = offsets
        self._clock = clock
        self._inquiry = BackgroundCall(self._ask)
        self._view: LiveView | None = None
        self._seen_at = 0.0
        self._next = 0.0
        self._open = False
        self._told: str | None = None

    def latest(self) -> LiveView | None:
        """The last answer; None when there is none that is fresh. Asks again when it is
        time.
        """
        now = self._clock.monotonic()
        if self._open and not self._inquiry.is_open:
            self._open = False
            self._take(now)
        if not self._open and now >= self._next:
            self._open = True
            self._next = now + ASK_SECONDS
            self._inquiry.start()
        return self._view if now - self._seen_at <= _STALE_SECONDS else None

    def _take(self, now: float) -> None:
        try:
            self._view = self._inquiry.answer(0)
        except VectrueError as error:
            self._view = None
            self._next = now + _AFTER_FAILURE_SECONDS
            self._tell(f"the live lane's lag is not known ({error})")
            return
        self._seen_at = now
        behind = self._view is not None and (self._view.lag is None or self._view.lag > ASK_SECONDS)
        if self._view is not None and not self._view.members and behind:
            self._tell("changes wait, but no live worker runs that could catch up")
        elif self._view is not None and self._view.lag is None:
            self._tell("changes wait, but their age is not known")
        else:
            self._told = None

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            log.warning("the replay does not wait for the live lane", reason=why)

    def _ask(self) -> LiveView:
        group = self._offsets.read({self._group: self._topics})[self._group]
        places = {
            (row.topic, row.partition): row.next_offset
            for row in group.partitions
            if row.partition is not None and row.waiting and row.next_offset is not None
        }
        records = self._offsets.records_at(places, timeout=_PROBE_SECONDS) if places else {}
        now = self._clock.now()
        ages = [
            0.0 if row.waiting == 0 else aged(row, records, now).time_lag_seconds
            for row in group.partitions
        ]
        known = [age for age in ages if age is not None]
        return LiveView(group.members, max(known) if known and len(known) == len(ages) else None)


View = Callable[[], LiveView | None]
