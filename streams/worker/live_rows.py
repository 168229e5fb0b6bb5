"""The rows of a live batch: read, decided, embedded and written, part by part.

Hazards:
- An event whose transaction the read cannot see yet must not be concluded from; it is
  read again after a short wait and then deferred, like a row that another transaction
  holds locked. Its neighbours are written at once. So are all rows of a table that is
  locked as a whole (DDL, CREATE INDEX, LOCK TABLE), and the other tables' rows are
  written.
- Between two parts of a batch other batches of the lane, and a look at the tables, may
  come.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import structlog

from connectors.ports import Clock, Store
from schemas.errors import PoisonEvent, RowRefused, TableLocked
from schemas.health import metrics
from schemas.messages.dead_letter import Failure
from schemas.rows.document import UNREADABLE, Reading, Refusal, WriteOutcome, Written
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import LiveSettings
from streams.common.retry import RetryPolicy
from streams.worker.batch import Batch, Hints, Work
from streams.worker.settle import Findings, RowSettler

log = structlog.get_logger()

_PAUSE_SECONDS = 0.01
"""Between two looks at an early or locked row; a commit becomes visible within
microseconds to milliseconds.
"""

_WRITES = 2
"""Vectors written for a row whose trigger gives it another text each time; a third
would not be the last.

