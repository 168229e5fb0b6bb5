"""The live lane, free of Faust: a batch of change events in, true vectors out.

    decode -> read current rows -> decide -> embed -> write (compare-and-set) ->
    [acknowledge: the caller]

An event is handled when its row was written, found current or gone, durably deferred,
or dead-lettered. A batch is done in parts, and yields after each part the events that
are handled. Each part reads its rows again, the shortest texts come first, and a batch
of ordinary texts is one part.

This module is about the events: which rows they mean. What happens to the rows is in
`streams.worker.live_rows`; rows that have to wait are deferred by
`streams.worker.deferral`.

Hazard: when a batch raises, none of its events may be acknowledged that was not yielded
before.
"""

from collections.abc import Callable, Iterator, Sequence

from connectors.ports import Clock, Outbox, Store
from connectors.postgres.setup import origins
from schemas.errors import PoisonEvent, VectrueError
from schemas.health import metrics
from schemas.messages import change
from schemas.messages.chunk import DeferredRow, read_message
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.rows import key_values as key_text
from schemas.rows.target import Target
from schemas.settings.sections import DeadLetterSettings, LiveSettings
from streams.common.retry import RetryPolicy
from streams.worker.batch import Batch, Hint, Hints
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.deferral import RowDeferral, read_deferred
from streams.worker.live_rows import LiveRows
from streams.worker.settle import RowSettler
from streams.worker.watches.shapes import Adaptation, FixedShapes, Shapes
from streams.worker.watches.wanted import WantedTargets


