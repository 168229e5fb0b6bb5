"""Sending dead letters through once more, and following what becomes of each.

An event goes back to its partition as it was, without the error headers; a row leaves quarantine and goes through the
replay lane. Sending one twice costs a look-up, so the order is: send, wait for the broker, mark, follow. A command
killed between the first two sends again; nothing is ever marked that was not sent. Rows are in a replay run before
anything of them is sent, and a command killed there is finished by `embedsync replay resume`.

Hazard: `handled` is only said of an event whose offset the group has committed. The commit comes after the event's new
dead letter, if there is one, so looking there afterwards tells the whole truth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from connectors.kafka.offsets import Offsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres import quarantine
from connectors.postgres.session import Session
from schemas import change
from schemas.dead_letter import Entry, State
from schemas.errors import Action, EmbedsyncError, PoisonEvent, TransientError
from schemas.record import Record
from schemas.settings import Settings
from schemas.table import Key
from schemas.target import Target
from streams.dead_letters import DeadLetters
from streams.replay import Replay

_BATCH_RECORDS = 500
_BATCH_BYTES = 8_388_608
_POLL_SECONDS = 0.25
_UNSETTLED = ("missing", "stale_text", "stale_model")


Started = Callable[[UUID], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an entry.

    `outcome` is a state of the row (`current`, `blank`, `quarantined`, `gone`), or `handled` (an event without a row to
    look at), `dead-lettered again`, `waiting` (not handled yet), `not sent`, `already redriven`, `would be sent`.
    """

    id: str
    outcome: str
    detail: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """By name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Sent:
    """An event that is on its way again, its new offset, and the row it speaks of, where it can be told."""

    entry: Entry
    place: tuple[str, int, int]
    target: Target | None = None
    key: Key | None = None


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
        self._offsets = offsets
        self._clock = clock

    def run(
        self, entries: Sequence[Entry], started: Started, *, again: bool = False, wait: float = 30.0
    ) -> list[Result]:
        """Send entries and follow them.

        Args:
            entries: what `DeadLetters.entries` returned.
            started: told of the run that rows go through, before anything of it is sent.
            again: also those that were sent before.
            wait: seconds for which they are followed.

        Returns:
            one result per entry, in their order.

        Raises:
            TransientError: a service stayed away for `live.retry_seconds`; what was sent until then is marked, the rest
                is open, or in a run that is named.
        """
        results: dict[str, Result] = {}
        for entry in entries:
            if entry.state is State.REDRIVEN and not again:
                results[entry.id] = Result(entry.id, "already redriven", entry.outcome)
        chosen = [entry for entry in entries if entry.id not in results]
        ends = self._letters.ends()
        sent = self._send_events([e for e in chosen if e.kind == "event"], results)
        rows = self._send_rows([e for e in chosen if e.kind == "row"], started, results)
        deadline = self._clock.monotonic() + wait
        self._follow_events(sent, ends, deadline, results)
        self._follow_rows(rows, deadline, results)
        return [results[entry.id] for entry in entries]

    def _send_events(self, entries: Sequence[Entry], results: dict[str, Result]) -> list[_Sent]:
        sent: list[_Sent] = []
        batch: list[tuple[Entry, Record]] = []
        for entry, letter in self._letters.letters(entries):
            if letter.original is None:
                results[entry.id] = Result(entry.id, "not sent", "the letter does not say where it came from")
                continue
            batch.append((entry, letter.original))
            if len(batch) >= _BATCH_RECORDS or sum(e.size_bytes or 0 for e, _ in batch) >= _BATCH_BYTES:
                sent += self._send_batch(batch, results)
                batch = []
        sent += self._send_batch(batch, results)
        for entry in entries:
            if entry.id not in results and all(entry is not s.entry for s in sent):
                results[entry.id] = Result(entry.id, "not sent", "the topic holds it no longer")
        return sent

    def _send_batch(self, batch: Sequence[tuple[Entry, Record]], results: dict[str, Result]) -> list[_Sent]:
        sent: list[_Sent] = []
        answers = self._outbox.send_again([record for _, record in batch]) if batch else []
        for (entry, record), answer in zip(batch, answers, strict=True):
            if isinstance(answer, str):
                results[entry.id] = Result(entry.id, "not sent", answer)
                continue
            target, key = self._row(record)
            sent.append(_Sent(entry, (record.topic, record.partition, answer), target, key))
            results[entry.id] = Result(entry.id, "waiting", "sent, not handled yet")
        entries = [s.entry for s in sent]
        quarantine.mark(self._session, entries, State.REDRIVEN, dict.fromkeys((e.id for e in entries), "waiting"))
        return sent

    def _row(self, record: Record) -> tuple[Target, Key] | tuple[None, None]:
        """The row that an event speaks of, if it is readable now; one that still is not becomes a dead letter again."""
        try:
            event = change.parse(record.key, record.value)
            for target in self._targets:
                if event is not None and event.touches_row and target.table == event.table:
                    return target, event.key([column.name for column in target.key])
        except PoisonEvent:
            pass
        return None, None

    def _send_rows(
        self, entries: Sequence[Entry], started: Started, results: dict[str, Result]
    ) -> list[tuple[Entry, Target, Key]]:
        known = {(str(target.table), target.column): target for target in self._targets}
        by_target: dict[Target, list[tuple[Entry, Key]]] = {}
        for entry in entries:
            target = known.get((entry.table or "", entry.column or ""))
            if target is None or entry.key is None or len(entry.key) != len(target.key):
                sentence = f"{entry.table}.{entry.column} is not among [[tables]], or has another key now"
                results[entry.id] = Result(entry.id, "not sent", sentence)
            else:
                by_target.setdefault(target, []).append((entry, entry.key))
        sent: list[tuple[Entry, Target, Key]] = []
        for target, rows in by_target.items():
            refusal = self._send_run(target, [key for _, key in rows], started)
            if refusal is None:
                sent += [(entry, target, key) for entry, key in rows]
            else:
                results.update({entry.id: Result(entry.id, "not sent", refusal) for entry, _ in rows})
        return sent

    def _send_run(self, target: Target, keys: Sequence[Key], started: Started) -> str | None:
        """Send rows of a column through replay, or say why not: a run holds it. They are in quarantine then."""
        try:
            run = self._replay.begin_quarantined(target, keys)
        except EmbedsyncError as error:
            if error.action is not Action.REPORT:
                raise
            return str(error)
        started(run)
        self._feed(run, len(keys))
        return None

    def _feed(self, run: UUID, rows: int) -> None:
        """Send a run. Its rows are in quarantine no more, so an error has to name the command that goes on with it."""
        try:
            self._replay.feed(run)
        except TransientError as error:
            raise TransientError(
                f"{rows} rows are out of quarantine and in run {run}, which is not sent ({error.message})",
                fix=f"`embedsync replay resume {run}`",
            ) from error

    def _follow_events(
        self, sent: Sequence[_Sent], ends: Mapping[int, int], deadline: float, results: dict[str, Result]
    ) -> None:
        waiting = list(sent)
        while waiting:
            handled = self._handled(waiting)
            self._conclude([s for s in waiting if s.place in handled], ends, deadline, results)
            waiting = [s for s in waiting if s.place not in handled]
            if not waiting or self._clock.monotonic() >= deadline:
                break
            self._clock.wait(_POLL_SECONDS)
        done = [s.entry for s in sent]
        quarantine.mark(self._session, done, State.REDRIVEN, {e.id: results[e.id].outcome for e in done})

    def _handled(self, sent: Sequence[_Sent]) -> set[tuple[str, int, int]]:
        """Places that the group has committed past."""
        asked: dict[str, set[str]] = {}
        for topic, _, _ in (s.place for s in sent):
            replay = topic == self._settings.replay_topic
            asked.setdefault(self._settings.replay_group if replay else self._settings.live_group, set()).add(topic)
        groups = self._offsets.read({group: sorted(topics) for group, topics in asked.items()})
        commits = {(p.topic, p.partition): p.current_offset or 0 for g in groups.values() for p in g.partitions}
        return {s.place for s in sent if commits.get(s.place[:2], 0) > s.place[2]}

    def _conclude(
        self, handled: Sequence[_Sent], ends: Mapping[int, int], deadline: float, results: dict[str, Result]
    ) -> None:
        if not handled:
            return
        letters = self._letters.events_since(ends)
        rows: list[tuple[Entry, Target, Key]] = []
        for s in handled:
            letter = letters.get("{}/{}/{}".format(*s.place))
            if letter is not None:
                results[s.entry.id] = Result(s.entry.id, "dead-lettered again", f"{letter.id}: {letter.reason}")
            elif s.target is not None and s.key is not None:
                rows.append((s.entry, s.target, s.key))
            else:
                results[s.entry.id] = Result(s.entry.id, "handled")
        self._follow_rows(rows, deadline, results)

    def _follow_rows(
        self, rows: Sequence[tuple[Entry, Target, Key]], deadline: float, results: dict[str, Result]
    ) -> None:
        waiting = list(rows)
        while waiting:
            states = self._states(waiting)
            left = []
            for entry, target, key in waiting:
                state = states[target, key]
                settled = state not in _UNSETTLED
                results[entry.id] = Result(entry.id, state) if settled else Result(entry.id, "waiting", state)
                left += [] if settled else [(entry, target, key)]
            waiting = left
            if not waiting or self._clock.monotonic() >= deadline:
                break
            self._clock.wait(_POLL_SECONDS)
        self._explain(results)

    def _states(self, rows: Sequence[tuple[Entry, Target, Key]]) -> dict[tuple[Target, Key], str]:
        keys: dict[Target, list[Key]] = {}
        for _, target, key in rows:
            keys.setdefault(target, []).append(key)
        return {
            (target, key): state
            for target, asked in keys.items()
            for key, state in quarantine.states(self._session, target, asked).items()
        }

    def _explain(self, results: dict[str, Result]) -> None:
        """Say why a row is in quarantine again."""
        if any(r.outcome == "quarantined" and r.detail is None for r in results.values()):
            for entry in quarantine.read(self._session):
                if entry.id in results and results[entry.id].outcome == "quarantined":
                    results[entry.id] = Result(entry.id, "quarantined", entry.reason)
