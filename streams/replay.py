"""`embedsync replay`: enumerate the keys of rows, send them as chunks, follow the ledger until all are handled.

The command only enumerates and watches; the vectors are made by the replay workers. It may be killed at any point and
called again: it goes on with the unfinished run, sending again what was not handled.

Hazard: progress is the ledger's, never the topic's lag: a chunk may be delivered twice, and one of a cancelled run
stays in the topic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connectors.ports import Clock, Outbox
from connectors.postgres import coverage
from connectors.postgres.ledger import Only, RunLedger, Scope, ScopeProgress
from connectors.postgres.session import Session
from schemas.coverage import Coverage
from schemas.errors import ConfigurationError, EmbedsyncError
from schemas.settings import Settings
from schemas.table import TableName
from schemas.target import Target
from streams import targets as target_rules
from streams.retry import Patience

_POLL_SECONDS = 0.25
_DEFERRED_SECONDS = 60.0
"""How long the verdict waits for rows that were locked when their chunk was handled."""

Watch = Callable[[Sequence[ScopeProgress]], None]
Started = Callable[[UUID, bool], None]
"""Called once with the run's id, and whether it goes on with one that was interrupted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: the ledger's counts by column, and the state of all rows afterwards."""

    run: UUID | None
    state: str
    resumed: bool
    progress: Sequence[ScopeProgress]
    coverage: Sequence[Coverage]

    @property
    def is_true(self) -> bool:
        """Whether every row of the run's columns is current or blank now."""
        return all(column.is_true for column in self.coverage)

    def to_json(self) -> dict[str, Any]:
        """The verdict for scripts."""
        return {
            "run": str(self.run) if self.run else None,
            "state": self.state,
            "resumed": self.resumed,
            "ok": self.is_true,
            "columns": [scope.to_json() for scope in self.progress],
            "coverage": [column.to_json() for column in self.coverage],
        }


class Replay:
    """Runs from the command's side."""

    def __init__(self, settings: Settings, session: Session, outbox: Outbox, clock: Clock) -> None:
        """Join the parts."""
        self._settings = settings
        self._session = session
        self._ledger = RunLedger(session)
        self._outbox = outbox
        self._clock = clock
        self._patience = Patience(clock, seconds=settings.live.retry_seconds, lane="command")

    def targets(self, tables: Sequence[str]) -> list[Target]:
        """The targets a run is about: those of the named tables, or all.

        Raises:
            ConfigurationError: a table is not configured, or not known to the database yet.
        """
        targets = target_rules.resolve(self._settings, self._session)
        wanted = [TableName.parse(name) for name in tables]
        for name in wanted:
            if name not in {target.table for target in targets}:
                raise ConfigurationError(f"table {name} is not among [[tables]]", fix="correct --table")
        return [target for target in targets if not wanted or target.table in wanted]

    def run(self, only: Only, tables: Sequence[str], started: Started, watch: Watch) -> Outcome:
        """Start a run, or go on with the one that was interrupted, and follow it to its end.

        Args:
            only: which rows; `stale` means missing, or text or model differs.
            tables: names of configured tables; all when empty.
            started: told of the run before anything is sent.
            watch: called with the ledger's progress, several times a second.

        Raises:
            EmbedsyncError: another unfinished run holds one of the tables.
            TransientError: Postgres or Kafka is away; calling again goes on where this call stopped.
        """
        targets = self.targets(tables)
        run, resumed = self.send(only, targets, started, watch)
        if run is None:
            return self._outcome(None, False, targets)
        self.follow(run, watch)
        return self._outcome(run, resumed, targets)

    def send(
        self, only: Only, targets: Sequence[Target], started: Started, watch: Watch = lambda _: None
    ) -> tuple[UUID | None, bool]:
        """Start a run, or go on with the one that was interrupted, and return when all its chunks are sent.

        Returns:
            the run, None when there is nothing to do; and whether it is one that was interrupted.

        Raises:
            EmbedsyncError, TransientError: as `run`.
        """
        run, resumed = self._find_or_create(only, targets)
        if run is None:
            return None, False
        started(run, resumed)
        if resumed:
            for chunks in self._ledger.unsent(run, everything=True):
                self._send(run, chunks)
        for scope in self._ledger.scopes(run, targets):
            if not scope.enumerated:
                for chunks in self._ledger.enumerate(run, scope, only, self._settings.replay.chunk_size):
                    self._send(run, chunks)
                    watch(self._ledger.progress(run))
        # Everything may have been handled before it was known to be everything.
        self._patience.call(self._ledger.finish, run)
        return run, resumed

    def follow(self, run: UUID, watch: Watch) -> None:
        """Watch a run until it is done or cancelled."""
        while True:
            self._patience.call(self._ledger.finish, run)
            progress = self._patience.call(self._ledger.progress, run)
            watch(progress)
            if not progress or progress[0].state in ("done", "cancelled"):
                return
            self._clock.wait(_POLL_SECONDS)

    def _find_or_create(self, only: Only, targets: Sequence[Target]) -> tuple[UUID | None, bool]:
        columns = sorted(f"{target.table}.{target.column}" for target in targets)
        unfinished = self._ledger.unfinished(targets)
        if unfinished is None:
            scopes = [Scope(target, self._ledger.expected(target, only)) for target in targets]
            scopes = [scope for scope in scopes if scope.expected]
            return (self._ledger.create(scopes, only), False) if scopes else (None, False)
        run, its_only, its_columns = unfinished
        if its_only != only or not set(its_columns) <= set(columns):
            raise EmbedsyncError(
                f"run {run} (--only {its_only}) over {', '.join(its_columns)} is not finished",
                fix=f"call `embedsync replay run --only {its_only}` to finish it, or `embedsync replay cancel {run}`",
            )
        return run, True

    def _send(self, run: UUID, chunks: Sequence[Any]) -> None:
        if chunks:
            self._patience.call(self._outbox.send_chunks, chunks)
            self._ledger.mark_sent(run, chunks)

    def _outcome(self, run: UUID | None, resumed: bool, targets: Sequence[Target]) -> Outcome:
        progress = self._ledger.progress(run) if run else []
        state = progress[0].state if progress else "done"
        deadline = self._clock.monotonic() + (_DEFERRED_SECONDS if any(p.deferred for p in progress) else 0.0)
        names = {(str(target.table), target.column) for target in targets}
        while True:
            counted = [c for c in coverage.read(self._session) if (c.table, c.column) in names]
            outcome = Outcome(run, state, resumed, progress, counted)
            if outcome.is_true or self._clock.monotonic() >= deadline:
                return outcome
            self._clock.wait(_POLL_SECONDS)
