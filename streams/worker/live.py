"""The live lane, free of Faust: a batch of change events in, true vectors out.

    decode -> read current rows -> decide -> embed -> write (compare-and-set) ->
    [acknowledge: the caller]

An event is handled when its row was written, found current or gone, durably deferred,
or dead-lettered. A batch is done in parts, and tells after each which of its events are
handled; when it raises, no other one may be acknowledged. Each part reads its rows
again, the shortest texts come first, and a batch of ordinary texts is one part.

What becomes of the rows is in `streams.worker.live_rows`; here are the events: which
rows they mean, and what is handed on.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.ports import Clock, Outbox, Store
from connectors.postgres.setup import origins
from schemas.errors import PoisonEvent, TargetMismatch, VectrueError
from schemas.health import metrics
from schemas.messages import change
from schemas.messages.chunk import Deferral, DeferredRow, read_message
from schemas.messages.dead_letter import Failure
from schemas.messages.record import Record
from schemas.rows import key_values as key_text
from schemas.rows.table import Key, TableName
from schemas.rows.target import Target
from schemas.settings.sections import DeadLetterSettings, LiveSettings
from streams.common.retry import RetryPolicy
from streams.worker.batch import Batch, Hint, Hints, Work
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.live_rows import LiveRows
from streams.worker.settle import RowSettler
from streams.worker.watches.shapes import Adaptation, FixedShapes, Shapes

_LONGEST_DEFERRAL_SECONDS = 30.0
_MOST_ATTEMPTS = 10**6  # a year of them; a message may say anything
_LONGEST_KEY = 100_000  # characters, of up to six bytes in JSON
# of up to ten digits: with the longest key still a record that Kafka takes
_MOST_TXIDS = 10_000
_LARGEST_DEFERRAL = 900_000
"""Bytes; what may be handed on again has to fit into a record as large as a broker
takes by default.
"""


class Sync:
    """Handles batches of the live lane. One thread."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a lane, joined in one place
        self,
        targets: Sequence[Target],
        store: Store,
        settler: RowSettler,
        outbox: Outbox,
        clock: Clock,
        retry: RetryPolicy,
        settings: LiveSettings,
        origin: str,
        dead_letter_limit: DeadLetterLimit | None = None,
        outdated: Callable[[], bool] = lambda: False,
        shapes: Shapes | None = None,
    ) -> None:
        """Join the parts. Events with one of the labels that are made from `origin` are
        the workers' own echo.

        Without `flood`, bad events are limited as the default settings say. `outdated`
        is asked before a column is called unknown: whether the database wants other
        columns than these targets. `shapes` tells what the tables are like now.
        """
        self._targets: dict[TableName, list[Target]] = {}
        self._renewals = 0
        self.renew(targets)
        self._shapes = shapes or FixedShapes()
        self._outdated = outdated
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._retry = retry
        self._settings = settings
        self._labels = frozenset(origins.labels(origin))
        self._dead_letter_limit = dead_letter_limit or DeadLetterLimit(DeadLetterSettings())
        self._rows = LiveRows(store, settler, clock, retry, settings, self._defer)

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on; called between two parts, or before a
        batch is done again.
        """
        self._renewals += 1
        self._targets.clear()
        for target in targets:
            self._targets.setdefault(target.table, []).append(target)

    def handle(self, records: Sequence[Record]) -> None:
        """Make the rows true that a batch of change events speaks of; raises as
        `steps`.
        """
        for _ in self.steps(records):
            pass

    def handle_deferred(self, records: Sequence[Record]) -> None:
        """Look again at deferred rows; raises as `steps`."""
        for _ in self.deferred_steps(records):
            pass

    def steps(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Make the rows true that a batch of change events speaks of.

        Yields:
            after each part, events that are handled now and may be acknowledged, in
            their order; often none before the last part, and all by then.

        Raises:
            TransientError: a service stayed away longer than `live.retry_seconds`.
            DeadLetterLimitReached: too many of the events are bad; the good ones are
                done, no bad one was moved.
            ConfigurationError: it will never work like this.
            Stopping: asked to stop before the batch was done.
        """
        yield from self._parts(Batch(records, "sync", self._clock.monotonic()), self._decode)

    def deferred_steps(self, records: Sequence[Record]) -> Iterator[list[Record]]:
        """Look again at deferred rows whose time has come; the others go back to the
        end of their topic.

        Yields and raises as `steps`.
        """
        yield from self._parts(Batch(records, "deferred", self._clock.monotonic()), self._due)

    def _parts(
        self, batch: Batch, decode: Callable[[Batch], dict[Target, Hints]]
    ) -> Iterator[list[Record]]:
        """Do a batch, and again from its events on when a table's key has changed
        meanwhile.
        """
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
        for failure in batch.misfits.place(self._shapes, self._retry):
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
            if self._wait(row.deferral) > 0:
                not_due.append(row)
                continue
            for target in targets:
                hint = due.setdefault(target, {}).setdefault(row.key, Hint(deferral=row.deferral))
                hint.records.append(record)
                hint.txids.update(self._still_awaited(row.deferral))
        if not_due:  # all with one wait: live changes share this thread
            self._retry.call(self._outbox.send_deferred, not_due)
        return due

    def due_in(self, records: Iterable[Record]) -> float:
        """Seconds until the first of these deferred rows is due; 0 when one is, or when
        one is unreadable.
        """
        waits = [0.0]
        for record in records:
            try:
                message = read_message(record.value)
            except PoisonEvent:
                return 0.0
            if isinstance(message, DeferredRow):
                waits.append(self._wait(message.deferral))
        return min(waits[1:], default=0.0)

    def _wait(self, deferral: Deferral) -> float:
        """Seconds until a deferred row is due; nobody has it wait for longer than we
        do, so that is a wrong clock.
        """
        seconds = (deferral.not_before - self._clock.now()).total_seconds()
        return seconds if 0 < seconds <= _LONGEST_DEFERRAL_SECONDS else 0.0

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
            # An event may name any table: only ours become labels, which have to stay
            # few.
            table = str(event.table) if event and event.table in self._targets else ""
            metrics.EVENTS.labels("live", table, "ignored").inc()
            return
        targets = self._targets.get(event.table)
        if targets is None:
            raise PoisonEvent(f"table {event.table} is not among [[tables]]")
        for target in targets:
            try:
                key = key_text.for_postgres(event.key([c.name for c in target.key]), target.key)
            except PoisonEvent as reason:
                txids = () if event.txid is None else (event.txid,)
                batch.misfits.add(Failure(record, reason, "decode"), target, txids)
                continue
            hint = hints.setdefault(target, {}).setdefault(key, Hint())
            hint.records.append(record)
            if event.txid is not None:
                hint.txids.add(event.txid)
            if event.committed_at is not None:
                hint.committed_at = min(hint.committed_at or event.committed_at, event.committed_at)

    def _defer(self, work: Work, keys: Sequence[Key], early: Collection[Key]) -> None:
        now, target = self._clock.now(), work.target
        rows = []
        for key in keys:
            hint = work.hints[key]
            if sum(map(len, key)) > _LONGEST_KEY:
                reason = PoisonEvent(
                    f"a row of {target.table} has to wait, and its key is too long to be sent on"
                )
                for record in hint.records:
                    work.batch.fail(record, reason, "defer")
                continue
            attempt = min(hint.deferral.attempt, _MOST_ATTEMPTS) + 1 if hint.deferral else 1
            # The exponent has a limit too: a row that is locked for a night would raise
            # OverflowError.
            seconds = min(
                self._settings.defer_seconds * 2 ** min(attempt - 1, 32), _LONGEST_DEFERRAL_SECONDS
            )
            since = min(hint.deferral.since, now) if hint.deferral else now
            deferral = Deferral(
                since=since, not_before=now + timedelta(seconds=seconds), attempt=attempt
            )
            txids = sorted(hint.txids)
            for start in range(0, max(1, len(txids)), _MOST_TXIDS):
                part = replace(deferral, txids=tuple(txids[start : start + _MOST_TXIDS]))
                rows.append(DeferredRow.of(target, key, part))
            metrics.DEFERRED.labels("live", "early" if key in early else "locked").inc()
        self._retry.call(self._outbox.send_deferred, rows)

    def _still_awaited(self, deferral: Deferral) -> tuple[int, ...]:
        """Transactions that are still waited for; after a long time only those that the
        server still has in hand.

        The others were lost in a failover: the row is then taken as it stands.
        """
        age = (self._clock.now() - deferral.since).total_seconds()
        if age < self._settings.defer_limit_seconds or not deferral.txids:
            return deferral.txids
        return tuple(sorted(self._retry.call(self._store.running, deferral.txids)))

    def _deferred(self, record: Record) -> tuple[DeferredRow, Sequence[Target]]:
        if len(record.value or b"") > _LARGEST_DEFERRAL:
            raise PoisonEvent("it is larger than any deferred row")
        row = read_message(record.value)
        if not isinstance(row, DeferredRow):
            raise PoisonEvent("a chunk of a run is in the deferred topic")
        known = self._targets.get(row.table, [])
        named = [target for target in known if target.column == row.column]
        if not named and self._outdated():
            raise TargetMismatch(
                f"{row.table}.{row.column} is new to this worker", fix="it starts anew"
            )
        # A column that a migration has renamed meanwhile: the row is looked at for all
        # that are left.
        if not known:
            raise PoisonEvent(f"{row.name} is for {row.table}, which is not among [[tables]]")
        return row, named or known

    def _dead_letter(self, batch: Batch) -> None:
        """Move the bad events of a batch, all with one wait, unless they are too many."""
        failed = batch.failures
        reasons = (
            (r.topic, str(failed[r.position].reason) if r.position in failed else None)
            for r in batch.records
        )
        self._dead_letter_limit.judge(reasons, self._clock.monotonic())
        self._retry.call(self._outbox.send_dead_letters, list(failed.values()))
        for failure in failed.values():
            metrics.DEAD_LETTERS.labels("live", failure.stage).inc()
