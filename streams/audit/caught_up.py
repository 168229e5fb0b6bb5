"""Wait until the live lane has handled every change that was committed up to a moment.

A change passes the slot, its topic and perhaps that of the deferred rows; it is handled
once the live group's commit is past it.

Hazard: a change that came before `vectrue init` was never captured, and one whose
record expired unread is gone. Only the latter can be noticed, and only until the live
worker continues.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from connectors.postgres.audit.adoption import Horizon
from schemas.errors import VectrueError
from schemas.health.lag import GroupLag
from schemas.settings.reading import Settings

_CAPTURE_SECONDS = 180.0
"""Connect confirms to the slot every 60 s by default (offset.flush.interval.ms), and
heartbeats move it.
"""
_REBALANCE_SECONDS = 15.0
"""A live worker that has just started, or is in a rebalance, is not in its group for
some seconds.
"""
_POLL_SECONDS = 0.5

ReadSlot = Callable[[], int | None]
"""Position of the slot in the log, in bytes; None when it does not exist."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why not everything is handled.

    Attributes:
        why: one clause.
        fix: what to do.
        seconds: how long it is waited for.
    """

    why: str
    fix: str = "see `vectrue lag`, then repeat"
    seconds: float = _CAPTURE_SECONDS


class CaughtUp:
    """Looks at the live lane from outside."""

    def __init__(
        self, settings: Settings, offsets: Offsets, read_slot: ReadSlot, clock: Clock
    ) -> None:
        self._settings = settings
        self._offsets = offsets
        self._read_slot = read_slot
        self._clock = clock

    def wait(self, horizon: Horizon, topics: Sequence[str], tell: Callable[[str], None]) -> None:
        """Wait until everything before the horizon is handled.

        Args:
            horizon: the moment.
            topics: those of the tables in question, and that of the deferred rows.
            tell: called with the reason why it waits, once per reason.

        Raises:
            VectrueError: it is not handled in time, or no live worker runs.
        """
        began = self._clock.monotonic()
        told = None
        while (missing := self.missing(horizon, topics)) is not None:
            # By the reason: a worker that does not run is not waited for as long.
            if self._clock.monotonic() - began >= missing.seconds:
                raise VectrueError(f"{missing.why}, for {missing.seconds:g} s", fix=missing.fix)
            if missing.why != told:
                tell(missing.why)
                told = missing.why
            self._clock.wait(_POLL_SECONDS)

    def missing(self, horizon: Horizon, topics: Sequence[str]) -> Missing | None:
        """Say why not everything before the horizon is handled; None when it is.

        Args:
            horizon: the moment.
            topics: as for `wait`.

        Raises:
            VectrueError: waiting will not help.
        """
        # The slot is read before the topics, and each commit before the end of its log,
        # so that no change passes unseen from one to the next.
        position = self._read_slot()
        if position is None:
            raise VectrueError(
                f"slot {self._settings.slot} does not exist: no edit would be noticed",
                fix="vectrue init",
            )
        if position < horizon.position:
            return Missing("capture has not confirmed the changes before this command yet")
        group = self._offsets.read({self._settings.live_group: topics})[self._settings.live_group]
        _refuse_losses(group)
        if group.waiting == 0:
            return None
        if group.waiting is None:
            why = _first_error(group)
            return Missing(f"it is not known whether changes wait for the live worker ({why})")
        if group.members == 0:
            return Missing(
                f"{group.waiting:,} changes wait for a live worker, and none runs",
                fix="start `vectrue worker --role live`, then repeat",
                seconds=_REBALANCE_SECONDS,
            )
        return Missing(f"{group.waiting:,} changes wait for the live worker")


def _first_error(group: GroupLag) -> str:
    for row in group.partitions:
        if row.error:
            return row.error
    return "the topic does not exist"


def _refuse_losses(group: GroupLag) -> None:
    for row in group.partitions:
        # A log that begins above 0 has lost records, and no commit says that they were
        # read.
        is_unread = row.error is None and row.current_offset is None
        if row.is_lost or (is_unread and bool(row.log_start_offset)):
            raise VectrueError(
                f"changes in {row.name} expired before the live worker read them, so edited "
                "rows cannot be told apart",
                fix="embed the rows instead: `vectrue replay run --only stale`",
            )
