"""Is every change that was committed up to a moment handled by the live lane? And
waiting until it is.

On its way a change passes the slot, its topic and perhaps that of the deferred rows; it
is handled once the live group's commit is past it.

Hazards:
- A change that came before `vectrue init` was never captured, and one whose record
  expired unread is gone: only the latter can be told, and only until the live worker
  goes on.
- The slot is asked before the topics and each commit before the end of its log, so that
  nothing slips from one to the next between two looks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from connectors.postgres.audit.adoption import Horizon
from schemas.errors import VectrueError
from schemas.health.lag import GroupLag
from schemas.settings.reading import Settings

PATIENCE_SECONDS = 180.0
"""Connect confirms to the slot every 60 s by default (offset.flush.interval.ms), and
heartbeats move it.
"""
_LONELY_SECONDS = 15.0
"""A live worker that has just started, or is in a rebalance, is not in its group for
some seconds.
"""
_POLL_SECONDS = 0.5

ReadSlot = Callable[[], int | None]
"""Where the slot stands in the log, in bytes; None when there is none."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why not everything is handled, one clause; what mends it, and after how many
    seconds it is not waited for.
    """

    why: str
    fix: str = "see `vectrue lag`, then repeat"
    seconds: float = PATIENCE_SECONDS


class CaughtUp:
    """Looks at the live lane from outside."""

    def __init__(
        self, settings: Settings, offsets: Offsets, read_slot: ReadSlot, clock: Clock
    ) -> None:
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
            VectrueError: it is not handled in time, or nobody is there who could.
        """
        began = self._clock.monotonic()
        told = None
        while (missing := self.missing(horizon, topics)) is not None:
            if self._clock.monotonic() - began >= missing.seconds:
                raise VectrueError(f"{missing.why}, for {missing.seconds:g} s", fix=missing.fix)
            if missing.why != told:
                tell(missing.why)
                told = missing.why
            self._clock.wait(_POLL_SECONDS)

    def missing(self, horizon: Horizon, topics: Sequence[str]) -> Missing | None:
        """Why not everything before the horizon is handled; None when it is.

        Raises:
            VectrueError: waiting will not help.
        """
        position = self._read_slot()
        if position is None:
            raise VectrueError(
                f"there is no slot {self._settings.slot}: no edit would be noticed",
                fix="vectrue init",
            )
        if position < horizon.position:
            return Missing("capture has not confirmed the changes before this command yet")
        group = self._offsets.read({self._settings.live_group: topics})[self._settings.live_group]
        _refuse_losses(group)
        if group.waiting is None:
            reasons = [row.error for row in group.partitions if row.error]
            why = reasons[0] if reasons else "there is no topic"
            return Missing(f"it is not known whether changes wait for the live worker ({why})")
        if group.waiting == 0:
            return None
        if group.members == 0:
            fix = "start `vectrue worker --role live`, then repeat"
            return Missing(
                f"{group.waiting:,} changes wait for a live worker, and none runs",
                fix,
                _LONELY_SECONDS,
            )
        return Missing(f"{group.waiting:,} changes wait for the live worker")


def _refuse_losses(group: GroupLag) -> None:
    for row in group.partitions:
        never_read = row.error is None and row.current_offset is None and bool(row.log_start_offset)
        if row.is_lost or never_read:
            raise VectrueError(
                (
                    f"changes in {row.name} expired before the live worker read them, so edited "
                    "rows cannot be told apart"
                ),
                fix="embed the rows instead: `vectrue replay run --only stale`",
            )