class Sync:
    """Handles batches of the live lane. One thread."""

    def __init__(  # noqa: PLR0913 - the parts of a lane, joined in one place
        self,
        targets: Sequence[Target],
        store: Store,
        settler: RowSettler,
        outbox: Outbox,
        *,
        clock: Clock,
        retry: RetryPolicy,
        settings: LiveSettings,
        origin: str,
        dead_letter_limit: DeadLetterLimit | None = None,
        outdated: Callable[[], bool] = lambda: False,
        shapes: Shapes | None = None,
    ) -> None:
        """Join the parts.

        Args:
            targets: the columns to keep true.
            store: the rows.
            settler: reads rows and embeds texts.
            outbox: takes dead letters and deferred rows.
            clock: tells the time.
            retry: how long an absent service is waited for.
            settings: waits and limits.
            origin: events with one of the labels made from it are the workers' own
                writes.
            dead_letter_limit: counts bad events; the default settings' when left out.
            outdated: whether the database wants other columns than these targets.
            shapes: what the tables are like now; unchanged when left out.
        """
        self._targets = WantedTargets(targets, outdated)
        self._renewals = 0
        self._shapes = shapes or FixedShapes()
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._retry = retry
        self._settings = settings
        self._labels = frozenset(origins.labels(origin))
        self._dead_letter_limit = dead_letter_limit or DeadLetterLimit(DeadLetterSettings())
        self._deferral = RowDeferral(store, outbox, clock, retry, settings)
        self._rows = LiveRows(store, settler, clock, retry, settings, self._deferral.defer)

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on.

        Called between two parts, or before a batch is done again.
        """
        self._renewals += 1
        self._targets.renew(targets)

    def handle(self, records: Sequence[Record]) -> None:
        """Make the rows true that a batch of change events names. Raises as `steps`."""
        for _ in self.steps(records):
            pass

    def handle_deferred(self, records: Sequence[Record]) -> None:
        """Look at deferred rows again. Raises as `steps`."""
        for _ in self.deferred_steps(records):
            pass

    def steps(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Make the rows true that a batch of change events names.

        Args:
            records: the events, in the order of their offsets.

        Yields:
            after each part, the events that may be acknowledged now, in their order;
            often none before the last part, and all by then.

        Raises:
            TransientError: a service stayed away longer than `live.retry_seconds`.
            DeadLetterLimitReached: too many of the events are bad. The good ones are
                done; no bad one was moved.
            ConfigurationError: the configuration is wrong.
            Stopping: asked to stop before the batch was done.
        """
        batch = Batch(records, "sync", self._clock.monotonic())
        yield from self._parts(batch, self._decode)

    def deferred_steps(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Look again at deferred rows that are due; the others go back to the end of
        their topic.

        Args:
            records: of the deferred topic.

        Yields:
            as `steps`.
        """
        batch = Batch(records, "deferred", self._clock.monotonic())
        yield from self._parts(batch, self._due)

    def _parts(
        self, batch: Batch, decode: Callable[[Batch], dict[Target, Hints]]
    ) -> Iterator[list[Record]]:
        """Do a batch, and again from its events when a table's key has changed."""
        adaptation = Adaptation(self._shapes, self.renew, self._clock, self._retry)
        while True:
            renewals = self._renewals
            batch.begin()
            try:
                for _ in self._rows.settle(batch, decode(batch)):
                    yield batch.handled()
            except VectrueError as error:
                if renewals == self._renewals and not adaptation.again(error):
                    raise
                continue
            if batch.is_doubtful:
                adaptation.renew()
            if not batch.is_doubtful or renewals == self._renewals:
                break
        for failure in batch.mismatched_keys.place(self._shapes, self._retry):
            batch.failures.setdefault(failure.record.position, failure)
        self._dead_letter(batch)
        metrics.LAST_PROGRESS.labels("live").set(self._clock.now().timestamp())
        yield batch.rest()

    def _due(self, batch: Batch) -> dict[Target, Hints]:
        due: dict[Target, Hints] = {}
        not_due: list[DeferredRow] = []
        for record in batch.records:
            try:
                row, targets = self._deferred(record)
            except PoisonEvent as reason:
                batch.fail(record, reason, "decode")
                continue
            if self._deferral.seconds_left(row.deferral) > 0:
                not_due.append(row)
                continue
            for target in targets:
                hints = due.setdefault(target, {})
                hint = hints.setdefault(row.key, Hint(deferral=row.deferral))
                hint.records.append(record)
                hint.txids.update(self._deferral.still_awaited(row.deferral))
        # One wait for all of them: live changes share this thread.
        if not_due:
            self._retry.call(self._outbox.send_deferred, not_due)
        return due

    def due_in(self, records: Sequence[Record]) -> float:
        """Return how long the first of some deferred rows still has to wait.

        Args:
            records: of the deferred topic.

        Returns:
            seconds; 0 when a row is due, or a record is unreadable.
        """
        waits = []
        for record in records:
            try:
                message = read_message(record.value)
            except PoisonEvent:
                return 0.0
            if isinstance(message, DeferredRow):
                waits.append(self._deferral.seconds_left(message.deferral))
        return min(waits, default=0.0)

    def _decode(self, batch: Batch) -> dict[Target, Hints]:
        hints: dict[Target, Hints] = {}
        for record in batch.records:
            try:
                self._decode_one(batch, record, hints)
            except PoisonEvent as reason:
                batch.fail(record, reason, "decode")
        return hints

    def _decode_one(self, batch: Batch, record: Record, hints: dict[Target, Hints]) -> None:
        event = change.parse(record.key, record.value)
        if event is None or not event.touches_row or event.origin in self._labels:
            self._ignore(event)
            return
        targets = self._targets.of(event.table)
        if not targets:
            raise PoisonEvent(f"table {event.table} is not among [[tables]]")
        for target in targets:
            columns = [column.name for column in target.key]
            try:
                key = key_text.for_postgres(event.key(columns), target.key)
            except PoisonEvent as reason:
                txids = () if event.txid is None else (event.txid,)
                batch.mismatched_keys.add(Failure(record, reason, "decode"), target, txids)
                continue
            hint = hints.setdefault(target, {}).setdefault(key, Hint())
            hint.note(record, event)

    def _ignore(self, event: change.Change | None) -> None:
        # An event may name any table. Only ours become labels, which have to stay few.
        is_ours = event is not None and event.table in self._targets.tables
        table = str(event.table) if event is not None and is_ours else ""
        metrics.EVENTS.labels("live", table, "ignored").inc()

    def _deferred(self, record: Record) -> tuple[DeferredRow, Sequence[Target]]:
        row = read_deferred(record)
        target = self._targets.find(row.table, row.column)
        if target is not None:
            return row, [target]
        self._targets.check_current(f"{row.table}.{row.column}")
        known = self._targets.of(row.table)
        if not known:
            raise PoisonEvent(f"{row.name} is for {row.table}, which is not among [[tables]]")
        # A migration has renamed the column: the row is looked at for all that are left.
        return row, known

    def _dead_letter(self, batch: Batch) -> None:
        """Move the bad events of a batch, unless they are too many."""
        failed = batch.failures
        judged: list[tuple[str, str | None]] = []
        for record in batch.records:
            failure = failed.get(record.position)
            judged.append((record.topic, None if failure is None else str(failure.reason)))
        self._dead_letter_limit.judge(judged, self._clock.monotonic())
        # One wait for all of them.
        self._retry.call(self._outbox.send_dead_letters, list(failed.values()))
        for failure in failed.values():
            metrics.DEAD_LETTERS.labels("live", failure.stage).inc()
