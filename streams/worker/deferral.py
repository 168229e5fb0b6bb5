"""Rows of the live lane that have to wait: another transaction holds them locked, or the
transaction of their event is not visible yet.

Such a row goes to the deferred topic, which keeps it through a restart, and is looked at
again after a pause that doubles up to 30 s. So it never holds up the rows beside it.

Hazard: the clocks of workers differ. A row that would wait longer than any worker makes
it wait is due now.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from connectors.ports import Clock, Outbox, Store
from schemas.errors import PoisonEvent
from schemas.health import metrics
from schemas.messages.chunk import Deferral, DeferredRow, read_message
from schemas.messages.record import Record
from schemas.rows.table import Key
from schemas.settings.sections import LiveSettings
from streams.common.retry import RetryPolicy
from streams.worker.batch import Work

_LONGEST_DEFERRAL_SECONDS = 30.0
_MOST_ATTEMPTS = 10**6
"""A year of them; a message may claim any number."""
_LONGEST_KEY = 100_000
"""Characters, of up to six bytes each in JSON."""
_MOST_TXIDS = 10_000
"""Of up to ten digits: with the longest key still a record that Kafka takes."""
_LARGEST_DEFERRAL = 900_000
"""Bytes. What may be deferred again has to fit into a record as large as a broker takes
by default.
"""


class RowDeferral:
    """Defers rows, and says when a deferred row is due."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        clock: Clock,
        retry: RetryPolicy,
        settings: LiveSettings,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._retry = retry
        self._settings = settings

    def defer(self, work: Work, keys: Sequence[Key], early: Collection[Key]) -> None:
        """Send rows to the deferred topic, and let their events fail that cannot wait.

        Args:
            work: the table's part of the batch.
            keys: of the rows.
            early: those of them whose transaction is not visible yet; the others are
                locked.

        Raises:
            TransientError: Kafka stayed away longer than `live.retry_seconds`.
        """
        now = self._clock.now()
        rows: list[DeferredRow] = []
        for key in keys:
            if sum(len(part) for part in key) > _LONGEST_KEY:
                reason = PoisonEvent(
                    f"a row of {work.target.table} has to wait, and its key is too long for "
                    "a message"
                )
                for record in work.hints[key].records:
                    work.batch.fail(record, reason, "defer")
                continue
            rows += self._messages(work, key, now)
            metrics.DEFERRED.labels("live", "early" if key in early else "locked").inc()
        self._retry.call(self._outbox.send_deferred, rows)

    def seconds_left(self, deferral: Deferral) -> float:
        """Return the seconds until a deferred row is due."""
        seconds = (deferral.not_before - self._clock.now()).total_seconds()
        # No worker defers a row for longer: then its clock is wrong.
        return seconds if 0 < seconds <= _LONGEST_DEFERRAL_SECONDS else 0.0

    def still_awaited(self, deferral: Deferral) -> tuple[int, ...]:
        """Return the transactions that a deferred row still waits for."""
        age = (self._clock.now() - deferral.since).total_seconds()
        if age < self._settings.defer_limit_seconds or not deferral.txids:
            return deferral.txids
        # After so long only those that the server still runs. The others were lost in a
        # failover: the row is then taken as it is.
        return tuple(sorted(self._retry.call(self._store.running, deferral.txids)))

    def _messages(self, work: Work, key: Key, now: datetime) -> list[DeferredRow]:
        """Return the messages that defer a row: more than one where it waits for many
        transactions.
        """
        target, hint = work.target, work.hints[key]
        attempt, since = 1, now
        if hint.deferral is not None:
            attempt = min(hint.deferral.attempt, _MOST_ATTEMPTS) + 1
            since = min(hint.deferral.since, now)
        # The exponent is limited too: a row that is locked for a night would raise
        # OverflowError.
        pause = self._settings.defer_seconds * 2 ** min(attempt - 1, 32)
        not_before = now + timedelta(seconds=min(pause, _LONGEST_DEFERRAL_SECONDS))
        txids = sorted(hint.txids)
        rows = []
        for start in range(0, max(1, len(txids)), _MOST_TXIDS):
            deferral = Deferral(
                since=since,
                not_before=not_before,
                attempt=attempt,
                txids=tuple(txids[start : start + _MOST_TXIDS]),
            )
            rows.append(DeferredRow.of(target, key, deferral))
        return rows


def read_deferred(record: Record) -> DeferredRow:
    """Read a record of the deferred topic.

    Raises:
        PoisonEvent: it is not a deferred row, or larger than any.
    """
    if len(record.value or b"") > _LARGEST_DEFERRAL:
        raise PoisonEvent("it is larger than any deferred row")
    row = read_message(record.value)
    if not isinstance(row, DeferredRow):
        raise PoisonEvent("a chunk of a run is in the deferred topic")
    return row
