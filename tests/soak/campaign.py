"""One campaign: load and faults, a pause, the verdict; again and again; then the end
that must be still and true.

Hazards:
- The load is paused for a verdict: with changes on their way nothing could be told from
  nothing.
- Lag 0 alone says nothing about changes that capture has not sent yet: the slot must
  have passed the log position of the pause first.
- The first violation ends the campaign: what follows would only blur it.
"""

import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from connectors.local.stack import LocalStack
from schemas.errors import VectrueError
from tests.soak import letters
from tests.soak.checker import AWAY, Offsets, Rows
from tests.soak.convergence import CONVERGE_SECONDS, Convergence
from tests.soak.faults import Deck, Processes
from tests.soak.fleet import Fleet
from tests.soak.hits import Hit, Stage
from tests.soak.load import TEXT_KINDS, Load
from tests.soak.marks import Marks
from tests.soak.moments import Moments
from tests.soak.network import Network
from tests.soak.operators import Operators
from tests.soak.places import Places
from tests.soak.replays import Replays
from tests.soak.report import Report
from tests.soak.tables import LINES, PROBE, TABLES
from tests.soak.trace import Trace
from tests.soak.verdicts import Verdicts
from tests.soak.watch import Watch
from tests.soak.writer import ABORTED, ROLLED_BACK
from tests.support.proxy import Proxy
from tests.support.waiting import until

_UNAIDED_SECONDS = 90.0
_BATCH = 64
_TRACED = 3
"""Rows that are traced when they are wrong."""


@dataclass(frozen=True)
class Bounds:
    """Where a campaign ends: at that many faults, or after that many seconds, whichever
    is first.
    """

    faults: int
    seconds: float


