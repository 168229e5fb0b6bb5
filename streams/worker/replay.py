"""The replay lane, free of Faust: chunks of keys in, true vectors and a ledger that
counts them out.

A chunk is worked off in micro-batches, and one of long texts in parts
(`streams.worker.parts`), each as many of its next keys as a part comes to. How rows are
read is in `streams.worker.replay_rows`. Each micro-batch or part is one step. The
caller may do other work between two steps, and may stop after any of them: the ledger
moves in the transaction that writes the vectors, and the next worker continues from
there.

Before a step the lane may have to wait (`streams.worker.throttle`): then it yields a
Pause and is called again.

Hazards:
- A chunk in hand holds up a rebalance, so it waits for HOLD_SECONDS at most and then
  goes to the end of the topic. A paused run gets it back at once, and so holds up no
  other run.
- Two workers may hold one chunk for a while (a rebalance, a worker that was thought
  dead). The ledger's position is compared in the writing transaction, so only one of
  them succeeds and nothing is counted twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from connectors.ports import Clock, Ledger, Outbox, Store
from schemas.errors import PoisonEvent, VectrueError
from schemas.health import metrics
from schemas.messages.chunk import Chunk, Deferral, DeferredRow, read_message
from schemas.messages.chunk_ledger import ChunkAdvance, LedgerConflict
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.reports.replay import ChunkState
from schemas.rows.document import Refusal, Update, Written
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common.retry import RetryPolicy
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.replay_rows import ReplayRows
from streams.worker.settle import RowSettler
from streams.worker.throttle import ReplayThrottle
from streams.worker.watches.live_lag import Pause, View
from streams.worker.watches.shapes import Adaptation, FixedShapes, Shapes
from streams.worker.watches.wanted import WantedTargets

HOLD_SECONDS = 20.0
"""How long a waiting chunk is kept in hand: well under the 120 s that Faust allows for
a rebalance.
"""

_COUNTED = ("current", "blank", "gone", "quarantined", "failed", "obsolete")
"""Counts of a ChunkAdvance that are labels of the metric too."""


class Chunks:
    """Handles chunks of replay runs. One thread."""

    def __init__(  # noqa: PLR0913 - the parts of a lane, joined in one place
        self,
        targets: Sequence[Target],
        store: Store,
        ledger: Ledger,
        settler: RowSettler,
        outbox: Outbox,
        *,
        clock: Clock,
        retry: RetryPolicy,
        settings: Settings,
        outdated: Callable[[], bool] = lambda: False,
        shapes: Shapes | None = None,
    ) -> None:
        """Join the parts.

        Args:
            targets: the columns to keep true.
            store: the rows.
            ledger: the runs; shares the store's connection.
            settler: reads rows and embeds texts.
            outbox: takes dead letters, deferred rows and chunks that waited for long.
            clock: tells the time.
            retry: how long an absent service is waited for.
            settings: sizes, waits and limits.
            outdated: whether the database wants other columns or models than these
                targets. A chunk that is ahead of its worker is not obsolete.
            shapes: what the tables are like now; unchanged when left out.
        """
        self._targets = WantedTargets(targets, outdated)
        self._adaptation = Adaptation(shapes or FixedShapes(), self.renew, clock, retry)
        self._store = store
        self._ledger = ledger
        self._rows = ReplayRows(store, settler, clock, retry)
        self._outbox = outbox
        self._clock = clock
        self._retry = retry
        self._defer_seconds = settings.live.defer_seconds
        self._throttle = ReplayThrottle(ledger, clock, retry, settings.replay)
        self._write_seconds = 0.0
        self._reach = 0
        """Most rows to read: twice as many as the last part came to."""
        self._dead_letter_limit = DeadLetterLimit(settings.dead_letters)
        self._bad = ""
        """Position of the record in hand once it is a dead letter: there is one for a
        record, however much is bad in it.
        """

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on; called between two micro-batches."""
        self._targets.renew(targets)

    def give_way_to(self, live: View) -> None:
        """Wait between micro-batches while the live lane is behind, as this view has
        it.
        """
        self._throttle.live = live

    def steps(self, record: Record) -> Iterator[int | Pause]:
        """Work off the chunk in one record.

        When the iterator ends, the record may be acknowledged: the chunk is done,
        dead-lettered, of a run that was cancelled, given back to a paused run, or sent
        to the end of the topic since it waited for long.

        Args:
            record: of the replay topic.

        Yields:
            keys handled, after each micro-batch; or a Pause, which the caller keeps
            before the next step.

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
        self._reach = len(chunk.keys)
        self._rows.begin()
        while True:
            standing = self._retry.call(self._ledger.position, chunk)
            if standing is None or standing.done >= len(chunk.keys):
                break
            if standing.state == "paused":
                if self._throttle.give_back(chunk):
                    return
                continue
            pause = self._throttle.pause(chunk, standing)
            if pause is not None:
                if self._clock.monotonic() - since > HOLD_SECONDS:
                    self._retry.call(self._outbox.send_chunks, [chunk])
                    return
                yield pause
                continue
            handled = self._tried(record, chunk, standing)
            left = len(chunk.keys) - standing.done - handled
            metrics.BATCH_ROWS_LEFT.labels("replay").set(left)
            self._reach = 2 * handled or self._reach
            yield handled
            since = self._clock.monotonic()
        self._throttle.resume()
        self._retry.call(self._ledger.finish, chunk)
        if record.position != self._bad:
            self._count_good(record)

    def _entered(self, record: Record) -> Chunk | None:
        """Return the chunk that a record names, as its run entered it in the ledger;
        None when there is nothing to do.
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
            self._count_good(record)
        elif entered != told:
            # Only the chunk's name is trusted. A record that says anything else is a
            # dead letter, and the chunk is worked off as it was entered.
            differs = PoisonEvent(f"{told.name} is not what its run entered")
            self._dead_letter(record, differs, "decode")
        return entered

    def _tried(self, record: Record, chunk: Chunk, standing: ChunkState) -> int:
        """Do one micro-batch; return the keys handled, 0 when it has to be done again
        from where the chunk stands now.
        """
        try:
            handled = self._step(record, chunk, standing)
        except LedgerConflict:
            # Another worker moved the chunk.
            return 0
        except VectrueError as error:
            if not self._adaptation.again(error):
                raise
            # The tables have changed.
            return 0
        self._adaptation.settled()
        return handled

    def _step(self, record: Record, chunk: Chunk, standing: ChunkState) -> int:
        self._clock.wait(0)
        start = standing.done
        left = len(chunk.keys) - start
        target = self._targets.find(chunk.table, chunk.column)
        if target is None or chunk.model != target.model:
            self._targets.check_current(f"the target of {chunk.name}")
        if target is None:
            reason = PoisonEvent(
                f"{chunk.name} is for {chunk.table}.{chunk.column}, which is not among [[tables]]"
            )
            self._dead_letter(record, reason, "decode")
            nowhere = Target(chunk.table, chunk.column, "", (), chunk.model, 0)
            advance = ChunkAdvance(chunk.run, chunk.number, start, left, failed=left)
            self._write(nowhere, [], [], advance)
            return left
        if chunk.model != target.model:
            self._write_obsolete(target, chunk, start)
            return left
        if any(len(key) != len(target.key) for key in chunk.keys[start:]):
            return self._renew_or_give_up(target, chunk, start)
        return self._settle(record, chunk, target, standing)

    def _settle(self, record: Record, chunk: Chunk, target: Target, standing: ChunkState) -> int:
        """Look at the next keys, write as many as the part came to, and count them."""
        began, start = self._clock.monotonic(), standing.done
        most = min(self._reach, self._throttle.rows(chunk, standing))
        look = self._rows.look(target, chunk.keys[start : start + most], force=standing.force)
        if look.ambiguous:
            return self._renew_or_give_up(target, chunk, start)
        if look.unreadable and self._adaptation.renew():
            return 0
        count, bad = len(look.keys), len(look.unreadable)
        failed, refused = self._judge_unreadable(
            record, target, look.unreadable, among_good=bad < count
        )
        written = self._clock.monotonic()
        advance = ChunkAdvance(
            run=chunk.run,
            number=chunk.number,
            start=start,
            handled=count,
            current=look.current,
            blank=look.blank,
            gone=count - look.read - bad,
            quarantined=look.quarantined + len(refused),
            failed=failed,
            obsolete=bad - failed - len(refused),
            # A transaction cannot hold its own length: that of the last one.
            seconds=written - began + self._write_seconds,
        )
        self._write(target, look.updates, look.refusals + refused, advance)
        self._write_seconds = self._clock.monotonic() - written
        return count

    def _renew_or_give_up(self, target: Target, chunk: Chunk, start: int) -> int:
        """Take the table's new key, or count the rest of the chunk as obsolete; return
        the keys handled.
        """
        if self._adaptation.renew():
            return 0
        # The keys no longer say which rows: all of the table are looked at.
        self._look_at(target, "a replay run has keys of before the table's key was changed")
        self._write_obsolete(target, chunk, start)
        return len(chunk.keys) - start

    def _write_obsolete(self, target: Target, chunk: Chunk, start: int) -> None:
        left = len(chunk.keys) - start
        advance = ChunkAdvance(chunk.run, chunk.number, start, left, obsolete=left)
        self._write(target, [], [], advance)

    def _judge_unreadable(
        self,
        record: Record,
        target: Target,
        rows: Sequence[tuple[Key, PoisonEvent]],
        *,
        among_good: bool,
    ) -> tuple[int, list[Refusal]]:
        """Decide about keys that could not be read.

        Args:
            record: of the chunk; one dead letter, however many of its keys are bad.
            target: the column.
            rows: the keys, with the reasons.
            among_good: whether other keys of the micro-batch could be read.

        Returns:
            how many keys are bad; and the rows whose text cannot be made.
        """
        bad, refused = self._rows.judge(target, rows)
        if not bad:
            return 0, refused
        # In either case some row of the table was meant.
        self._look_at(target, "a replay run has keys that are not the table's as they are now")
        # Where all keys of a micro-batch do not fit, they are of before the table's key
        # was changed, and so not bad.
        if not among_good and not refused:
            return 0, refused
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        told = PoisonEvent(f"row {bad[0]}{more}: not a key of {target.table}")
        self._dead_letter(record, told, "read")
        return len(bad), refused

    def _look_at(self, target: Target, reason: str) -> None:
        self._retry.call(self._adaptation.shapes.ask, target.table, reason)

    def _write(
        self,
        target: Target,
        updates: Sequence[Update],
        refusals: Sequence[Refusal],
        advance: ChunkAdvance,
    ) -> None:
        def defer(keys: Sequence[Key]) -> None:
            self._defer(target, keys)

        with metrics.WRITE_SECONDS.labels("replay").time():
            outcome = self._retry.call(self._store.write, target, updates, refusals, advance, defer)
        self._count(target, advance, outcome.values())
        metrics.LAST_PROGRESS.labels("replay").set(self._clock.now().timestamp())

    @staticmethod
    def _count(target: Target, advance: ChunkAdvance, outcome: Iterable[Written]) -> None:
        counts = Counter[str]()
        for name in _COUNTED:
            counts[name] = getattr(advance, name)
        for written in outcome:
            counts[written.value] += 1
        for name, count in counts.items():
            if count:
                metrics.EVENTS.labels("replay", str(target.table), name).inc(count)

    def _count_good(self, record: Record) -> None:
        self._dead_letter_limit.judge([(record.topic, None)], self._clock.monotonic())

    def _defer(self, target: Target, keys: Sequence[Key]) -> None:
        now = self._clock.now()
        not_before = now + timedelta(seconds=self._defer_seconds)
        # The transaction tells when the key was one of the table: an old one, which is
        # never waited for.
        deferral = Deferral(
            since=now,
            not_before=not_before,
            attempt=1,
            txids=(self._rows.seen,),
        )
        self._outbox.send_deferred([DeferredRow.of(target, key, deferral) for key in keys])
        metrics.DEFERRED.labels("replay", "locked").inc(len(keys))

    def _dead_letter(self, record: Record, reason: PoisonEvent, stage: str) -> None:
        if record.position == self._bad:
            return
        self._dead_letter_limit.judge([(record.topic, str(reason))], self._clock.monotonic())
        self._bad = record.position
        self._retry.call(self._outbox.send_dead_letters, [Failure(record, reason, stage)])
        metrics.DEAD_LETTERS.labels("replay", stage).inc()
