"""The replay lane, free of Faust: chunks of keys in, true vectors and a ledger that
tells of them out.

A chunk is worked off in micro-batches, and one of long texts in parts
(`streams.worker.parts`), each as many of its next keys as are come to. Each is one
step: the caller may let other work in between, and may stop after any of them, for the
ledger moves in the transaction that writes the vectors and the next worker goes on from
there.

Before each one the lane may have to wait (`streams.worker.throttle`): then it yields a
Pause and is called again.

Hazards:
- A chunk in hand holds up a rebalance, so it waits for HOLD_SECONDS at most and then
  goes to the end of the topic. A paused run gets it back at once, and so stands in
  nobody's way.
- Two workers may hold one chunk for a while (a rebalance, a worker that was thought
  dead). The ledger's position is compared in the writing transaction, so only one of
  them gets through and nothing is counted twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from connectors.ports import Clock, Ledger, Outbox, Store
from schemas.errors import PoisonEvent, RowRefused, TargetMismatch, VectrueError
from schemas.health import metrics
from schemas.messages.chunk import Chunk, Deferral, DeferredRow, read_message
from schemas.messages.chunk_ledger import ChunkAdvance, LedgerConflict
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.reports.replay import ChunkState
from schemas.rows.document import Reading, Refusal, Update, Written
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common.retry import RetryPolicy
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.live_lag import Pause, View
from streams.worker.settle import EncodedTexts, Findings, RowSettler
from streams.worker.throttle import ReplayThrottle
from streams.worker.watches.shapes import Adaptation, FixedShapes, Shapes

HOLD_SECONDS = 20.0
"""How long a waiting chunk is kept in hand: well under the 120 s that Faust gives a
rebalance.
"""


@dataclass
class _Look:
    """What became of the next keys of a chunk, as far as the part came to them."""

    keys: Sequence[Key]
    found: list[Findings] = field(default_factory=list)
    unreadable: list[tuple[Key, PoisonEvent]] = field(default_factory=list)
    read: int = 0
    """Rows that were read and come to."""
    ambiguous: bool = False
    """Whether a key stands for several rows: then nothing else here counts."""

    @property
    def updates(self) -> list[Update]:
        """Vectors to write."""
        return [update for findings in self.found for update in findings.updates]

    @property
    def refusals(self) -> list[Refusal]:
        """Rows for quarantine."""
        return [refusal for findings in self.found for refusal in findings.refusals]


class Chunks:
    """Handles chunks of replay runs. One thread."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a lane, joined in one place
        self,
        targets: Sequence[Target],
        store: Store,
        ledger: Ledger,
        settler: RowSettler,
        outbox: Outbox,
        clock: Clock,
        retry: RetryPolicy,
        settings: Settings,
        outdated: Callable[[], bool] = lambda: False,
        shapes: Shapes | None = None,
    ) -> None:
        """Join the parts; store and ledger share one connection.

        `outdated` is asked before a chunk is called obsolete: whether the database
        wants other columns or models than these targets. A chunk that is ahead of its
        worker waits for one that was started since. `shapes` tells what the tables are
        like now.
        """
        self._outdated = outdated
        self.renew(targets)
        self._adaptation = Adaptation(shapes or FixedShapes(), self.renew, clock, retry)
        self._store = store
        self._ledger = ledger
        self._settler = settler
        self._outbox = outbox
        self._clock = clock
        self._retry = retry
        self._defer_seconds = settings.live.defer_seconds
        self._gate = ReplayThrottle(ledger, clock, retry, settings.replay)
        self._write_seconds = 0.0
        self._reach = 0
        """Rows that are read at most: twice as many as the last part came to."""
        self._known = EncodedTexts()
        """Of the micro-batch in hand, for as many parts as it takes."""
        self._dead_letter_limit = DeadLetterLimit(settings.dead_letters)
        self._bad = ""
        """Position of the record in hand once it has a letter: there is one for a
        record, however much is bad in it.
        """
        self._seen = 0
        """A transaction that had ended when rows were last read."""

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on; called between two micro-batches."""
        self._targets = {(target.table, target.column): target for target in targets}

    def give_way_to(self, live: View) -> None:
        """Wait for the live lane, as this view of it has it, between micro-batches."""
        self._gate.live = live

    def steps(self, record: Record) -> Iterator[int | Pause]:
        """Work off the chunk in one record.

        Yields:
            keys handled, after each micro-batch; or a Pause, to be kept outside of here
            before the next step. When the
            iterator ends, the record may be acknowledged: the chunk is done,
                dead-lettered, of a run that was
            cancelled, given back to a paused run, or sent to the end of the topic since
            it waited for long.

        Raises:
            TransientError, ConfigurationError, DeadLetterLimitReached, Stopping: the
            record may not be acknowledged.
        """
        try:
            yield from self._steps(record)
        finally:
            metrics.BATCH_ROWS_LEFT.labels("replay").set(0)

    def _steps(self, record: Record) -> Iterator[int | Pause]:
        chunk = self._entered(record)
        if chunk is None:
            return
        since = self._clock.monotonic()
        self._reach, self._known = len(chunk.keys), EncodedTexts()
        while (standing := self._retry.call(self._ledger.position, chunk)) is not None:
            if standing.done >= len(chunk.keys):
                break
            if standing.state == "paused":
                if self._gate.give_back(chunk):
                    return
                continue
            if (pause := self._gate.pause(chunk, standing)) is not None:
                if self._clock.monotonic() - since > HOLD_SECONDS:
                    self._retry.call(self._outbox.send_chunks, [chunk])
                    return
                yield pause
                continue
            handled = self._tried(record, chunk, standing)
            metrics.BATCH_ROWS_LEFT.labels("replay").set(len(chunk.keys) - standing.done - handled)
            self._reach = 2 * handled or self._reach
            yield handled
            since = self._clock.monotonic()
        self._gate.goes_on()
        self._retry.call(self._ledger.finish, chunk)
        if record.position != self._bad:
            self._dead_letter_limit.judge([(record.topic, None)], self._clock.monotonic())

    def _entered(self, record: Record) -> Chunk | None:
        """The chunk that a record names, as its run entered it; None when there is
        nothing to do.

        Nothing but that name is believed: where the record says anything else, it is a
        dead letter besides.
        """
        self._bad = ""
        try:
            told = read_message(record.value)
            if isinstance(told, DeferredRow):
                raise PoisonEvent("a deferred row is in the replay topic")
        except PoisonEvent as reason:
            self._dead_letter(record, reason, "decode")
            return None
        entered = self._retry.call(self._ledger.chunk, told)
        if entered is None:
            metrics.EVENTS.labels("replay", "", "ignored").inc()
            self._dead_letter_limit.judge([(record.topic, None)], self._clock.monotonic())
        elif entered != told:
            self._dead_letter(
                record, PoisonEvent(f"{told.name} is not what its run entered"), "decode"
            )
        return entered

    def _tried(self, record: Record, chunk: Chunk, standing: ChunkState) -> int:
        """One micro-batch; 0 when it is to be done again from where the chunk stands
        now.
        """
        try:
            handled = self._step(record, chunk, standing)
        except LedgerConflict:
            return 0  # somebody else moved the chunk
        except VectrueError as error:
            if not self._adaptation.again(error):
                raise
            return 0  # the tables are others now
        self._adaptation.settled()
        return handled

    def _step(self, record: Record, chunk: Chunk, standing: ChunkState) -> int:
        self._clock.wait(0)
        start = standing.done
        target = self._targets.get((chunk.table, chunk.column))
        left = len(chunk.keys) - start
        if (target is None or chunk.model != target.model) and self._outdated():
            raise TargetMismatch(
                f"{chunk.name} is for a model that is new to this worker", fix="it starts anew"
            )
        if target is None:
            reason = PoisonEvent(
                f"{chunk.name} is for {chunk.table}.{chunk.column}, which is not among [[tables]]"
            )
            self._dead_letter(record, reason, "decode")
            nowhere = Target(chunk.table, chunk.column, "", (), chunk.model, 0)
            self._write(
                nowhere, [], [], ChunkAdvance(chunk.run, chunk.number, start, left, failed=left)
            )
            return left
        if chunk.model != target.model:
            self._write(
                target, [], [], ChunkAdvance(chunk.run, chunk.number, start, left, obsolete=left)
            )
            return left
        if any(len(key) != len(target.key) for key in chunk.keys[start:]):
            return 0 if self._adaptation.renew() else self._give_up(target, chunk, start)
        return self._settle(record, chunk, target, standing)

    def _settle(self, record: Record, chunk: Chunk, target: Target, standing: ChunkState) -> int:
        """Look at the next keys, write as many as the part came to, and count them."""
        began, start = self._clock.monotonic(), standing.done
        keys = chunk.keys[start : start + min(self._reach, self._gate.rows(chunk, standing))]
        look = self._look(target, keys, force=standing.force)
        if look.ambiguous:
            return 0 if self._adaptation.renew() else self._give_up(target, chunk, start)
        if look.unreadable and self._adaptation.renew():
            return 0
        count, bad = len(look.keys), len(look.unreadable)
        failed, refused = self._tell_unreadable(record, target, look.unreadable, alone=bad < count)
        quarantined = sum(findings.quarantined for findings in look.found) + len(refused)
        current = sum(findings.current for findings in look.found)
        blank = sum(findings.blank for findings in look.found)
        gone, obsolete = count - look.read - bad, bad - failed - len(refused)
        counts = (current, blank, gone, quarantined, failed, obsolete)
        written = self._clock.monotonic()
        # A transaction cannot hold its own length: that of the last one.
        seconds = written - began + self._write_seconds
        progress = ChunkAdvance(chunk.run, chunk.number, start, count, *counts, seconds=seconds)
        self._write(target, look.updates, [*look.refusals, *refused], progress)
        self._write_seconds = self._clock.monotonic() - written
        return count

    def _look(self, target: Target, keys: Sequence[Key], *, force: bool) -> _Look:
        """Read rows in the order of the keys, and embed what differs, for as long as a
        part may take.
        """
        look, until = _Look(keys), self._settler.part_ends()
        come_to = 0
        for some, reading in self._settler.read(target, keys):
            left = None
            if isinstance(reading, Reading):
                if reading.is_ambiguous:
                    look.ambiguous = True
                    break
                read = {document.key: document for document in reading.documents}
                documents = [read[key] for key in some if key in read]
                findings = self._settler.find(
                    target, documents, self._known, until=until, force=force
                )
                look.found.append(findings)
                self._seen = reading.snapshot.xmin - 1
                look.read += len(documents) - len(findings.left)
                left = findings.left[0].key if findings.left else None
            else:
                look.unreadable.append((some[0], reading))
            come_to += len(some) if left is None else some.index(left)
            if left is not None or self._clock.monotonic() >= until:
                break
        look.keys = keys[:come_to]
        if come_to == len(keys):
            self._known = EncodedTexts()
        return look

    def _give_up(self, target: Target, chunk: Chunk, start: int) -> int:
        """Count the rest of a chunk as obsolete, and have the table looked at: its keys
        no longer say which rows.
        """
        left = len(chunk.keys) - start
        self._look_at(target, "a replay run has keys of before the table's key was changed")
        self._write(
            target, [], [], ChunkAdvance(chunk.run, chunk.number, start, left, obsolete=left)
        )
        return left

    def _tell_unreadable(
        self,
        record: Record,
        target: Target,
        rows: Sequence[tuple[Key, PoisonEvent]],
        *,
        alone: bool,
    ) -> tuple[int, list[Refusal]]:
        """How many keys are bad ones among good ones (`alone`), and the rows whose text
        cannot be made.

        A key that is not a value of its columns was one before the table's key was
        changed, where all of a chunk are so. In either case some row of the table was
        meant. The record is one dead letter, however many are bad.
        """
        refused, bad = [], []
        for key, reason in rows:
            if isinstance(reason, RowRefused) and self._retry.call(self._store.takes, target, key):
                refused.append(self._settler.refuse(target, key, reason))
            else:
                bad.append(key)
        if bad:
            self._look_at(target, "a replay run has keys that are not the table's as they are now")
        if not bad or not (alone or refused):
            return 0, refused
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        self._dead_letter(
            record, PoisonEvent(f"row {bad[0]}{more}: no key of {target.table}"), "read"
        )
        return len(bad), refused

    def _look_at(self, target: Target, reason: str) -> None:
        self._retry.call(self._adaptation.shapes.ask, target.table, reason)

    def _write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal],
        progress: ChunkAdvance,
    ) -> None:
        def defer(keys: Sequence[Key]) -> None:
            self._defer(target, keys)

        with metrics.WRITE_SECONDS.labels("replay").time():
            outcome = self._retry.call(
                self._store.write, target, updates, refusals, progress, defer
            )
        written = [w.value for w in outcome.values()]
        names = ("current", "blank", "gone", "quarantined", "failed", "obsolete")
        counts = {name: getattr(progress, name) for name in names}
        for written_as in Written:
            counts[written_as.value] = counts.get(written_as.value, 0) + written.count(
                written_as.value
            )
        for name, count in counts.items():
            if count:
                metrics.EVENTS.labels("replay", str(target.table), name).inc(count)
        metrics.LAST_PROGRESS.labels("replay").set(self._clock.now().timestamp())

    def _defer(self, target: Target, keys: Sequence[Key]) -> None:
        now = self._clock.now()
        # The transaction tells when the key was one of the table: an old one, which is
        # never waited for.
        deferral = Deferral(
            since=now,
            not_before=now + timedelta(seconds=self._defer_seconds),
            attempt=1,
            txids=(self._seen,),
        )
        rows = [DeferredRow.of(target, key, deferral) for key in keys]
        self._outbox.send_deferred(rows)
        metrics.DEFERRED.labels("replay", "locked").inc(len(keys))

    def _dead_letter(self, record: Record, reason: PoisonEvent, stage: str) -> None:
        if record.position == self._bad:
            return
        self._dead_letter_limit.judge([(record.topic, str(reason))], self._clock.monotonic())
        self._bad = record.position
        self._retry.call(self._outbox.send_dead_letters, [Failure(record, reason, stage)])
        metrics.DEAD_LETTERS.labels("replay", stage).inc()
