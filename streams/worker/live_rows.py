"""The rows of a live batch: read, decided, embedded and written, part by part.

Hazards:
- A row must not be judged before the read sees the transaction of its event. Such an
  early row is read again after a short wait and then deferred, like a row that another
  transaction holds locked. Its neighbours are written at once.
- All rows of a table that is locked as a whole (DDL, CREATE INDEX, LOCK TABLE) are
  deferred; the other tables' rows are written.
- Between two parts of a batch, other batches of the lane and a look at the tables may
  run.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from connectors.ports import Clock, Store
from schemas.errors import PoisonEvent, RowRefused, TableLocked
from schemas.health import metrics
from schemas.messages.dead_letter import Failure
from schemas.rows.document import (
    UNREADABLE,
    Document,
    Reading,
    Refusal,
    WriteOutcome,
    Written,
)
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import LiveSettings
from streams.common.retry import RetryPolicy
from streams.worker.batch import Batch, Hint, Hints, Work
from streams.worker.settle import Findings, RowSettler

log = structlog.get_logger()

_PAUSE_SECONDS = 0.01
"""Between two reads of an early or locked row; a commit becomes visible within
microseconds to milliseconds.
"""

_WRITES = 2
"""Vectors written for a row whose trigger gives it another text each time; a third
would not be the last.
"""
_RESTLESS = "a trigger of the table gives it another text with each write of a vector"

Defer = Callable[[Work, Sequence[Key], Collection[Key]], None]
"""Defers rows; the second keys are those that are early, not locked."""


@dataclass
class _PartOutcome:
    """What became of some rows in one read and write."""

    left: dict[Key, None]
    """Rows that the part has not come to, in their order."""
    early: list[Key] = field(default_factory=list)
    locked: list[Key] = field(default_factory=list)
    """Held by another transaction, or written by others between our writes."""
    refusals: list[Refusal] = field(default_factory=list)
    """Unreadable rows, for quarantine."""

    @property
    def waiting(self) -> list[Key]:
        """Rows to try again, each once."""
        return list(dict.fromkeys(self.early + self.locked))


class LiveRows:
    """Settles the rows that the events of a batch name. One thread."""

    def __init__(
        self,
        store: Store,
        settler: RowSettler,
        clock: Clock,
        retry: RetryPolicy,
        settings: LiveSettings,
        defer: Defer,
    ) -> None:
        self._store = store
        self._settler = settler
        self._clock = clock
        self._retry = retry
        self._settings = settings
        self._defer = defer
        self._closed_until: dict[Target, float] = {}
        """When a table that was found locked is tried again; until then its rows are
        deferred without a read.
        """

    def settle(self, batch: Batch, todo: Mapping[Target, Hints]) -> Iterator[None]:
        """Settle the rows of each column.

        Args:
            batch: is told which rows are handled.
            todo: the rows by column.

        Yields:
            nothing, between two parts.

        Raises:
            TransientError: a service stayed away longer than `live.retry_seconds`.
            ConfigurationError: the configuration is wrong.
            Stopping: asked to stop; what was written stays.
        """
        batch.expect(todo)
        for position, (target, hints) in enumerate(todo.items()):
            if position:
                yield
            yield from self._settle(Work(batch, target, hints))

    def _settle(self, work: Work) -> Iterator[None]:
        """Settle the rows of a column in parts; yields between two of them."""
        keys = list(work.hints)
        reach = len(keys)
        while keys:
            if self._clock.monotonic() < self._closed_until.get(work.target, 0.0):
                left, reach = [], len(keys)
                self._defer(work, keys, ())
            else:
                left = self._part(work, keys[:reach])
            handled = set(keys[:reach]) - set(left)
            work.batch.settle([work.hints[key] for key in handled])
            work.batch.report(self._clock.monotonic())
            metrics.LAST_PROGRESS.labels("live").set(self._clock.now().timestamp())
            # What a part did not come to is read again for the next one, at most twice
            # as many rows as it came to: the time between the read of a text and the
            # write of its vector stays short.
            keys = left + keys[reach:]
            reach = max(1, 2 * len(handled))
            if keys:
                yield
                self._clock.wait(0)

    def _part(self, work: Work, keys: Sequence[Key]) -> list[Key]:
        """Handle rows for as long as a part may take; return those that it did not come
        to.
        """
        left: list[Key] = []
        deadline = self._clock.monotonic() + self._settings.early_wait_ms / 1000
        while True:
            attempt = self._attempt(work, keys)
            left += attempt.left
            keys = attempt.waiting
            if not keys:
                return left
            if self._clock.monotonic() >= deadline:
                self._defer(work, keys, attempt.early)
                return left
            self._clock.wait(_PAUSE_SECONDS)

    def _attempt(self, work: Work, keys: Sequence[Key]) -> _PartOutcome:
        """Read and write once."""
        attempt = _PartOutcome(dict.fromkeys(keys))
        until = self._settler.part_ends()
        try:
            for some, reading in self._settler.read(work.target, keys):
                rest = self._settle_read(work, some, reading, attempt, until)
                for key in some:
                    attempt.left.pop(key)
                attempt.left = dict.fromkeys(rest) | attempt.left
                if rest or (attempt.left and self._clock.monotonic() >= until):
                    break
            if attempt.refusals:
                self._retry.call(self._store.write, work.target, [], attempt.refusals)
                events = metrics.EVENTS.labels("live", str(work.target.table), "quarantined")
                events.inc(len(attempt.refusals))
        except TableLocked as reason:
            self._close(work.target, reason)
            # What was to be quarantined was not written: it is read again, too.
            attempt.locked += [refusal.key for refusal in attempt.refusals]
            attempt.locked += attempt.left
            attempt.left = {}
        return attempt

    def _settle_read(
        self,
        work: Work,
        keys: Sequence[Key],
        reading: Reading | PoisonEvent,
        attempt: _PartOutcome,
        until: float,
    ) -> list[Key]:
        """Settle the rows of one read; return those that the part did not come to."""
        if isinstance(reading, PoisonEvent):
            self._unreadable(work, keys[0], reading, attempt)
            return []
        work.batch.ambiguous |= reading.is_ambiguous
        ready: set[Key] = set()
        for key in keys:
            if all(reading.snapshot.sees(xid) for xid in work.hints[key].txids):
                ready.add(key)
            else:
                attempt.early.append(key)
        return self._write(work, ready, reading, attempt, until)

    def _close(self, target: Target, reason: TableLocked) -> None:
        log.warning(
            "table is locked; its rows are deferred",
            table=str(target.table),
            reason=str(reason),
        )
        now = self._clock.monotonic()
        self._closed_until[target] = now + self._settings.defer_seconds

    def _unreadable(self, work: Work, key: Key, reason: PoisonEvent, attempt: _PartOutcome) -> None:
        """Decide about a row that cannot be read: early, bad, or for quarantine."""
        target, hint = work.target, work.hints[key]
        if hint.txids and self._may_become_readable(target, key, hint):
            attempt.early.append(key)
            return
        is_key = self._retry.call(self._store.takes, target, key)
        if is_key and isinstance(reason, RowRefused):
            attempt.refusals.append(self._settler.refuse(target, key, reason))
        elif is_key:
            for record in hint.records:
                work.batch.fail(record, reason, "read")
        else:
            txids = hint.txids.union(hint.deferral.txids if hint.deferral else ())
            for record in hint.records:
                work.batch.mismatched_keys.add(Failure(record, reason, "read"), target, txids)

    def _may_become_readable(self, target: Target, key: Key, hint: Hint) -> bool:
        """Whether a transaction of its events may still change its text or its key's
        type.
        """
        if self._retry.call(self._store.running, hint.txids):
            return True
        # One that ended after the row was read may have changed them too.
        readings = self._settler.read(target, [key])
        return any(isinstance(reading, Reading) for _, reading in readings)

    def _write(
        self,
        work: Work,
        ready: set[Key],
        reading: Reading,
        attempt: _PartOutcome,
        until: float,
    ) -> list[Key]:
        """Embed and write as many rows as the part comes to; return those left."""
        target = work.target
        documents = [document for document in reading.documents if document.key in ready]
        calm, restless = self._by_triggers(work, documents)
        findings = self._settler.find(target, calm, work.known, until=until)
        findings.refusals += restless
        outcome = WriteOutcome()
        if findings.updates or findings.refusals:
            with metrics.WRITE_SECONDS.labels("live").time():
                outcome = self._retry.call(
                    self._store.write, target, findings.updates, findings.refusals
                )
        gone = ready.difference(document.key for document in documents)
        self._count(target, findings, len(gone), outcome)
        self._observe_freshness(work, outcome)
        attempt.locked += [key for key, found in outcome.items() if found is Written.LOCKED]
        # A row that a trigger has changed is not waited for: it counts as not come to. But
        # where another batch or worker writes it in between, each would find the other's
        # text for ever.
        again, contended = work.note(outcome)
        attempt.locked += contended
        return [document.key for document in findings.left] + again

    @staticmethod
    def _by_triggers(
        work: Work, documents: Sequence[Document]
    ) -> tuple[list[Document], list[Refusal]]:
        """Separate the rows to settle, the shortest text first, from those that a
        trigger would change for ever.
        """
        calm: list[Document] = []
        restless: list[Refusal] = []
        for document in documents:
            tries = work.tries(document)
            if tries < _WRITES:
                calm.append(document)
            else:
                hash_ = document.hash or UNREADABLE
                restless.append(Refusal(document.key, hash_, _RESTLESS, tries))
        calm.sort(key=lambda document: len(document.text))
        return calm, restless

    def _observe_freshness(self, work: Work, outcome: WriteOutcome) -> None:
        now = self._clock.now()
        table = str(work.target.table)
        for key, found in outcome.items():
            committed_at = work.hints[key].committed_at
            if found is Written.WRITTEN and committed_at is not None:
                seconds = (now - committed_at).total_seconds()
                metrics.FRESHNESS_SECONDS.labels(table).observe(seconds)

    @staticmethod
    def _count(
        target: Target, findings: Findings, gone: int, outcome: Mapping[Key, Written]
    ) -> None:
        counts = Counter(
            current=findings.current,
            blank=findings.blank,
            gone=gone,
            quarantined=findings.quarantined,
        )
        for found in outcome.values():
            counts[found.value] += 1
        for name, count in counts.items():
            metrics.EVENTS.labels("live", str(target.table), name).inc(count)