class Campaign:
    """A campaign on a stack that is ready: tables made, `init` run.

    Load and checker reach the services directly; the workers go through the proxies, by
    their configuration.
    """

    def __init__(
        self,
        stack: LocalStack,
        place: Places,
        ways: dict[str, Proxy],
        directory: Path,
        seed: int,
        only: str = "",
    ) -> None:
        """Join the parts; `only` faults whose name holds these words are made."""
        self.report = Report(seed)
        settings = place.settings
        self._settings = settings
        self._random = Random(f"{seed}/plan")
        self._stage = Stage(self._random)
        ends = stack.endpoints()
        dsn = ends.postgres_dsn
        self._rows = Rows(dsn, TABLES)
        self._offsets = Offsets(ends.bootstrap_servers)
        self._trace = Trace(self._rows, self._offsets, settings)
        self._load = Load(dsn, seed)
        self._fleet = Fleet(place.config, directory)
        prefix = settings.kafka.topic_prefix
        topics = [f"{prefix}.public.{table.name}" for table in TABLES]
        self._live_topics = [*topics, settings.deferred_topic]
        # The watch reads the probe's, and that of the lines is made again with all that
        # is in it.
        readable = [
            topic
            for topic, table in zip(topics, TABLES, strict=True)
            if table not in (LINES, PROBE)
        ]
        shapes: dict[str, Sequence[bytes]] = dict.fromkeys(readable, letters.EVENTS)
        shapes |= {
            settings.deferred_topic: letters.DEFERRED,
            settings.replay_topic: letters.CHUNKS,
            settings.canary_topic: letters.BEATS,
        }
        self._letters = letters.Letters(
            self._stage, self._offsets, ends.bootstrap_servers, shapes, settings.dead_letter_topic
        )
        self._processes = Processes(self._stage, stack, self._fleet)
        moments = Moments(self._stage, dsn, self._fleet, ways["postgres"], ways["kafka"])
        marks = self._marks = Marks()
        self._operators = Operators(
            self._stage, dsn, self._fleet, place, ends.bootstrap_servers, marks
        )
        self._verdicts = Verdicts(place.direct, self._rows, marks)
        parts = (
            self._processes,
            Network(self._stage, ways),
            moments,
            self._letters,
            self._operators,
        )
        self._deck = Deck(
            [kind for part in parts for kind in part.kinds() if only in kind.name], self._stage
        )
        self._watch = Watch(
            self._rows, self._offsets, settings.live_group, topics[-1], settings.deferred_topic
        )
        self._convergence = Convergence(
            self._rows, self._offsets, self._fleet, settings, self._live_topics
        )
        self._replays = Replays(self._random, self._rows, self._fleet, self._processes, self.report)

    def run(self, bounds: Bounds) -> Report:
        """Run it; the report is there also when it ended early."""
        self._fleet.start()
        self._load.start()
        self._watch.start()
        self._verdicts.start()
        try:
            self._verdict()
            self.report.converged.clear()  # the start of the workers follows no fault
            while self.report.is_clean and (left := self._left(bounds)):
                self._round(left)
                self._verdict()
            self._load.stop()
            self._watch.end()
            if self.report.is_clean:
                self._end()
            self._judge()
        except (*AWAY, AssertionError, VectrueError, OSError) as error:
            # The figures so far are worth having, and the faults that led here.
            traceback.print_exc()
            self.report.violations.append(
                f"the campaign could not go on: {type(error).__name__}: {error}"
            )
        finally:
            self._load.stop()
            self._verdicts.end()
            self._collect()
            self._fleet.stop()
        return self.report

    def _left(self, bounds: Bounds) -> int:
        """Faults still to come; 0 when the time is over."""
        left = bounds.faults - self.report.faults.total()
        return max(0, left) if self._stage.elapsed() < bounds.seconds else 0

    def _say(self, line: str) -> None:
        print(f"{self._stage.elapsed():6.1f} s  {line}", file=sys.stderr, flush=True)

    def _round(self, most: int) -> None:
        """Load, a group of faults in the middle of it, and everything back in its
        place.
        """
        self._load.resume()
        self._replays.begin()
        self._pass(self._random.uniform(0.3, 1.5))
        self._load.burst()
        self._letters.send(self._random.randrange(4))
        hits = []
        for kind in self._deck.group(most):
            self._pass(self._random.uniform(0.0, 0.4))
            hit = kind.hit()
            if hit is not None:
                hits.append(hit)
                self._note(hit)
        self._undo(hits)
        self._pass(self._random.uniform(0.0, 0.5))

    def _undo(self, hits: Sequence[Hit]) -> None:
        """Undo each fault when it is due, all at once: a part takes its time to start."""
        brokers: list[Future[None]] = []

        def undo(hit: Hit) -> None:
            self._stage.let_pass(max(0.0, hit.due - self._stage.elapsed()))
            if hit.what == "connect":  # it gives up its start when no broker answers
                wait(brokers)
            hit.undo()

        with ThreadPoolExecutor(max(1, len(hits))) as pool:
            begun = []
            for hit in sorted(hits, key=lambda hit: hit.what != "kafka"):
                begun.append(pool.submit(undo, hit))
                brokers += begun[-1:] if hit.what == "kafka" else []
        for undone in begun:
            undone.result()

    def _pass(self, seconds: float) -> None:
        """Let load and faults work for a while; a crash of the watch ends it."""
        self._stage.let_pass(max(0.0, seconds), lambda: self._watch.crash)
        if self._watch.crash:
            raise self._watch.crash

    def _note(self, hit: Hit) -> None:
        held = hit.due - hit.at
        line = f"{hit.kind}: {hit.what}" + (f", for {held:.1f} s" if held else "")
        self.report.faults[hit.kind] += 1
        self.report.fault_log.append(f"{hit.at:.1f} s  {line}")
        self._say(line)

    def _verdict(self) -> None:
        """Pause, wait until everything is handled, and judge every row."""
        self._load.pause()
        began = self._stage.elapsed()
        try:
            position = self._convergence.position()
            until(
                lambda: self._convergence.is_handled(position),
                timeout=CONVERGE_SECONDS,
                what="lag 0",
            )
        except AssertionError:
            self.report.violations.append(
                f"I2: not converged after {CONVERGE_SECONDS:g} s: {self._convergence.reached}"
            )
            with suppress(*AWAY):
                self._judge_rows()
            return
        if not self._is_green():
            return
        self.report.converged.append(round(self._stage.elapsed() - began, 2))
        wrong = self._judge_rows()
        self.report.checks += 1
        self._judge_letters()
        self._judge_history()
        self.report.unexplained_exits = list(self._fleet.unexplained)
        self.report.slow_stops = list(self._fleet.slow_stops)
        self._load.forget_probes()
        took, rows = self.report.converged[-1], self.report.rows_checked
        self._say(f"converged in {took:.1f} s, {wrong} rows wrong, {rows} checked so far")

    def _is_green(self) -> bool:
        """In quiet the product comes to say that all is well (I11), which includes what
        a look has yet to heal.
        """
        self._operators.let_origins_be_seen()
        if not (green := self._verdicts.becomes_green(_UNAIDED_SECONDS)):
            # a command that failed left it: the keeper's log asks an operator to go on
            # with it
            if self._replays.unfinished():
                self._replays.begin(chance=1.0)
            green = self._verdicts.becomes_green(CONVERGE_SECONDS)
        if self._verdicts.crash is not None:
            raise self._verdicts.crash
        if not green:
            said = f"lag still says: {self._verdicts.latest}"
            self.report.violations.append(
                f"I11: not green {CONVERGE_SECONDS:g} s after the last change: {said}"
            )
        return green

    def _judge_rows(self) -> int:
        """Every row (I1, I2, I3, I10); the number of rows that are wrong."""
        found = self._rows.check()
        self.report.rows_checked += found.checked
        self.report.rows_refused += found.refused
        self.report.rows_unreadable += found.unreadable
        self.report.rows_lost += len(found.lost)
        self.report.vectors_untrue += len(found.untrue)
        wrong = [*map(str, found.lost), *found.untrue, *found.miscounted]
        self.report.violations += [f"I1, I2, I3, I10: lag is 0, but {problem}" for problem in wrong]
        for row in found.lost[:_TRACED]:
            for line in self._trace.of(row, self._stage.let_pass):
                self._say(f"{row.table.name} {row.key}: {line}")
        return len(wrong)

    def _judge_letters(self) -> None:
        """Every event that cannot be read is a dead letter (I3, I10). A replay that
        goes on has others before it.
        """
        missing: set[int] = set()

        def none() -> bool:
            missing.clear()
            missing.update(self._letters.missing())
            return not missing

        with suppress(AssertionError):
            until(none, timeout=CONVERGE_SECONDS, what="the dead letters")
        self.report.rows_lost += len(missing)
        self.report.violations += [
            f"I3: lag is 0, but poison event {number} is no dead letter" for number in missing
        ]
        self.report.poison_events = len(self._letters.sent)
        self.report.dead_letters = len(self._letters.arrived & self._letters.sent)

    def _judge_history(self) -> None:
        """What was noted at the moment when it happened (I3, I4, I5)."""
        self.report.vector_writes, landed = self._rows.audit()
        passed = [*self._watch.violations, *self._verdicts.violations, *self._operators.violations]
        self.report.vectors_untrue += sum(
            problem not in self.report.violations for problem in landed
        )
        self.report.offsets_past = len(self._watch.violations)
        self.report.green_while_stuck = len(self._verdicts.violations)
        self.report.violations += [p for p in (*landed, *passed) if p not in self.report.violations]

    def _end(self) -> None:
        """After the last fault: killed replays are finished, a full replay has nothing
        to do, nothing hangs.
        """
        command = self._processes.command
        if command is not None:
            self._replays.wait_for(command)
        while (only := self._replays.unfinished()) is not None:
            if self._replays.run(only) not in (0, 1) or self._replays.unfinished() == only:
                self.report.violations.append(
                    f"replay run --only {only} did not finish the run that was interrupted"
                )
                return
        self._load.cure()
        self._verdict()
        # nor does the cure
        self.report.converged = self.report.converged[: self.report.checks - 2]
        if not self.report.is_clean:
            return
        self.report.quarantine_left = int(
            self._rows.ask("SELECT count(*) FROM vectrue.quarantine")[0][0]
        )
        encoded = self._fleet.encoded()
        for only in ("stale", "all"):
            if (code := self._replays.run(only)) != 0:
                self.report.violations.append(
                    f"I2: replay run --only {only} over true rows exited {code}"
                )
        if again := self._fleet.encoded() - encoded:
            self.report.violations.append(f"I7: {again} texts encoded by a replay over true rows")
        self._judge_rows()
        self.report.violations += self._convergence.still()

    def _judge(self) -> None:
        """What is told by sums: the ledger, the audit, and the bound on encoded texts."""
        self.report.runs_finished, wrong = self._rows.ledger()
        self.report.violations += wrong
        never = self._deck.never_hit(self.report.faults)
        self.report.violations += [
            f"the fault {kind!r} was drawn again and again, and hit nothing" for kind in never
        ]
        self._judge_history()
        self._collect()
        # Each fault may cost a batch in each worker that is encoded again; rows changed
        # twice at once cost one more.
        bound = 1.5 * self.report.text_changes + 4 * _BATCH * self.report.faults.total()
        if self.report.encoded > bound:
            self.report.violations.append(
                f"I7: {self.report.encoded} texts encoded, more than {bound:.0f}"
            )

    def _collect(self) -> None:
        """The figures that the parts keep."""
        report, changes = self.report, self._load.changes
        report.rolled_back, report.aborted = changes.pop(ROLLED_BACK, 0), changes.pop(ABORTED, 0)
        report.seconds = round(self._stage.elapsed(), 1)
        report.changes = changes
        report.text_changes = sum(changes[kind] for kind in TEXT_KINDS)
        report.encoded = self._fleet.encoded()
        report.polls, report.polls_skipped = self._watch.polls, self._watch.skipped
        report.deferrals = self._watch.deferrals
        report.verdicts, report.verdicts_green = self._verdicts.read, self._verdicts.green
        report.marks = self._marks.made
        report.exits, report.restarts = self._fleet.exits, self._fleet.restarts
        report.slow_stops = self._fleet.slow_stops
        report.unexplained_exits = list(self._fleet.unexplained)
