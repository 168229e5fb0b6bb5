"""Is every change that was committed up to a moment handled by the live lane? And waiting until it is.

On its way a change passes the slot, its topic and perhaps that of the deferred rows; it is handled once the live
group's commit is past it.

Hazards:
- A change that came before `embedsync init` was never captured, and one whose record expired unread is gone: only the
  latter can be told, and only until the live worker goes on.
- The slot is asked before the topics and each commit before the end of its log, so that nothing slips from one to the
  next between two looks.
"""

from collections.abc import Callable, Sequence

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from connectors.postgres.adoption import Horizon
from schemas.errors import EmbedsyncError
from schemas.lag import GroupLag
from schemas.settings import Settings

PATIENCE_SECONDS = 180.0
"""Connect confirms to the slot every 60 s by default (offset.flush.interval.ms), and heartbeats move it."""
_POLL_SECONDS = 0.5

ReadSlot = Callable[[], int | None]
"""Where the slot stands in the log, in bytes; None when there is none."""


class Handled:
    """Looks at the live lane from outside."""

    def __init__(self, settings: Settings, offsets: Offsets, read_slot: ReadSlot, clock: Clock) -> None:
        """Remember whom to ask."""
        self._settings = settings
        self._offsets = offsets
        self._read_slot = read_slot
        self._clock = clock

    def wait(self, horizon: Horizon, topics: Sequence[str], tell: Callable[[str], None]) -> None:
        """Wait until everything before the horizon is handled.

        Args:
            horizon: the moment.
            topics: those of the tables in question, and that of the deferred rows.
            tell: told why it waits, once per reason.

        Raises:
            EmbedsyncError: it is not handled in time, or nobody is there who could.
        """
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        told = None
        while (why := self.missing(horizon, topics)) is not None:
            if self._clock.monotonic() >= deadline:
                raise EmbedsyncError(f"{why}, for {PATIENCE_SECONDS:g} s", fix="see `embedsync lag`, then repeat")
            if why != told:
                tell(why)
                told = why
            self._clock.wait(_POLL_SECONDS)

    def missing(self, horizon: Horizon, topics: Sequence[str]) -> str | None:
        """Why not everything before the horizon is handled, one clause; None when it is.

        Raises:
            EmbedsyncError: waiting will not help.
        """
        position = self._read_slot()
        if position is None:
            raise EmbedsyncError(
                f"there is no slot {self._settings.slot}: no edit would be noticed", fix="embedsync init"
            )
        if position < horizon.position:
            return "capture has not confirmed the changes before this command yet"
        group = self._offsets.read({self._settings.live_group: topics})[self._settings.live_group]
        _refuse_losses(group)
        if group.waiting is None:
            reasons = [row.error for row in group.partitions if row.error]
            return f"it is not known whether changes wait for the live worker ({'; '.join(reasons[:1]) or 'no topic'})"
        if group.waiting == 0:
            return None
        if group.members == 0:
            raise EmbedsyncError(
                f"{group.waiting:,} changes wait for a live worker, and none runs",
                fix="start `embedsync worker --role live`, then repeat",
            )
        return f"{group.waiting:,} changes wait for the live worker"


def _refuse_losses(group: GroupLag) -> None:
    for row in group.partitions:
        never_read = row.error is None and row.current_offset is None and bool(row.log_start_offset)
        if row.is_lost or never_read:
            raise EmbedsyncError(
                f"changes in {row.name} expired before the live worker read them, so edited rows cannot be told apart",
                fix="embed the rows instead: `embedsync replay run --only stale`",
            )
