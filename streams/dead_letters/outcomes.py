"""What becomes of entries that were sent again: each is followed until it is settled,
or time is up.

Hazards:
- `handled` is only said of an event whose offset the group has committed. The commit
  comes after the event's new dead letter, if there is one, so looking there afterwards
  tells the whole truth.
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
        """By name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry that is on its way again.

    Attributes:
        entry: what was sent.
        rows: its row, once for each column that is kept true; none where it cannot be
            told.
        place: where an event is now; None for a row, which is looked at from the start.
    """

    entry: Entry
    rows: tuple[Row, ...]
    place: Place | None = None


class Following:
    """Follows what was sent."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        letters: DeadLetters,
        offsets: Offsets,
        clock: Clock,
    ) -> None:
        """Join the parts."""
        self._settings = settings
        self._session = session
        self._letters = letters
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
            one result per entry, by id.

        Raises:
            TransientError: a service is away.
        """
        deadline = self._clock.monotonic() + wait
        results = {s.entry.id: Result(s.entry.id, "waiting", "sent, not handled yet") for s in sent}
        events = [s for s in sent if s.place is not None]
        rows = [s for s in sent if s.place is None]
        while True:
            handled = self._handled(events)
            rows += self._conclude([s for s in events if s.place in handled], ends, results)
            events = [s for s in events if s.place not in handled]
            rows = self._look(rows, results)
            if not (events or rows) or self._clock.monotonic() >= deadline:
                break
            self._clock.wait(_POLL_SECONDS)
        self._explain([s for s in sent if results[s.entry.id].outcome == "quarantined"], results)
        return results

    def _handled(self, events: Sequence[Sent]) -> set[Place]:
        """Places that the group has committed past."""
        places = [s.place for s in events if s.place is not None]
        asked: dict[str, set[str]] = {}
        for topic, _, _ in places:
            replay = topic == self._settings.replay_topic
            asked.setdefault(
                self._settings.replay_group if replay else self._settings.live_group, set()
            ).add(topic)
        groups = (
            self._offsets.read({group: sorted(topics) for group, topics in asked.items()})
            if asked
            else {}
        )
        commits = {
            (p.topic, p.partition): p.current_offset or 0
            for g in groups.values()
            for p in g.partitions
        }
        return {place for place in places if commits.get(place[:2], 0) > place[2]}

    def _conclude(
        self, handled: Sequence[Sent], ends: Mapping[int, int], results: dict[str, Result]
    ) -> list[Sent]:
        """Tell what became of handled events; those are returned whose row has to tell."""
        if not handled:
            return []
        letters = self._letters.events_since(ends)
        left = []
        for s in handled:
            letter = letters.get("/".join(map(str, s.place or ())))
            if letter is not None:
                results[s.entry.id] = Result(
                    s.entry.id, "dead-lettered again", f"{letter.id}: {letter.reason}"
                )
            elif s.rows:
                left.append(s)
            else:
                results[s.entry.id] = Result(s.entry.id, "handled")
        return left

    def _look(self, rows: Sequence[Sent], results: dict[str, Result]) -> list[Sent]:
        """Tell how rows are now; those are returned that are not settled."""
        keys: dict[Target, list[Key]] = {}
        for target, key in (row for s in rows for row in s.rows):
            keys.setdefault(target, []).append(key)
        states = {
            target: quarantine.states(self._session, target, asked)
            for target, asked in keys.items()
        }
        for s in rows:
            results[s.entry.id] = _judge(
                s.entry.id, {target.column: states[target][key] for target, key in s.rows}
            )
        return [s for s in rows if results[s.entry.id].outcome == "waiting"]

    def _explain(self, held: Sequence[Sent], results: dict[str, Result]) -> None:
        """Say why rows are in quarantine."""
        reasons = (
            {entry.id: entry.reason for entry in quarantine.read(self._session)} if held else {}
        )
        for s in held:
            # An event has its key as the connector writes it, the quarantine as
            # Postgres does.
            own = (
                row_id(
                    str(target.table),
                    target.column,
                    enumeration.plain_keys(self._session, target, [key])[0],
                )
                for target, key in s.rows
            )
            told = [results[s.entry.id].detail, *(reasons.get(id_) for id_ in own)]
            results[s.entry.id] = Result(
                s.entry.id, "quarantined", "; ".join(part for part in told if part) or None
            )


def _judge(id_: str, states: Mapping[str, str]) -> Result:
    """One outcome for the states of a row by column: the one that is furthest from
    done.
    """
    worst = min(states.values(), key=_WORST_FIRST.index)
    alike = set(states.values()) == {worst}
    detail = worst if alike else ", ".join(f"{column}: {state}" for column, state in states.items())
    if worst in _UNSETTLED:
        return Result(id_, "waiting", detail)
    return Result(id_, worst, None if alike else detail)
