"""`vectrue replay`: enumerate the keys of rows, send them as chunks, follow the ledger.

The command only enumerates, sends, steers and watches; the vectors are made by the
replay workers. It may be killed at any point and called again: it continues the
unfinished run, sending again what was not handled. A run by keys is continued by
`replay resume` instead: calling the command again would not name it, since keys are not
compared.

Hazards:
- Progress is the ledger's, never the topic's lag: a chunk may be delivered twice, and
  one of a cancelled run stays in the topic.
- Two runs over one column are refused, whatever rows they name: that two conditions
  exclude each other cannot be shown. A run of the keeper does not block a person's: it
  ends, since the keeper finds again what it leaves undone.
"""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from connectors.ports import Clock, Outbox
from connectors.postgres.ledger import enumeration
from connectors.postgres.ledger.runs import MOST_RUNS, RunLedger, Scope, Taken
from connectors.postgres.rows import quarantine
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.messages.chunk import Chunk
from schemas.reports.replay import UNFINISHED, Only, Request, Run, ScopeProgress, Survey
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.common.retry import RetryPolicy
from streams.replay import keys as replay_keys
from streams.replay.keys import Named
from streams.replay.outcome import RunOutcome
from streams.replay.outcome_reader import OutcomeReader
from streams.replay.prepared import Prepared

_POLL_SECONDS = 0.25
_RESEND_SECONDS = 2.0

Watch = Callable[[Sequence[ScopeProgress]], None]
Started = Callable[[UUID, bool], None]
"""Called once with the run's id, and whether it continues an interrupted run."""