Hazard: what was found of the texts before says nothing of one that the application has
given the row since.
"""
_RESTLESS = "a trigger of the table gives it another text with each write of a vector"

Defer = Callable[[Work, Sequence[Key], Collection[Key]], None]
"""Has rows looked at later; the second keys are those that are early, not locked."""


class LiveRows:
    """Settles what the events of a batch ask for. One thread."""

    def __init__(
        self,
        store: Store,
        settler: RowSettler,
        clock: Clock,
        retry: RetryPolicy,
        settings: LiveSettings,
        defer: Defer,
    ) -> None:
        """Join the parts."""
        self._store = store
        self._settler = settler
        self._clock = clock
        self._retry = retry
        self._settings = settings
        self._defer = defer
        self._closed_until: dict[Target, float] = {}
        """When a table that was found locked is tried again; until then its rows are
        deferred without a look.
        """

    def settle(self, batch: Batch, todo: Mapping[Target, Hints]) -> Iterator[None]:
        """Settle the rows of each column; yields between two parts.

        Raises:
            TransientError: a service stayed away longer than `live.retry_seconds`.
            ConfigurationError: it will never work like this.
            Stopping: asked to stop; what was written stays.
        """
        batch.expect(todo)
        for position, (target, hints) in enumerate(todo.items()):
            if position:
                yield
            yield from self._settle(Work(batch, target, hints))

    def _settle(self, work: Work) -> Iterator[None]:
        """Settle the rows of a column in parts; yields between them.

        What a part does not come to is read again for the next one, at most twice as
        many rows as it came to: the time between reading a text and writing its vector
        stays short, and no row is read for each part of a long batch.
        """
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
            work.batch.tell(self._clock.monotonic())
            metrics.LAST_PROGRESS.labels("live").set(self._clock.now().timestamp())
            keys, reach = [*left, *keys[reach:]], max(1, 2 * len(handled))
            if keys:
                yield
                self._clock.wait(0)

    def _part(self, work: Work, keys: Sequence[Key]) -> list[Key]:
        """Handle rows for as long as a part may take; returns those that it did not
        come to.
        """
        left: list[Key] = []
        deadline = self._clock.monotonic() + self._settings.early_wait_ms / 1000
        while True:
            early, locked, more = self._attempt(work, keys)
            left += more
            keys = list(dict.fromkeys([*early, *locked]))
            if not keys:
                return left
            if self._clock.monotonic() >= deadline:
                self._defer(work, keys, early)
                return left
            self._clock.wait(_PAUSE_SECONDS)

    def _attempt(self, work: Work, keys: Sequence[Key]) -> tuple[list[Key], list[Key], list[Key]]:
        """Read and write once. Returns the rows that are early, those that are locked,
        and those not come to.
        """
        early: list[Key] = []
        locked: list[Key] = []
        refusals: list[Refusal] = []
        left = dict.fromkeys(keys)
        until = self._settler.part_ends()
        try:
            for some, reading in self._settler.read(work.target, keys):
                rest: list[Key] = []
                if isinstance(reading, PoisonEvent):
                    early += self._unreadable(work, some[0], reading, refusals)
                else:
                    work.batch.ambiguous |= reading.is_ambiguous
                    waiting = [
                        k
                        for k in some
                        if not all(reading.snapshot.sees(xid) for xid in work.hints[k].txids)
                    ]
                    early += waiting
                    held, rest = self._write(work, set(some) - set(waiting), reading, until)
                    locked += held
                for key in some:
                    left.pop(key)
                left = dict.fromkeys(rest) | left
                if rest or (left and self._clock.monotonic() >= until):
                    break
            if refusals:
                self._retry.call(self._store.write, work.target, [], refusals)
        except TableLocked as reason:
            log.warning(
                "table is locked; its rows are deferred",
                table=str(work.target.table),
                reason=str(reason),
            )
            self._closed_until[work.target] = self._clock.monotonic() + self._settings.defer_seconds
            locked += left
            left = {}
        return early, locked, list(left)

    def _unreadable(
        self, work: Work, key: Key, reason: PoisonEvent, refusals: list[Refusal]
    ) -> list[Key]:
        """A row that cannot be read: early, if a transaction is in hand that may have
        changed text or key's type.

        One that ended after the row was read may have, too: so the row is read once
        more.
        """
        target, hint = work.target, work.hints[key]
        if hint.txids:
            if self._retry.call(self._store.running, hint.txids):
                return [key]
            if any(
                isinstance(reading, Reading) for _, reading in self._settler.read(target, [key])
            ):
                return [key]
        is_key = self._retry.call(self._store.takes, target, key)
        if is_key and isinstance(reason, RowRefused):
            refusals.append(self._settler.refuse(target, key, reason))
            metrics.EVENTS.labels("live", str(target.table), "quarantined").inc()
        elif is_key:
            for record in hint.records:
                work.batch.fail(record, reason, "read")
        else:
            told = hint.deferral.txids if hint.deferral else ()
            for record in hint.records:
                work.batch.misfits.add(
                    Failure(record, reason, "read"), target, hint.txids.union(told)
                )
        return []

    def _write(
        self, work: Work, ready: set[Key], reading: Reading, until: float
    ) -> tuple[list[Key], list[Key]]:
        """Embed and write as many of the rows as the part comes to. Returns the locked
        ones, and those left.
        """
        target = work.target
        documents = [document for document in reading.documents if document.key in ready]
        tries = {document.key: work.tries(document) for document in documents}
        restless = [document for document in documents if tries[document.key] >= _WRITES]
        calm = sorted(
            (d for d in documents if d not in restless), key=lambda document: len(document.text)
        )
        findings = self._settler.find(target, calm, work.known, until=until)
        findings.refusals += [
            Refusal(d.key, d.hash or UNREADABLE, _RESTLESS, tries[d.key]) for d in restless
        ]
        outcome = WriteOutcome()
        if findings.updates or findings.refusals:
            with metrics.WRITE_SECONDS.labels("live").time():
                outcome = self._retry.call(
                    self._store.write, target, findings.updates, findings.refusals
                )
        gone = len(ready) - len({document.key for document in documents})
        self._count(target, findings, gone, outcome)
        now = self._clock.now()
        for key, written in outcome.items():
            committed_at = work.hints[key].committed_at
            if written is Written.WRITTEN and committed_at is not None:
                metrics.FRESHNESS_SECONDS.labels(str(target.table)).observe(
                    (now - committed_at).total_seconds()
                )
        held = [key for key, written in outcome.items() if written is Written.LOCKED]
        # Nobody is waited for: a row that a trigger has changed is one of those that
        # the part did not come to.
        return held, [*(document.key for document in findings.left), *work.note(outcome)]

    def _count(
        self, target: Target, findings: Findings, gone: int, outcome: Mapping[Key, Written]
    ) -> None:
        written = [w.value for w in outcome.values()]
        counts = {"current": findings.current, "blank": findings.blank, "gone": gone}
        counts["quarantined"] = findings.quarantined
        for name in written:
            counts[name] = counts.get(name, 0) + 1
        for name, count in counts.items():
            metrics.EVENTS.labels("live", str(target.table), name).inc(count)
