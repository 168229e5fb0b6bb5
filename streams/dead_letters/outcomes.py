"""What became of entries that were sent again.

Each is followed until it is settled, or time is up.

Hazards:
- An event is `handled` only once the group has committed its offset. The commit comes
  after the event's new dead letter, if there is one.
- During a migration a table has two columns, and an entry is settled when its row is
  settled in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from connectors.kafka.offsets import Offsets
from connectors.ports import Clock
from connectors.postgres.ledger import enumeration
from connectors.postgres.rows import quarantine
from connectors.postgres.session import Session
from schemas.messages.dead_letter import Entry, row_id
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.dead_letters.entries import DeadLetters

_POLL_SECONDS = 0.25
_UNSETTLED = ("missing", "stale_text", "stale_model")
_WORST_FIRST = (*_UNSETTLED, "quarantined", "current", "blank", "gone")

Row = tuple[Target, Key]
Place = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an entry.

    `outcome` is a state of the row (`current`, `blank`, `quarantined`, `gone`), or
    `handled` (an event without a row to look at), `dead-lettered again`, `waiting` (not
    handled yet), `not sent`, `already redriven`, `would be sent`.
    """

    id: str
    outcome: str
    detail: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry that is on its way again.

    Attributes:
        entry: what was sent.
        rows: its row, once for each column that is kept true; none when not known.
        place: where an event is now; None for a row, which is looked at from the start.
    """

    entry: Entry
    rows: tuple[Row, ...]
    place: Place | None = None


class OutcomeTracker:
    """Follows what was sent until it is settled."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        dead_letters: DeadLetters,
        offsets: Offsets,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._session = session
        self._dead_letters = dead_letters
        self._offsets = offsets
        self._clock = clock

    def follow(
        self, sent: Sequence[Sent], ends: Mapping[int, int], wait: float
    ) -> dict[str, Result]:
        """Look again and again until everything is settled.

        Args:
            sent: what is followed.
            ends: where the dead-letter topic ended before it was sent.
            wait: seconds after which what is not settled is left as `waiting`;
                everything is looked at once.

        Returns:
            One result per entry, by id.

        Raises:
            TransientError: a service is away.
        """
        deadline = self._clock.monotonic() + wait
        results: dict[str, Result] = {}
        for one in sent:
            results[one.entry.id] = Result(one.entry.id, "waiting", "sent, not handled yet")
        events, rows = _by_place(sent)
        while True:
            handled, events = self._handled(events)
            rows += self._conclude(handled, ends, results)
            rows = self._look(rows, results)
            is_settled = not events and not rows
            if is_settled or self._clock.monotonic() >= deadline:
                break
            self._clock.wait(_POLL_SECONDS)
        self._explain(sent, results)
        return results

    def _handled(self, events: Sequence[Sent]) -> tuple[list[Sent], list[Sent]]:
        """Return the events that the group has committed past, and the others."""
        handled: list[Sent] = []
        waiting: list[Sent] = []
        commits = self._commits(events)
        for one in events:
            topic, partition, offset = one.place or ("", 0, 0)
            if commits.get((topic, partition), 0) > offset:
                handled.append(one)
            else:
                waiting.append(one)
        return handled, waiting

    def _commits(self, events: Sequence[Sent]) -> dict[tuple[str, int | None], int]:
        """Return the committed offsets by topic and partition."""
        asked: dict[str, set[str]] = {}
        for one in events:
            if one.place is None:
                continue
            topic, _, _ = one.place
            group = self._settings.live_group
            if topic == self._settings.replay_topic:
                group = self._settings.replay_group
            asked.setdefault(group, set()).add(topic)
        commits: dict[tuple[str, int | None], int] = {}
        if not asked:
            return commits
        topics = {group: sorted(names) for group, names in asked.items()}
        for lag in self._offsets.read(topics).values():
            for partition in lag.partitions:
                place = (partition.topic, partition.partition)
                # A group without a commit has handled nothing yet.
                commits[place] = partition.current_offset or 0
        return commits

    def _conclude(
        self, handled: Sequence[Sent], ends: Mapping[int, int], results: dict[str, Result]
    ) -> list[Sent]:
        """Settle handled events; return those whose outcome their row has to tell."""
        if not handled:
            return []
        # Read after the commit: a new dead letter comes before it.
        dead_letters = self._dead_letters.events_since(ends)
        left: list[Sent] = []
        for one in handled:
            id_ = one.entry.id
            again = None
            if one.place is not None:
                topic, partition, offset = one.place
                again = dead_letters.get(f"{topic}/{partition}/{offset}")
            if again is not None:
                detail = f"{again.id}: {again.reason}"
                results[id_] = Result(id_, "dead-lettered again", detail)
            elif one.rows:
                left.append(one)
            else:
                results[id_] = Result(id_, "handled")
        return left

    def _look(self, rows: Sequence[Sent], results: dict[str, Result]) -> list[Sent]:
        """Look at the rows as they are now; return those that are not settled."""
        keys: dict[Target, list[Key]] = {}
        for one in rows:
            for target, key in one.rows:
                keys.setdefault(target, []).append(key)
        states: dict[Target, Mapping[Key, str]] = {}
        for target, asked in keys.items():
            states[target] = quarantine.states(self._session, target, asked)
        left: list[Sent] = []
        for one in rows:
            id_ = one.entry.id
            columns = {target.column: states[target][key] for target, key in one.rows}
            results[id_] = _judge(id_, columns)
            if results[id_].outcome == "waiting":
                left.append(one)
        return left

    def _explain(self, sent: Sequence[Sent], results: dict[str, Result]) -> None:
        """Add the reasons why rows are in quarantine."""
        held: list[Sent] = []
        for one in sent:
            if results[one.entry.id].outcome == "quarantined":
                held.append(one)
        if not held:
            return
        reasons = {entry.id: entry.reason for entry in quarantine.read(self._session)}
        for one in held:
            id_ = one.entry.id
            details = [results[id_].detail]
            for target, key in one.rows:
                # An event has its key as the connector writes it, the quarantine as
                # Postgres does.
                (plain,) = enumeration.plain_keys(self._session, target, [key])
                row = row_id(str(target.table), target.column, plain)
                details.append(reasons.get(row))
            detail = "; ".join(filter(None, details))
            results[id_] = Result(id_, "quarantined", detail or None)


def _by_place(sent: Sequence[Sent]) -> tuple[list[Sent], list[Sent]]:
    """Return the events, which are in a topic now, and the rows."""
    events: list[Sent] = []
    rows: list[Sent] = []
    for one in sent:
        if one.place is None:
            rows.append(one)
        else:
            events.append(one)
    return events, rows


def _judge(id_: str, states: Mapping[str, str]) -> Result:
    """Return one outcome for the states of a row by column: the furthest from done."""
    worst = min(states.values(), key=_WORST_FIRST.index)
    alike = set(states.values()) == {worst}
    detail = worst
    if not alike:
        parts: list[str] = []
        for column, state in states.items():
            parts.append(f"{column}: {state}")
        detail = ", ".join(parts)
    if worst in _UNSETTLED:
        return Result(id_, "waiting", detail)
    return Result(id_, worst, None if alike else detail)