class Replay:
    """Runs from the command's side."""

    def __init__(self, settings: Settings, session: Session, outbox: Outbox, clock: Clock) -> None:
        self._settings = settings
        self._session = session
        self._ledger = RunLedger(session)
        self._outbox = outbox
        self._outcomes = OutcomeReader(settings, session, clock)
        self._clock = clock
        self._retry = RetryPolicy(clock, seconds=settings.live.retry_seconds, lane="command")

    def run(self, only: Only, tables: Sequence[str], started: Started, watch: Watch) -> RunOutcome:
        """Start a run, or continue the interrupted one, and follow it to its end.

        Args:
            only: which rows; `stale` means missing, or text or model differs.
            tables: names of configured tables; all when empty.
            started: called with the run before anything is sent.
            watch: called with the ledger's progress, several times a second.

        Raises:
            VectrueError: another unfinished run holds one of the tables.
            TransientError: Postgres or Kafka is away; calling again continues where
                this call stopped.
        """
        prepared = self.prepare(Request(only), tables)
        run = self.begin(prepared)
        if run is not None:
            # Before anything is sent, so that a command that is interrupted has named its run.
            started(run, prepared.unfinished is not None)
            self.feed(run, watch, everything=prepared.unfinished is not None)
            self.follow(run, watch)
        return self.outcome(run, prepared)

    def start(self, request: Request, tables: Sequence[str]) -> UUID | None:
        """Start a run, or continue the interrupted one, and leave it to the workers.

        Returns:
            The run; None when there is nothing to do.

        Raises:
            VectrueError, TransientError: as `run`.
        """
        prepared = self.prepare(request, tables)
        run = self.begin(prepared)
        if run is not None:
            self.feed(run, everything=prepared.unfinished is not None)
        return run

    def prepare(self, request: Request, tables: Sequence[str], *, exact: bool = True) -> Prepared:
        """Check a request and count its rows: one pass over each table, read only.

        Args:
            request: what is asked for.
            tables: names of configured tables; all when empty.
            exact: whether a large table is counted rather than sampled.

        Raises:
            ConfigurationError: a table is not configured, or `vectrue init` was not run
                with it.
            VectrueError: the condition is not valid, or another unfinished run holds one
                of the columns.
        """
        targets = target_rules.choose(self._settings, self._session, tables)
        tables_of_keys = {target.table for target in targets}
        if request.keys and len(tables_of_keys) != 1:
            raise VectrueError("--keys is about one table", fix="name it with --table")
        for target in targets:
            enumeration.check_where(self._session, target, request)
        unfinished = self.unfinished(request, targets)
        # An interrupted run has counted its rows, and keys are counted when looked up.
        surveys: list[Survey] = []
        if unfinished is None and not request.keys:
            for target in targets:
                survey = enumeration.survey(self._session, target, request, exact=exact)
                surveys.append(survey)
        return Prepared(request, targets, surveys, unfinished)

    def unfinished(self, request: Request, targets: Sequence[Target]) -> Run | None:
        """Return the interrupted run that does what is asked for.

        Args:
            request: what is asked for.
            targets: its columns.

        Returns:
            The run; None when no run blocks the request. Runs that give way do not.

        Raises:
            VectrueError: a run that does something else holds one of the columns, or it
                is paused.
        """
        names = [target.name for target in targets]
        run = self._ledger.in_the_way(names, request)
        if run is not None:
            self._refuse_other(run, request, names)
        return run

    @staticmethod
    def _refuse_other(run: Run, request: Request, names: Sequence[str]) -> None:
        """Refuse a run in the way, unless it does what is asked for and is not paused."""
        over = f"run {run.run} ({run.request.options}) over {', '.join(run.columns)}"
        if run.state == "planned":
            raise VectrueError(
                f"{over} is reading its keys, or was interrupted then",
                fix=f"wait for it, or `vectrue replay cancel {run.run}`",
            )
        is_same = request.same_rows(run.request) and set(run.columns) <= set(names)
        if run.state == "paused" or not is_same:
            raise VectrueError(
                f"{over} {run.standing}",
                fix=f"`{run.go_on}` continues it (`vectrue replay status {run.run}` shows "
                f"it), `vectrue replay cancel {run.run}` ends it",
            )

    def begin(self, prepared: Prepared) -> UUID | None:
        """Enter the run, or take up the interrupted one; nothing is sent yet.

        Returns:
            The run; None when there is nothing to do.

        Raises:
            VectrueError: another run took one of the columns meanwhile.
        """
        if prepared.unfinished is not None:
            return prepared.unfinished.run
        scopes: list[Scope] = []
        for target, survey in zip(prepared.targets, prepared.surveys, strict=True):
            expected = survey.selected(prepared.request)
            if expected:
                scopes.append(Scope(target, expected))
        if scopes:
            return self._create(scopes, prepared.request)
        if prepared.request.covers_stale:
            # Nothing is left for a run of the keeper either.
            names = [target.name for target in prepared.targets]
            self._ledger.give_way(names, prepared.request)
        return None

    def begin_keys(self, prepared: Prepared, lines: Iterable[str], named: Named) -> UUID | None:
        """Enter a run over the rows that these lines name; nothing is sent yet.

        Args:
            prepared: its columns are of one table.
            lines: a key each.
            named: counts what they come to.

        Returns:
            The run; None when no key is of a row.

        Raises:
            VectrueError: a line is not a key of the table; the run is cancelled.
        """
        scopes: list[Scope] = []
        for target in prepared.targets:
            # How many rows there are is known once the keys were looked up.
            scopes.append(Scope(target, 0))
        run = self._create(scopes, prepared.request)
        size = prepared.request.chunk_size or self._settings.replay.chunk_size
        try:
            for keys in replay_keys.rows(self._session, prepared.targets[0], lines, named):
                for target in prepared.targets:
                    self._ledger.enter_keys(run, target, keys, size)
        except BaseException:
            # Ctrl-C too: a planned run would hold the columns.
            self._ledger.set_state(run, "cancelled", after=("planned",))
            raise
        if not named.rows or not self._ledger.end_keys(run):
            self._ledger.set_state(run, "cancelled", after=("planned",))
            return None
        return run

    def begin_quarantined(self, target: Target, keys: Sequence[Key]) -> UUID:
        """Take rows out of quarantine and enter them as a run, in one transaction.

        Nothing is sent yet.

        Raises:
            VectrueError: an unfinished run holds the column; the rows stay in
                quarantine.
        """
        size = self._settings.replay.chunk_size
        run = quarantine.enter_replay(self._session, target, keys, size)
        return self._entered(run, Request("all", keys=True), [target])

    def feed(self, run: UUID, watch: Watch | None = None, *, everything: bool = False) -> None:
        """Enumerate what is left of a run, and send what was not sent.

        Args:
            run: which.
            watch: called with the ledger's progress, several times a second; None: no
                one watches.
            everything: send again what was sent and is not handled, too.

        Raises:
            TransientError: Postgres or Kafka is away.
        """
        (found,) = self._ledger.find(str(run))
        if everything:
            self._send_again(run, everything=True)
        size = found.request.chunk_size or self._settings.replay.chunk_size
        shown, state = 0.0, found.state
        targets = target_rules.standing(self._settings, self._session)
        for scope in self._ledger.scopes(run, targets):
            if scope.enumerated:
                continue
            try:
                for chunks in self._ledger.enumerate(run, scope, found.request, size):
                    if state == "running":
                        self._send(run, chunks)
                    now = self._clock.monotonic()
                    if now - shown > _POLL_SECONDS:
                        # Another shell may pause or cancel the run meanwhile.
                        shown, progress = now, self._ledger.progress(run)
                        state = progress[0].state
                        if watch is not None:
                            watch(progress)
                    if state == "cancelled":
                        return
            except Taken:
                # Another command enumerates this run at the moment.
                return
        self._send_again(run, everything=False)

    def send_again(self) -> list[UUID]:
        """Send again the chunks of all runs under way that are not handled.

        The replay topic may have lost them.

        Returns:
            The runs.
        """
        runs: list[UUID] = []
        for found in self._ledger.find(unfinished=True, limit=MOST_RUNS):
            if found.state == "running":
                runs.append(found.run)
        # A chunk that is handled twice counts once.
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
            # A message may be lost, or its command killed before it was sent.
            if self._clock.monotonic() >= resend and progress[0].state == "running":
                self._retry.call(self._send_again, run, everything=False)
                resend = self._clock.monotonic() + _RESEND_SECONDS
            self._clock.wait(_POLL_SECONDS)

    def outcome(
        self, run: UUID | None, prepared: Prepared, named: Named | None = None
    ) -> RunOutcome:
        """Return what the run came to; see `OutcomeReader.read`."""
        return self._outcomes.read(run, prepared, named)

    def _create(self, scopes: Sequence[Scope], request: Request) -> UUID:
        run = self._ledger.create(scopes, request)
        targets = [scope.target for scope in scopes]
        return self._entered(run, request, targets)

    def _entered(self, run: UUID | None, request: Request, targets: Sequence[Target]) -> UUID:
        if run is None:
            # This names the other run, unless it has ended meanwhile.
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
            # Marked once the broker has them: after a kill in between they are sent
            # twice, and count once.
            self._retry.call(self._outbox.send_chunks, chunks)
            self._ledger.mark_sent(run, chunks)
