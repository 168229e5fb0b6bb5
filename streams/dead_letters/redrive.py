"""Sending dead letters through once more; what becomes of each is `redriven`'s.

An event goes back to its partition as it was, without the error headers; a row leaves
quarantine and goes through the replay lane. Sending one twice costs a look-up, so the
order is: send, wait for the broker, mark, follow.

Hazard: a command may be killed anywhere. Before the mark it sends again; nothing is
ever marked that was not sent. Rows are in a replay run before anything of them is sent,
and then `vectrue replay resume` goes on.
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
from schemas.rows import key_values as key_text
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.dead_letters.entries import DeadLetters
from streams.dead_letters.outcomes import Following, Result, Row, Sent
from streams.operations.lag import live_topics
from streams.replay.run import Replay

_BATCH_RECORDS = 500
_BATCH_BYTES = 8_388_608

Started = Callable[[UUID], None]
"""Told of a replay run before anything of it is sent."""


def refusal(settings: Settings, entry: Entry) -> str | None:
    """Why an entry cannot be sent again, whatever its letter says; None where it can.

    Only what this installation reads is written to: anybody who may write a letter
    could name any topic in it.
    """
    topic = entry.topic
    if entry.kind != "event":
        return None
    if topic is None:
        return "the letter does not say where it came from"
    if entry.is_bare:
        return (
            f"the event was too large for a dead letter: what it was stands at {entry.id}, as "
            "long as Kafka keeps it"
        )
    if topic in (*live_topics(settings), settings.canary_topic, settings.replay_topic):
        return None
    return (
        f"the letter names topic {topic}, which nothing reads for kafka.topic_prefix "
        f"{settings.kafka.topic_prefix}"
    )


class Redrive:
    """Sends entries again."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        targets: Sequence[Target],
        letters: DeadLetters,
        outbox: KafkaOutbox,
        offsets: Offsets,
        clock: Clock,
    ) -> None:
        """Join the parts."""
        self._settings = settings
        self._session = session
        self._targets = targets
        self._letters = letters
        self._outbox = outbox
        self._replay = Replay(settings, session, outbox, clock)
        self._following = Following(settings, session, letters, offsets, clock)

    def run(
        self, entries: Sequence[Entry], started: Started, *, again: bool = False, wait: float = 30.0
    ) -> list[Result]:
        """Send entries and follow them.

        Args:
            entries: what `DeadLetters.entries` returned.
            started: told of each run that rows go through.
            again: also those that were sent before.
            wait: seconds for which they are followed.

        Returns:
            one result per entry, in their order.

        Raises:
            TransientError: a service stayed away for `live.retry_seconds`; what was
                sent until then is marked, the rest is open, or in a run that is named.
        """
        results: dict[str, Result] = {}
        for entry in entries:
            if entry.state is EntryState.REDRIVEN and not again:
                results[entry.id] = Result(entry.id, "already redriven", entry.outcome)
        chosen = [entry for entry in entries if entry.id not in results]
        ends = self._letters.ends()
        sent = self._send_events([e for e in chosen if e.kind == "event"], results)
        rows = self._send_rows([e for e in chosen if e.kind == "row"], started, results)
        results |= self._following.follow([*sent, *rows], ends, wait)
        events = [s.entry for s in sent]
        self._mark(events, {e.id: results[e.id].outcome for e in events})
        return [results[entry.id] for entry in entries]

    def _mark(self, entries: Sequence[Entry], outcomes: Mapping[str, str | None]) -> None:
        quarantine.mark(
            self._session, self._settings.kafka.topic_prefix, entries, EntryState.REDRIVEN, outcomes
        )

    def _send_events(self, entries: Sequence[Entry], results: dict[str, Result]) -> list[Sent]:
        sent: list[Sent] = []
        batch: list[tuple[Entry, Record]] = []
        for entry, letter in self._letters.letters(entries):
            if (why := refusal(self._settings, entry)) is not None or letter.original is None:
                results[entry.id] = Result(entry.id, "not sent", why)
                continue
            batch.append((entry, letter.original))
            if (
                len(batch) >= _BATCH_RECORDS
                or sum(e.size_bytes or 0 for e, _ in batch) >= _BATCH_BYTES
            ):
                sent += self._send_batch(batch, results)
                batch = []
        sent += self._send_batch(batch, results)
        known = results.keys() | {s.entry.id for s in sent}
        for entry in entries:
            if entry.id not in known:
                results[entry.id] = Result(entry.id, "not sent", "the topic holds it no longer")
        return sent

    def _send_batch(
        self, batch: Sequence[tuple[Entry, Record]], results: dict[str, Result]
    ) -> list[Sent]:
        sent: list[Sent] = []
        answers = self._outbox.send_again([record for _, record in batch]) if batch else []
        for (entry, record), answer in zip(batch, answers, strict=True):
            if isinstance(answer, str):
                results[entry.id] = Result(entry.id, "not sent", answer)
                continue
            sent.append(Sent(entry, self._rows(record), (record.topic, record.partition, answer)))
        entries = [s.entry for s in sent]
        self._mark(entries, dict.fromkeys((e.id for e in entries), "waiting"))
        return sent

    def _rows(self, record: Record) -> tuple[Row, ...]:
        """The row that an event speaks of, in each column; none if it is not readable
        now, or about no row.
        """
        try:
            event = change.parse(record.key, record.value)
            if event is None or not event.touches_row:
                return ()
            mine = [target for target in self._targets if target.table == event.table]
            return tuple(
                (t, key_text.for_postgres(event.key([c.name for c in t.key]), t.key)) for t in mine
            )
        except PoisonEvent:
            return ()

    def _send_rows(
        self, entries: Sequence[Entry], started: Started, results: dict[str, Result]
    ) -> list[Sent]:
        known = {(str(target.table), target.column): target for target in self._targets}
        by_target: dict[Target, list[tuple[Entry, Key]]] = {}
        for entry in entries:
            target = known.get((entry.table or "", entry.column or ""))
            if target is None or entry.key is None or len(entry.key) != len(target.key):
                sentence = (
                    f"{entry.table}.{entry.column} is not among [[tables]], or has another key now"
                )
                results[entry.id] = Result(entry.id, "not sent", sentence)
            else:
                by_target.setdefault(target, []).append((entry, entry.key))
        sent: list[Sent] = []
        for target, rows in by_target.items():
            refusal = self._send_run(target, [key for _, key in rows], started)
            if refusal is None:
                sent += [Sent(entry, ((target, key),)) for entry, key in rows]
            else:
                results.update(
                    {entry.id: Result(entry.id, "not sent", refusal) for entry, _ in rows}
                )
        return sent

    def _send_run(self, target: Target, keys: Sequence[Key], started: Started) -> str | None:
        """Send rows of a column through replay, or say why not: a run holds it. They
        are in quarantine then.
        """
        try:
            run = self._replay.begin_quarantined(target, keys)
        except (ConfigurationError, PoisonEvent, Stopping, TransientError):
            raise
        except VectrueError as error:
            return str(error)
        started(run)
        self._feed(run, len(keys))
        return None

    def _feed(self, run: UUID, rows: int) -> None:
        """Send a run. Its rows are in quarantine no more, so an error has to name the
        command that goes on with it.
        """
        try:
            self._replay.feed(run)
        except TransientError as error:
            raise TransientError(
                (
                    f"{rows} rows are out of quarantine and in run {run}, which is not sent "
                    f"({error.message})"
                ),
                fix=f"`vectrue replay resume {run}`",
            ) from error
