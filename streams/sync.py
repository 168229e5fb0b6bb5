"""The live lane, free of Faust: a batch of change events in, true vectors out.

    decode -> read current rows -> decide -> embed -> write (compare-and-set) -> [acknowledge: the caller]

When `handle` returns, every event of the batch is handled: its row was written, found current or gone, durably
deferred, or dead-lettered. When it raises, none may be acknowledged.

Hazard: an event whose transaction the read cannot see yet must not be concluded from; it is read again after a short
wait and then deferred, like a row that another transaction holds locked. Its neighbours are written at once. So are all
rows of a table that is locked as a whole (DDL, CREATE INDEX, LOCK TABLE), and the other tables' rows are written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from connectors.ports import Clock, Outbox, Store
from connectors.postgres import origins
from schemas import change, key_text, metrics
from schemas.chunk import Chunk, Deferral
from schemas.dead_letter import Failure
from schemas.document import UNREADABLE, Reading, Refusal, Vector, Written
from schemas.errors import EmbedsyncError, PoisonEvent, RowRefused, TableLocked, TargetMismatch
from schemas.record import Record
from schemas.sections import DeadLetterSettings, LiveSettings
from schemas.table import Key, TableName
from schemas.target import Target
from streams.flood import Flood
from streams.misfits import Misfits
from streams.retry import Patience
from streams.settle import Findings, Settler
from streams.shapes import Adaptation, FixedShapes, Shapes

log = structlog.get_logger()

_PAUSE_SECONDS = 0.01
"""Between two looks at an early or locked row; a commit becomes visible within microseconds to milliseconds."""

_LONGEST_DEFERRAL_SECONDS = 30.0

_WRITES = 2
"""Vectors written for a row whose trigger gives it another text each time; a third would not be the last."""
_RESTLESS = "a trigger of the table gives it another text with each write of a vector"


@dataclass
class Hint:
    """That a row may have changed: the transactions that did it, and the records that said so.

    `deferral` is set when the row was deferred before.
    """

    txids: set[int] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    committed_at: datetime | None = None
    deferral: Deferral | None = None


Hints = dict[Key, Hint]


class Sync:
    """Handles batches of the live lane. One thread."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a lane, joined in one place
        self,
        targets: Sequence[Target],
        store: Store,
        settler: Settler,
        outbox: Outbox,
        clock: Clock,
        patience: Patience,
        settings: LiveSettings,
        origin: str,
        flood: Flood | None = None,
        outdated: Callable[[], bool] = lambda: False,
        shapes: Shapes | None = None,
    ) -> None:
        """Join the parts. Events with one of the labels that are made from `origin` are the workers' own echo.

        Without `flood`, bad events are limited as the default settings say. `outdated` is asked before a column is
        called unknown: whether the database wants other columns than these targets. `shapes` tells what the tables
        are like now.
        """
        self._targets: dict[TableName, list[Target]] = {}
        self.renew(targets)
        self._adaptation = Adaptation(shapes or FixedShapes(), self.renew, clock, patience)
        self._outdated = outdated
        self._store = store
        self._settler = settler
        self._outbox = outbox
        self._clock = clock
        self._patience = patience
        self._settings = settings
        self._labels = frozenset(origins.labels(origin))
        self._closed_until: dict[Target, float] = {}
        """When a table that was found locked is tried again; until then its rows are deferred without a look."""
        self._flood = flood or Flood(DeadLetterSettings())
        self._failures: dict[str, Failure] = {}
        """Bad events of the batch in hand, by position; they are moved together when the good ones are done."""
        self._misfits = Misfits()
        self._ambiguous = False
        """Whether a key of the batch stood for several rows. Each was written with the vector of its own text."""

    def renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on; called between two batches, or before one is done again."""
        self._targets.clear()
        for target in targets:
            self._targets.setdefault(target.table, []).append(target)

    def handle(self, records: Sequence[Record]) -> None:
        """Make the rows true that a batch of change events speaks of.

        Raises:
            TransientError: a service stayed away longer than `live.retry_seconds`.
            DeadLetterFlood: too many of the events are bad; the good ones are done, no bad one was moved.
            ConfigurationError: it will never work like this.
            Stopping: asked to stop before the batch was done.
        """
        self._in_their_shape(lambda: self._handle(records))
        self._dead_letter(records)
        metrics.LAST_PROGRESS.labels("live").set(self._clock.now().timestamp())

    def handle_deferred(self, records: Sequence[Record]) -> None:
        """Look again at deferred rows whose time has come; the others go back to the end of their topic.

        Raises:
            as `handle`.
        """
        self._in_their_shape(lambda: self._handle_deferred(records))
        self._dead_letter(records)

    def _in_their_shape(self, work: Callable[[], None]) -> None:
        """Do a batch, and again from its events on when a table's key has changed meanwhile."""
        while True:
            self._failures.clear()
            self._misfits.found.clear()
            self._ambiguous = False
            try:
                work()
            except EmbedsyncError as error:
                if not self._adaptation.again(error):
                    raise
                continue
            if not ((self._failures or self._misfits.found or self._ambiguous) and self._adaptation.renew()):
                break
        self._adaptation.settled()
        for failure in self._misfits.place(self._adaptation.shapes, self._patience):
            self._failures.setdefault(failure.record.position, failure)

    def _handle(self, records: Sequence[Record]) -> None:
        for target, hints in self._decode(records).items():
            self._settle(target, hints)

    def _handle_deferred(self, records: Sequence[Record]) -> None:
        due: dict[Target, Hints] = {}
        not_due: list[Chunk] = []
        for record in records:
            try:
                chunk, deferral, targets = self._deferred(record)
            except PoisonEvent as reason:
                self._fail(record, reason, "decode")
                continue
            if deferral.not_before > self._clock.now():
                not_due.append(chunk)
                continue
            for target in targets:
                hint = due.setdefault(target, {}).setdefault(chunk.keys[0], Hint(deferral=deferral))
                hint.records.append(record)
                hint.txids.update(self._still_awaited(deferral))
        if not_due:  # all with one wait: live changes share this thread
            self._patience.call(self._outbox.send_chunks, not_due)
        for target, hints in due.items():
            self._settle(target, hints)

    def due_in(self, records: Iterable[Record]) -> float:
        """Seconds until the first of these deferred rows is due; 0 when one is, or when one is unreadable."""
        waits = [0.0]
        for record in records:
            try:
                deferral = Chunk.parse(record.value).deferral
            except PoisonEvent:
                return 0.0
            if deferral is not None:
                waits.append((deferral.not_before - self._clock.now()).total_seconds())
        return max(0.0, min(waits[1:], default=0.0))

    def _decode(self, records: Sequence[Record]) -> dict[Target, Hints]:
        hints: dict[Target, Hints] = {}
        for record in records:
            try:
                self._decode_one(record, hints)
            except PoisonEvent as reason:
                self._fail(record, reason, "decode")
        return hints

    def _decode_one(self, record: Record, hints: dict[Target, Hints]) -> None:
        event = change.parse(record.key, record.value)
        if event is None or not event.touches_row or event.origin in self._labels:
            # An event may name any table: only ours become labels, which have to stay few.
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
                self._misfits.add(Failure(record, reason, "decode"), target, txids)
                continue
            hint = hints.setdefault(target, {}).setdefault(key, Hint())
            hint.records.append(record)
            if event.txid is not None:
                hint.txids.add(event.txid)
            if event.committed_at is not None:
                hint.committed_at = min(hint.committed_at or event.committed_at, event.committed_at)

    def _settle(self, target: Target, hints: Hints) -> None:
        known: dict[bytes, Vector | Refusal] = {}
        again = Counter[Key]()
        deadline = self._clock.monotonic() + self._settings.early_wait_ms / 1000
        if self._clock.monotonic() < self._closed_until.get(target, 0.0):
            self._defer(target, hints, ())
            return
        while True:
            early, locked = self._attempt(target, hints, known, again)
            hints = {key: hints[key] for key in (*early, *locked)}
            if not hints:
                return
            if self._clock.monotonic() >= deadline:
                self._defer(target, hints, early)
                return
            self._clock.wait(_PAUSE_SECONDS)

    def _attempt(
        self, target: Target, hints: Hints, known: dict[bytes, Vector | Refusal], again: Counter[Key]
    ) -> tuple[list[Key], list[Key]]:
        early: list[Key] = []
        locked: list[Key] = []
        refusals: list[Refusal] = []
        left = set(hints)
        try:
            for keys, reading in self._settler.read(target, list(hints)):
                if isinstance(reading, PoisonEvent):
                    early += self._unreadable(target, keys[0], hints[keys[0]], reading, refusals)
                else:
                    self._ambiguous = self._ambiguous or reading.is_ambiguous
                    waiting = [k for k in keys if not all(reading.snapshot.sees(xid) for xid in hints[k].txids)]
                    early += waiting
                    locked += self._write(target, set(keys) - set(waiting), reading, hints, known, again)
                left -= set(keys)
            if refusals:
                self._patience.call(self._store.write, target, [], refusals)
        except TableLocked as reason:
            log.warning("table is locked; its rows are deferred", table=str(target.table), reason=str(reason))
            self._closed_until[target] = self._clock.monotonic() + self._settings.defer_seconds
            locked += left
        return early, locked

    def _unreadable(
        self, target: Target, key: Key, hint: Hint, reason: PoisonEvent, refusals: list[Refusal]
    ) -> list[Key]:
        """A row that cannot be read: early, if a transaction is in hand that may have changed text or key's type.

        One that ended after the row was read may have, too: so the row is read once more.
        """
        if hint.txids:
            if self._patience.call(self._store.running, hint.txids):
                return [key]
            if any(isinstance(reading, Reading) for _, reading in self._settler.read(target, [key])):
                return [key]
        is_key = self._patience.call(self._store.takes, target, key)
        if is_key and isinstance(reason, RowRefused):
            refusals.append(self._settler.refuse(target, key, reason))
            metrics.EVENTS.labels("live", str(target.table), "quarantined").inc()
        elif is_key:
            for record in hint.records:
                self._fail(record, reason, "read")
        else:
            for record in hint.records:
                failure, is_ours = Failure(record, reason, "read"), hint.deferral is not None
                self._misfits.add(failure, target, hint.txids, is_ours=is_ours)
        return []

    def _write(
        self,
        target: Target,
        ready: set[Key],
        reading: Reading,
        hints: Hints,
        known: dict[bytes, Vector | Refusal],
        again: Counter[Key],
    ) -> list[Key]:
        documents = [document for document in reading.documents if document.key in ready]
        restless = [document for document in documents if again[document.key] >= _WRITES]
        findings = self._settler.find(target, [d for d in documents if d not in restless], known)
        findings.refusals += [Refusal(d.key, d.hash or UNREADABLE, _RESTLESS, again[d.key]) for d in restless]
        outcome: Mapping[Key, Written] = {}
        if findings.updates or findings.refusals:
            with metrics.WRITE_SECONDS.labels("live").time():
                outcome = self._patience.call(self._store.write, target, findings.updates, findings.refusals)
        gone = len(ready) - len({document.key for document in documents})
        self._count(target, findings, gone, outcome)
        now = self._clock.now()
        for key, written in outcome.items():
            committed_at = hints[key].committed_at
            if written is Written.WRITTEN and committed_at is not None:
                metrics.FRESHNESS_SECONDS.labels(str(target.table)).observe((now - committed_at).total_seconds())
        again.update(key for key, written in outcome.items() if written is Written.AGAIN)
        return [key for key, written in outcome.items() if written in {Written.LOCKED, Written.AGAIN}]

    def _count(self, target: Target, findings: Findings, gone: int, outcome: Mapping[Key, Written]) -> None:
        written = [w.value for w in outcome.values()]
        counts = {"current": findings.current, "blank": findings.blank, "gone": gone}
        counts["quarantined"] = findings.quarantined
        for name in written:
            counts[name] = counts.get(name, 0) + 1
        for name, count in counts.items():
            metrics.EVENTS.labels("live", str(target.table), name).inc(count)

    def _defer(self, target: Target, hints: Hints, early: Sequence[Key]) -> None:
        now = self._clock.now()
        chunks = []
        for key, hint in hints.items():
            attempt = hint.deferral.attempt + 1 if hint.deferral else 1
            # The exponent has a limit too: a row that is locked for a night would raise OverflowError.
            seconds = min(self._settings.defer_seconds * 2 ** min(attempt - 1, 32), _LONGEST_DEFERRAL_SECONDS)
            since = hint.deferral.since if hint.deferral else now
            deferral = Deferral(since, now + timedelta(seconds=seconds), attempt, tuple(sorted(hint.txids)))
            chunks.append(Chunk(target.table, target.column, target.model, (key,), deferral=deferral))
            metrics.DEFERRED.labels("live", "early" if key in early else "locked").inc()
        self._patience.call(self._outbox.send_chunks, chunks)

    def _still_awaited(self, deferral: Deferral) -> tuple[int, ...]:
        """Transactions that are still waited for; after a long time only those that the server still has in hand.

        The others were lost in a failover: the row is then taken as it stands.
        """
        age = (self._clock.now() - deferral.since).total_seconds()
        if age < self._settings.defer_limit_seconds or not deferral.txids:
            return deferral.txids
        return tuple(sorted(self._patience.call(self._store.running, deferral.txids)))

    def _deferred(self, record: Record) -> tuple[Chunk, Deferral, Sequence[Target]]:
        chunk = Chunk.parse(record.value)
        if chunk.deferral is None:
            raise PoisonEvent("a chunk of a run is in the deferred topic")
        if len(chunk.keys) != 1 or not chunk.keys[0]:
            raise PoisonEvent("a deferred row has not one key")
        known = self._targets.get(chunk.table, [])
        named = [target for target in known if target.column == chunk.column]
        if not named and self._outdated():
            raise TargetMismatch(f"{chunk.table}.{chunk.column} is new to this worker", fix="it starts anew")
        # A column that a migration has renamed meanwhile: the row is looked at for all that are left.
        if not known:
            raise PoisonEvent(f"{chunk.name} is for {chunk.table}, which is not among [[tables]]")
        return chunk, chunk.deferral, named or known

    def _fail(self, record: Record, reason: PoisonEvent, stage: str) -> None:
        self._failures.setdefault(record.position, Failure(record, reason, stage))

    def _dead_letter(self, records: Sequence[Record]) -> None:
        """Move the bad events of a batch, all with one wait, unless they are too many."""
        failed = self._failures
        reasons = ((r.topic, str(failed[r.position].reason) if r.position in failed else None) for r in records)
        self._flood.judge(reasons, self._clock.monotonic())
        self._patience.call(self._outbox.send_dead_letters, list(failed.values()))
        for failure in failed.values():
            metrics.DEAD_LETTERS.labels("live", failure.stage).inc()
