"""Steer a run from any shell on any host: find, pause, resume, cancel, limit, show it.

Everything goes through the ledger; the workers look there between micro-batches.

Hazard: a paused run's chunks leave the topic (the workers give them back), so a resume
has to send them again and needs Kafka; a pause or a cancel does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.replay import UNFINISHED, Run, ScopeProgress
from schemas.settings.reading import Settings
from streams.replay.run import Replay

_LISTED = 5


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run, how far each of its columns is, and its present speed.

    Attributes:
        run: which.
        progress: of each column.
        speeds: rows per second by `schema.table.column`, and under None of all columns
            together; without an entry where nothing was finished lately.
    """

    run: Run
    progress: tuple[ScopeProgress, ...]
    speeds: Mapping[str | None, float]

    @property
    def speed(self) -> float | None:
        """Rows per second of all columns together, at most the run's limit."""
        return self._limited(self.speeds.get(None))

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until all is handled at this speed; None when not known, or stopped."""
        # The speed of a run that waits is that of before, which says nothing of its end.
        is_working = self.run.state == "running" and not self.run.waiting
        if not is_working or not self.speed:
            return None
        left = 0
        for scope in self.progress:
            left += scope.total - scope.done
        return left / self.speed

    def speed_of(self, scope: ScopeProgress) -> float | None:
        """Return the rows per second of one column; None when nothing was finished."""
        return self._limited(self.speeds.get(f"{scope.table}.{scope.column}"))

    def _limited(self, speed: float | None) -> float | None:
        limit = self.run.request.rate
        if speed is None or limit is None:
            return speed
        # A few chunks that end together measure more than the limit.
        return min(speed, limit)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return self.run.to_json() | {
            "rows_per_second": self.speed,
            "eta_seconds": self.eta_seconds,
            "columns": [scope.to_json() for scope in self.progress],
        }


class Control:
    """Steers runs by their id or the beginning of it."""

    def __init__(self, session: Session, settings: Settings) -> None:
        """Use this connection; runs over tables of other settings are not seen."""
        self._ledger = RunLedger(session)
        # With the dot: another table's name may begin with this one's.
        self._mine = tuple(f"{table.name}." for table in settings.tables)

    def find(self, prefix: str | None, *, unfinished: bool = True) -> Run:
        """Return the run whose id begins like this.

        Args:
            prefix: beginning of the id; None: the only unfinished run.
            unfinished: whether finished runs are left out.

        Raises:
            VectrueError: no run fits, or more than one.
        """
        is_open = unfinished or prefix is None
        # Ids are stored in small letters.
        found = self._runs((prefix or "").lower(), unfinished=is_open)
        if len(found) == 1:
            return found[0]
        if not found:
            kind = "unfinished run" if is_open else "run"
            named = f" {prefix}" if prefix else ""
            raise VectrueError(f"no {kind}{named}", fix="see `vectrue replay status`")
        ids: list[str] = []
        for run in found:
            ids.append(str(run.run))
        raise VectrueError(f"{len(found)} runs fit ({', '.join(ids)})", fix="name one of them")

    def pause(self, prefix: str | None) -> Run:
        """Stop work on a run after the current micro-batches; rows done stay done."""
        run = self.find(prefix)
        if run.state == "paused":
            return run
        if not self._ledger.set_state(run.run, "paused", after=("running",)):
            raise VectrueError(f"run {run.run} is {run.state}", fix="see `vectrue replay status`")
        return run

    def resume(self, prefix: str | None, replay: Replay) -> Run:
        """Continue a run: enumerate and send what is left.

        Of a run that is not paused, every chunk that is not handled is sent again.
        """
        run = self.find(prefix)
        if not self._ledger.set_state(run.run, "running", after=("paused", "running")):
            raise VectrueError(f"run {run.run} is {run.state}", fix="see `vectrue replay status`")
        # Messages of a run that was not paused may be lost with their topic.
        replay.feed(run.run, everything=run.state == "running")
        return run

    def cancel(self, prefix: str | None) -> Run:
        """End a run: its remaining chunks are skipped, rows done stay done."""
        run = self.find(prefix)
        if not self._ledger.set_state(run.run, "cancelled", after=UNFINISHED):
            raise _finished(run)
        return run

    def limit(self, prefix: str | None, limits: dict[str, float | None]) -> Run:
        """Change the limits of an unfinished run.

        Args:
            prefix: as for `find`.
            limits: `rate` (rows per second) and `max_live_lag` (seconds); None lifts
                the rate, or restores the setting.
        """
        run = self.find(prefix)
        if not self._ledger.set_limits(run.run, limits):
            raise _finished(run)
        return run

    def statuses(self, prefix: str | None) -> list[RunStatus]:
        """Return the run named; without a name the unfinished, and the last few others."""
        if prefix is not None:
            return [self._status(self.find(prefix, unfinished=False))]
        runs = self._runs(unfinished=True)
        for run in self._runs()[:_LISTED]:
            # Unfinished runs are listed first already.
            if run.state in UNFINISHED:
                continue
            runs.append(run)
        return [self._status(run) for run in runs]

    def _runs(self, prefix: str = "", *, unfinished: bool = False) -> list[Run]:
        found: list[Run] = []
        for run in self._ledger.find(prefix, unfinished=unfinished):
            if self._is_mine(run):
                found.append(run)
        return found

    def _is_mine(self, run: Run) -> bool:
        return any(column.startswith(self._mine) for column in run.columns)

    def _status(self, run: Run) -> RunStatus:
        speeds = self._ledger.speeds(run.run) if run.state == "running" else {}
        return RunStatus(run, tuple(self._ledger.progress(run.run)), speeds)


def _finished(run: Run) -> VectrueError:
    """Return the error about a run that has ended since it was found."""
    return VectrueError(f"run {run.run} has ended", fix="see `vectrue replay status`")
