"""Send dead letters again; `outcomes` follows what becomes of each.

An event goes back to its partition as it was, without the error headers; a row leaves
quarantine and goes through the replay lane. Sending one twice costs a look-up, so the
order is: send, wait for the broker, mark, follow.

Hazard: a command may be killed anywhere. Killed before the mark, it sends again when it
is repeated; nothing is marked that was not sent. Rows are in a replay run before any of
them is sent, and `vectrue replay resume` continues that run.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from connectors.kafka.offsets import Offsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres.rows import quarantine
from connectors.postgres.session import Session
from schemas.errors import (
    ConfigurationError,
    PoisonEvent,
    Stopping,
    TransientError,
    VectrueError,
)
from schemas.messages import change
from schemas.messages.dead_letter import Entry, EntryState
from schemas.messages.record import Record
from schemas.rows import key_values
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.dead_letters.entries import DeadLetters, by_kind
from streams.dead_letters.outcomes import OutcomeTracker, Result, Row, Sent
from streams.operations.lag import live_topics
from streams.replay.run import Replay

_BATCH_RECORDS = 500
_BATCH_BYTES = 8_388_608

Started = Callable[[UUID], None]
"""Called with a replay run before any of it is sent."""


def refusal(settings: Settings, entry: Entry) -> str | None:
    """Say why an entry cannot be sent again; None when it can.

    Only topics that this installation reads are written to: anyone who may write a dead
    letter could name any topic in it.
    """
    topic = entry.topic
    if entry.kind != "event":
        return None
    if topic is None:
        return "the dead letter does not say where it came from"
    if entry.is_bare:
        return (
            f"the event was too large for a dead letter: it is at {entry.id}, as long as "
            "Kafka keeps it"
        )
    if topic in (*live_topics(settings), settings.canary_topic, settings.replay_topic):
        return None
    return (
        f"the dead letter names topic {topic}, which nothing reads for kafka.topic_prefix "
        f"{settings.kafka.topic_prefix}"
    )


class Redrive:
    """Sends entries again."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        targets: Sequence[Target],
        dead_letters: DeadLetters,
        outbox: KafkaOutbox,
        offsets: Offsets,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._session = session
        self._targets = targets
        self._dead_letters = dead_letters
        self._outbox = outbox
        self._replay = Replay(settings, session, outbox, clock)
        self._outcomes = OutcomeTracker(settings, session, dead_letters, offsets, clock)

    def run(
        self, entries: Sequence[Entry], started: Started, *, again: bool = False, wait: float = 30.0
    ) -> list[Result]:
        """Send entries and follow them.

        Args:
            entries: what `DeadLetters.entries` returned.
            started: called with each run that rows go through.
            again: also those that were sent before.
            wait: seconds for which they are followed.

        Returns:
            One result per entry, in their order.

        Raises:
            TransientError: a service stayed away for `live.retry_seconds`; what was
                sent until then is marked, the rest is open, or in a run that is named.
        """
        results: dict[str, Result] = {}
        chosen: list[Entry] = []
        for entry in entries:
            if entry.state is EntryState.REDRIVEN and not again:
                results[entry.id] = Result(entry.id, "already redriven", entry.outcome)
            else:
                chosen.append(entry)
        # Before anything is sent, so that each new dead letter is after these ends.
        ends = self._dead_letters.ends()
        events, rows = by_kind(chosen)
        sent = self._send_events(events, results)
        sent_rows = self._send_rows(rows, started, results)
        results.update(self._outcomes.follow([*sent, *sent_rows], ends, wait))
        self._mark_outcomes(sent, results)
        return [results[entry.id] for entry in entries]

    def _mark_outcomes(self, sent: Sequence[Sent], results: Mapping[str, Result]) -> None:
        marked: list[Entry] = []
        outcomes: dict[str, str | None] = {}
        for one in sent:
            marked.append(one.entry)
            outcomes[one.entry.id] = results[one.entry.id].outcome
        self._mark(marked, outcomes)

    def _mark(self, entries: Sequence[Entry], outcomes: Mapping[str, str | None]) -> None:
        prefix = self._settings.kafka.topic_prefix
        quarantine.mark(self._session, prefix, entries, EntryState.REDRIVEN, outcomes)

    def _send_events(self, entries: Sequence[Entry], results: dict[str, Result]) -> list[Sent]:
        sent: list[Sent] = []
        batch: list[tuple[Entry, Record]] = []
        size = 0
        for entry, dead_letter in self._dead_letters.dead_letters(entries):
            why = refusal(self._settings, entry)
            original = dead_letter.original
            if why is not None or original is None:
                results[entry.id] = Result(entry.id, "not sent", why)
                continue
            batch.append((entry, original))
            size += entry.size_bytes or 0
            if len(batch) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
                sent += self._send_batch(batch, results)
                batch, size = [], 0
        sent += self._send_batch(batch, results)
        known = set(results)
        for one in sent:
            known.add(one.entry.id)
        for entry in entries:
            # Retention may have deleted it since it was listed.
            if entry.id not in known:
                why = "the topic no longer holds it"
                results[entry.id] = Result(entry.id, "not sent", why)
        return sent

    def _send_batch(
        self, batch: Sequence[tuple[Entry, Record]], results: dict[str, Result]
    ) -> list[Sent]:
        sent: list[Sent] = []
        marked: list[Entry] = []
        outcomes: dict[str, str | None] = {}
        answers: Sequence[int | str] = ()
        if batch:
            records = [record for _, record in batch]
            answers = self._outbox.send_again(records)
        for (entry, record), answer in zip(batch, answers, strict=True):
            if isinstance(answer, str):
                results[entry.id] = Result(entry.id, "not sent", answer)
                continue
            place = (record.topic, record.partition, answer)
            sent.append(Sent(entry, self._rows(record), place))
            marked.append(entry)
            outcomes[entry.id] = "waiting"
        # Marked once the broker has them: a kill before this sends them again.
        self._mark(marked, outcomes)
        return sent

    def _rows(self, record: Record) -> tuple[Row, ...]:
        """Return the row of an event, once for each column; none if it is not readable."""
        rows: list[Row] = []
        try:
            event = change.parse(record.key, record.value)
            if event is None or not event.touches_row:
                return ()
            for target in self._targets:
                if target.table != event.table:
                    continue
                values = event.key([column.name for column in target.key])
                rows.append((target, key_values.for_postgres(values, target.key)))
        except PoisonEvent:
            # It is sent as it is: then only the group's commit tells what became of it.
            return ()
        return tuple(rows)

    def _send_rows(
        self, entries: Sequence[Entry], started: Started, results: dict[str, Result]
    ) -> list[Sent]:
        known: dict[tuple[str, str], Target] = {}
        for target in self._targets:
            known[str(target.table), target.column] = target
        by_target: dict[Target, list[tuple[Entry, Key]]] = {}
        for entry in entries:
            column = known.get((entry.table or "", entry.column or ""))
            if column is None or entry.key is None or len(entry.key) != len(column.key):
                name = f"{entry.table}.{entry.column}"
                why = f"{name} is not among [[tables]], or has another key now"
                results[entry.id] = Result(entry.id, "not sent", why)
            else:
                by_target.setdefault(column, []).append((entry, entry.key))
        sent: list[Sent] = []
        for target, rows in by_target.items():
            keys = [key for _, key in rows]
            refused = self._send_run(target, keys, started)
            for entry, key in rows:
                if refused is None:
                    sent.append(Sent(entry, ((target, key),)))
                else:
                    results[entry.id] = Result(entry.id, "not sent", refused)
        return sent

    def _send_run(self, target: Target, keys: Sequence[Key], started: Started) -> str | None:
        """Send rows of a column through replay.

        Returns:
            None; or why not: a run holds the column, and the rows stay in quarantine.
        """
        try:
            run = self._replay.begin_quarantined(target, keys)
        except (ConfigurationError, PoisonEvent, Stopping, TransientError):
            # Not about this column only: the other entries would fail too.
            raise
        except VectrueError as error:
            return str(error)
        started(run)
        self._feed(run, len(keys))
        return None

    def _feed(self, run: UUID, rows: int) -> None:
        try:
            self._replay.feed(run)
        except TransientError as error:
            # The rows have left quarantine, so the error names the command that sends
            # them.
            raise TransientError(
                f"{rows} rows are out of quarantine and in run {run}, which was not sent "
                f"({error.message})",
                fix=f"`vectrue replay resume {run}`",
            ) from error
