"""Steering a run from any shell on any host: find it, pause, resume, cancel, limit it,
and say how it is.

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
    """A run, how far each of its columns is, and rows per second just now.

    `speeds` are by `schema.table.column`, and under None of all columns together;
    nothing was finished lately where there is none.
    """

    run: Run
    progress: tuple[ScopeProgress, ...]
    speeds: Mapping[str | None, float]

    @property
    def speed(self) -> float | None:
        """Of all columns together; no more than the run may now."""
        return self._limited(self.speeds.get(None))

    @property
    def eta_seconds(self) -> float | None:
        """Until all is handled at this speed; None when that is not known, or nobody
        works on it.
        """
        left = sum(scope.total - scope.done for scope in self.progress)
        if self.run.state != "running" or self.run.waiting or not self.speed:
            return None
        return left / self.speed

    def speed_of(self, scope: ScopeProgress) -> float | None:
        """Of one column: what another one does says nothing of it."""
        return self._limited(self.speeds.get(f"{scope.table}.{scope.column}"))

    def _limited(self, speed: float | None) -> float | None:
        limit = self.run.request.rate
        return speed if speed is None or limit is None else min(speed, limit)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return self.run.to_json() | {
            "rows_per_second": self.speed,
            "eta_seconds": self.eta_seconds,
            "columns": [scope.to_json() for scope in self.progress],
        }


class Control:
    """Steers runs by their id or the beginning of it."""

    def __init__(self, session: Session, settings: Settings) -> None:
        """Use this connection; only runs over tables of these settings are seen, not
        another installation's.
        """
        self._ledger = RunLedger(session)
        self._mine = tuple(f"{table.name}." for table in settings.tables)

    def find(self, prefix: str | None, *, unfinished: bool = True) -> Run:
        """The run whose id begins like this; with None the only unfinished one.

        Raises:
            VectrueError: there is none, or more than one.
        """
        found = self._runs((prefix or "").lower(), unfinished=unfinished or prefix is None)
        if len(found) == 1:
            return found[0]
        kind = "unfinished run" if unfinished or prefix is None else "run"
        if not found:
            named = f" {prefix}" if prefix else ""
            raise VectrueError(f"there is no {kind}{named}", fix="see `vectrue replay status`")
        ids = ", ".join(str(run.run) for run in found)
        raise VectrueError(f"{len(found)} runs fit ({ids})", fix="name one of them")

    def pause(self, prefix: str | None) -> Run:
        """Stop work on a run after the micro-batches in hand; rows done stay done."""
        run = self.find(prefix)
        if run.state != "paused" and not self._ledger.set_state(
            run.run, "paused", after=("running",)
        ):
            raise VectrueError(f"run {run.run} is {run.state}", fix="see `vectrue replay status`")
        return run

    def resume(self, prefix: str | None, replay: Replay) -> Run:
        """Go on with a run: what was given back or never sent is sent, what is not
        enumerated is enumerated.

        Of a run that is not paused every chunk that is not handled is sent: its
        messages may be lost with their topic.
        """
        run = self.find(prefix)
        if not self._ledger.set_state(run.run, "running", after=("paused", "running")):
            raise VectrueError(f"run {run.run} is {run.state}", fix="see `vectrue replay status`")
        replay.feed(run.run, everything=run.state == "running")
        return run

    def cancel(self, prefix: str | None) -> Run:
        """End a run: its remaining chunks are skipped, rows done stay done."""
        run = self.find(prefix)
        if not self._ledger.set_state(run.run, "cancelled", after=UNFINISHED):
            raise VectrueError(
                f"there is no unfinished run {run.run}", fix="see `vectrue replay status`"
            )
        return run

    def limit(self, prefix: str | None, limits: dict[str, float | None]) -> Run:
        """Change `rate` and `max_live_lag` of an unfinished run; None lifts the limit,
        or means the setting's.
        """
        run = self.find(prefix)
        if not self._ledger.set_limits(run.run, limits):
            raise VectrueError(
                f"there is no unfinished run {run.run}", fix="see `vectrue replay status`"
            )
        return run

    def statuses(self, prefix: str | None) -> list[RunStatus]:
        """The run named; or all that are unfinished, and the last few others."""
        if prefix is not None:
            return [self._status(self.find(prefix, unfinished=False))]
        open_runs = self._runs(unfinished=True)
        others = [run for run in self._runs()[:_LISTED] if run.state not in UNFINISHED]
        return [self._status(run) for run in (*open_runs, *others)]

    def _runs(self, prefix: str = "", *, unfinished: bool = False) -> list[Run]:
        found = self._ledger.find(prefix, unfinished=unfinished)
        return [
            run for run in found if any(column.startswith(self._mine) for column in run.columns)
        ]

    def _status(self, run: Run) -> RunStatus:
        speeds = self._ledger.speeds(run.run) if run.state == "running" else {}
        return RunStatus(run, tuple(self._ledger.progress(run.run)), speeds)
