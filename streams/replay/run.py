"""`vectrue replay`: enumerate the keys of rows, send them as chunks, follow the ledger
until all are handled.

The command only enumerates, sends, steers and watches; the vectors are made by the
replay workers. It may be killed at any point and called again: it goes on with the
unfinished run, sending again what was not handled. A run by keys goes on by `replay
resume` instead: calling the command again would not name it, since keys are not
compared.

Hazards:
- Progress is the ledger's, never the topic's lag: a chunk may be delivered twice, and
  one of a cancelled run stays in the topic.
- Two runs over one column are refused, whatever rows they name: that two conditions
  exclude each other cannot be shown. One of the keeper's is no reason to refuse a
  person's: it ends, since the keeper finds again what it leaves undone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from connectors.ports import Clock, Outbox
from connectors.postgres.audit import coverage
from connectors.postgres.ledger import enumeration
from connectors.postgres.ledger.runs import MOST_RUNS, RunLedger, Scope, Taken
from connectors.postgres.rows import quarantine
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.messages.chunk import Chunk
from schemas.reports.coverage import Coverage
from schemas.reports.replay import UNFINISHED, Only, Request, Run, ScopeProgress, Survey
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import stragglers
from streams.common import targets as target_rules
from streams.common.retry import RetryPolicy
from streams.replay import keys as replay_keys
from streams.replay.keys import Named
from streams.replay.outcome import RunOutcome

_POLL_SECONDS = 0.25
_RESEND_SECONDS = 2.0
_DEFERRED_SECONDS = 60.0
"""How long the verdict waits for rows that were locked when their chunk was handled."""
_MOVING_SECONDS = 5.0
"""How long it waits for rows that an application has just written."""

Watch = Callable[[Sequence[ScopeProgress]], None]
Started = Callable[[UUID, bool], None]
"""Called once with the run's id, and whether it goes on with one that was interrupted.
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was checked: its columns, the rows behind them, and the
    interrupted run that it goes on with.
    """

    request: Request
    targets: Sequence[Target]
    surveys: Sequence[Survey]
    unfinished: Run | None = None


class Replay:
    """Runs from the command's side."""

    def __init__(self, settings: Settings, session: Session, outbox: Outbox, clock: Clock) -> None:
        """Join the parts."""
        self._settings = settings
        self._session = session
        self._ledger = RunLedger(session)
        self._outbox = outbox
        self._clock = clock
        self._retry = RetryPolicy(clock, seconds=settings.live.retry_seconds, lane="command")

    def run(self, only: Only, tables: Sequence[str], started: Started, watch: Watch) -> RunOutcome:
        """Start a run, or go on with the one that was interrupted, and follow it to its
        end.

        Args:
            only: which rows; `stale` means missing, or text or model differs.
            tables: names of configured tables; all when empty.
            started: told of the run before anything is sent.
            watch: called with the ledger's progress, several times a second.

        Raises:
            VectrueError: another unfinished run holds one of the tables.
            TransientError: Postgres or Kafka is away; calling again goes on where this
                call stopped.
        """
        prepared = self.prepare(Request(only), tables)
        run = self.begin(prepared)
        if run is not None:
            started(run, prepared.unfinished is not None)
            self.feed(run, watch, everything=prepared.unfinished is not None)
            self.follow(run, watch)
        return self.outcome(run, prepared)

    def start(self, request: Request, tables: Sequence[str]) -> UUID | None:
        """Start a run, or go on with the one that was interrupted, enumerate and send
        it, and leave it to the workers.

        Returns:
            the run; None when there is nothing to do.

        Raises:
            VectrueError, TransientError: as `run`.
        """
        prepared = self.prepare(request, tables)
        run = self.begin(prepared)
        if run is not None:
            self.feed(run, everything=prepared.unfinished is not None)
        return run

    def prepare(self, request: Request, tables: Sequence[str], *, exact: bool = True) -> Prepared:
        """Check a request and look at the rows behind it: one pass over each table,
        nothing is written.

        Args:
            request: what is asked for.
            tables: names of configured tables; all when empty.
            exact: whether a large table is counted rather than sampled.

        Raises:
            ConfigurationError: a table is not configured, or not known to the database
                yet.
            VectrueError: the condition is none, or another unfinished run holds one of
                the columns.
        """
        targets = target_rules.choose(self._settings, self._session, tables)
        if request.keys and len({target.table for target in targets}) != 1:
            raise VectrueError("--keys is about one table", fix="name it with --table")
        for target in targets:
            enumeration.check_where(self._session, target, request)
        unfinished = self.unfinished(request, targets)
        surveys: list[Survey] = []
        if unfinished is None and not request.keys:
            surveys = [
                enumeration.survey(self._session, target, request, exact=exact)
                for target in targets
            ]
        return Prepared(request, targets, surveys, unfinished)

    def unfinished(self, request: Request, targets: Sequence[Target]) -> Run | None:
        """The interrupted run that does what is asked for; None when nothing is in the
        way but what gives way.

        Raises:
            VectrueError: a run that does something else holds one of the columns, or it
                is paused.
        """
        names = [target.name for target in targets]
        run = self._ledger.in_the_way(names, request)
        if run is None:
            return None
        over = f"run {run.run} ({run.request.options}) over {', '.join(run.columns)}"
        if run.state == "planned":
            raise VectrueError(
                f"{over} is reading its keys, or was interrupted then",
                fix=f"wait for it, or `vectrue replay cancel {run.run}`",
            )
        if (
            run.state == "paused"
            or not request.same_rows(run.request)
            or not set(run.columns) <= set(names)
        ):
            raise VectrueError(
                f"{over} {run.standing}",
                fix=f"`{run.go_on}` goes on with it"
                f" (`vectrue replay status {run.run}` shows it), `vectrue replay cancel "
                f"{run.run}` ends it",
            )
        return run

    def begin(self, prepared: Prepared) -> UUID | None:
        """Enter the run, or take up the interrupted one. Nothing is sent yet. None when
        there is nothing to do.

        Raises:
            VectrueError: another run took one of the columns meanwhile.
        """
        if prepared.unfinished is not None:
            return prepared.unfinished.run
        scopes = [
            Scope(target, survey.selected(prepared.request))
            for target, survey in zip(prepared.targets, prepared.surveys, strict=True)
        ]
        scopes = [scope for scope in scopes if scope.expected]
        if scopes:
            return self._create(scopes, prepared.request)
        if prepared.request.covers_stale:  # nothing is left for the keeper either
            self._ledger.give_way([target.name for target in prepared.targets], prepared.request)
        return None

    def begin_keys(self, prepared: Prepared, lines: Iterable[str], named: Named) -> UUID | None:
        """Enter a run over the rows that these lines name; it may be sent once all are
        read. None for no row.

        Args:
            prepared: its columns are of one table.
            lines: a key each.
            named: told what they come to.

        Raises:
            VectrueError: a line is no key of the table; nothing of the run is sent, and
                it is cancelled.
        """
        run = self._create([Scope(target, 0) for target in prepared.targets], prepared.request)
        size = prepared.request.chunk_size or self._settings.replay.chunk_size
        try:
            for keys in replay_keys.rows(self._session, prepared.targets[0], lines, named):
                for target in prepared.targets:
                    self._ledger.enter_keys(run, target, keys, size)
        except BaseException:
            self._ledger.set_state(run, "cancelled", after=("planned",))
            raise
        if not named.rows or not self._ledger.end_keys(run):
            self._ledger.set_state(run, "cancelled", after=("planned",))
            return None
        return run

    def begin_quarantined(self, target: Target, keys: Sequence[Key]) -> UUID:
        """Take rows out of quarantine and enter them as a run, in one transaction;
        nothing is sent yet.

        Raises:
            VectrueError: an unfinished run holds the column; the rows stay in
                quarantine.
        """
        run = quarantine.enter_replay(self._session, target, keys, self._settings.replay.chunk_size)
        return self._entered(run, Request("all", keys=True), [target])

    def feed(self, run: UUID, watch: Watch | None = None, *, everything: bool = False) -> None:
        """Enumerate what is left of a run and send what was not sent; with `everything`
        also what is not handled.
        """
        (found,) = self._ledger.find(str(run))
        if everything:
            self._send_again(run, everything=True)
        size = found.request.chunk_size or self._settings.replay.chunk_size
        shown, state = 0.0, found.state
        for scope in self._ledger.scopes(run, target_rules.standing(self._settings, self._session)):
            if scope.enumerated:
                continue
            try:
                for chunks in self._ledger.enumerate(run, scope, found.request, size):
                    if state == "running":
                        self._send(run, chunks)
                    now = self._clock.monotonic()
                    if now - shown > _POLL_SECONDS:
                        shown, progress = now, self._ledger.progress(run)
                        state = progress[0].state
                        if watch is not None:
                            watch(progress)
                    if state == "cancelled":
                        return
            except Taken:
                return  # another command is at it
        self._send_again(run, everything=False)

    def send_again(self) -> list[UUID]:
        """Send the chunks that are not handled of all runs under way: the replay topic
        may have lost them.

        Returns:
            the runs. One that is counted twice counts once.
        """
        runs = [
            run.run
            for run in self._ledger.find(unfinished=True, limit=MOST_RUNS)
            if run.state == "running"
        ]
        for run in runs:
            self._send_again(run, everything=True)
        return runs

    def follow(self, run: UUID, watch: Watch) -> None:
        """Watch a run until it is done or cancelled."""
        resend = self._clock.monotonic() + _RESEND_SECONDS
        while True:
            self._retry.call(self._ledger.finish, run)
            progress = self._retry.call(self._ledger.progress, run)
            watch(progress)
            if not progress or progress[0].state not in UNFINISHED:
                return
            if self._clock.monotonic() >= resend and progress[0].state == "running":
                self._retry.call(self._send_again, run, everything=False)
                resend = self._clock.monotonic() + _RESEND_SECONDS
            self._clock.wait(_POLL_SECONDS)

    def outcome(
        self, run: UUID | None, prepared: Prepared, named: Named | None = None
    ) -> RunOutcome:
        """What the run came to, once rows that were locked have had time to be written;
        `named`: by these keys.
        """
        resumed = prepared.unfinished is not None
        if run is None:
            counted = (
                zip(prepared.targets, prepared.surveys, strict=True) if prepared.surveys else ()
            )
            asked = [_coverage(target, survey) for target, survey in counted]
            return RunOutcome(None, "done", False, [], asked, named, self._standing(prepared))
        progress = self._ledger.progress(run)
        state = progress[0].state if progress else "done"
        deferred = any(p.deferred for p in progress)
        deadline = self._clock.monotonic() + (_DEFERRED_SECONDS if deferred else _MOVING_SECONDS)
        while True:
            began = self._clock.monotonic()
            outcome = RunOutcome(run, state, resumed, progress, self._count(prepared), named)
            now = self._clock.monotonic()
            # While an application writes, a handful of rows is always on its way to a
            # vector.
            moves = state == "done" and any(
                0 < column.lacking <= stragglers.MOST for column in outcome.coverage
            )
            if outcome.is_true or now >= deadline or not (deferred or moves):
                return replace(outcome, standing=self._standing(prepared))
            self._clock.wait(max(_POLL_SECONDS, 5 * (now - began)))

    def _count(self, prepared: Prepared) -> list[Coverage]:
        request = prepared.request
        if request.keys:
            return []
        if request.is_whole:
            return self._whole(prepared)
        return [
            _coverage(t, enumeration.survey(self._session, t, request, exact=True))
            for t in prepared.targets
        ]

    def _standing(self, prepared: Prepared) -> list[Coverage]:
        """All rows of the tables, where a condition named some: it may name others once
        the run has written.
        """
        request = prepared.request
        return [] if request.is_whole or request.keys else self._whole(prepared)

    def _whole(self, prepared: Prepared) -> list[Coverage]:
        names = {(str(target.table), target.column) for target in prepared.targets}
        counted = coverage.read(self._session, self._settings, {table for table, _ in names})
        return [line for line in counted if (line.table, line.column) in names]

    def _create(self, scopes: Sequence[Scope], request: Request) -> UUID:
        run = self._ledger.create(scopes, request)
        return self._entered(run, request, [scope.target for scope in scopes])

    def _entered(self, run: UUID | None, request: Request, targets: Sequence[Target]) -> UUID:
        if run is None:
            self.unfinished(request, targets)
            raise VectrueError(
                "another run over these columns began just now", fix="see `vectrue replay status`"
            )
        return run

    def _send_again(self, run: UUID, *, everything: bool) -> None:
        for chunks in self._ledger.unsent(run, everything=everything):
            self._send(run, chunks)

    def _send(self, run: UUID, chunks: Sequence[Chunk]) -> None:
        if chunks:
            self._retry.call(self._outbox.send_chunks, chunks)
            self._ledger.mark_sent(run, chunks)


def _coverage(target: Target, survey: Survey) -> Coverage:
    counts = (survey.rows, survey.current, survey.missing, survey.stale_text, survey.stale_model)
    names = (str(target.table), target.column, target.model, target.dimensions)
    return Coverage(*names, *counts, survey.blank, survey.quarantined, survey.unreadable)
