"""What could not be handled, of both kinds: undecodable events (the dead-letter topic)
and rows in quarantine.

Kafka cannot change or take away one record in the middle of a topic, so what was done
about an event stands in vectrue.dead_letters. Several letters of one event (a worker
that was killed between the letter and its commit sends another) are one entry.

Hazard: a mark is about the letters there were then. A later letter with the same id is
open again: shown once too often rather than hidden.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.kafka.dead_letters import DeadLetterTopic
from connectors.ports import Clock
from connectors.postgres.rows import quarantine
from connectors.postgres.rows.quarantine import NO_TIME, Mark
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.errors import PoisonEvent, VectrueError
from schemas.messages import change
from schemas.messages.chunk import read_message
from schemas.messages.dead_letter import DeadLetter, Entry, EntryState, Selection
from schemas.messages.record import Record
from schemas.settings.reading import Settings


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge came to: events deleted from the topic, events only hidden, rows
    taken out of quarantine.
    """

    deleted: int
    hidden: int
    rows: int


class DeadLetters:
    """Both kinds of what could not be handled."""

    def __init__(
        self, settings: Settings, session: Session, topic: DeadLetterTopic, clock: Clock
    ) -> None:
        """Join the parts."""
        self._settings = settings
        self._session = session
        self._topic = topic
        self._clock = clock

    def entries(self, selection: Selection, *, handled: bool = False) -> list[Entry]:
        """The entries that are meant, events before rows, in the order in which they
        came.

        Args:
            selection: the conditions.
            handled: also events that were sent again or purged.

        Raises:
            ConfigurationError: `vectrue init` was not run in this database.
            VectrueError: an id is given that is not there.
        """
        if not schema.exists(self._session, "vectrue.dead_letters"):
            raise schema.unknown()
        mine = {table.name for table in self._settings.tables}
        rows = (
            []
            if selection.kind == "event"
            else [e for e in quarantine.read(self._session) if e.table in mine]
        )
        found = [*([] if selection.kind == "row" else self._events().values()), *rows]
        if unknown := set(selection.ids) - {entry.id for entry in found}:
            raise VectrueError(
                f"there is no dead letter {min(unknown)}", fix="see `vectrue dlq list --handled`"
            )
        now = self._clock.now()
        return [
            e for e in found if selection.takes(e, now) and (handled or e.state is EntryState.OPEN)
        ]

    def letters(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, DeadLetter]]:
        """The newest letter of each event, with its bytes, one at a time: together they
        may not fit into memory.
        """
        wanted = {entry.places[-1]: entry for entry in entries if entry.places}
        if not wanted:
            return
        since = {number: min(o for n, o in wanted if n == number) for number, _ in wanted}
        for record in self._topic.read(since):
            if (entry := wanted.pop((record.partition, record.offset), None)) is not None:
                yield entry, DeadLetter.parse(record)
            if not wanted:
                return

    def events_since(self, ends: Mapping[int, int]) -> dict[str, Entry]:
        """Events that became dead letters at or after these offsets of the dead-letter
        topic, by id.
        """
        return self._collect(self._topic.read(ends), {})

    def ends(self) -> Mapping[int, int]:
        """Where the dead-letter topic ends now."""
        return self._topic.ends()

    def purge(self, entries: Sequence[Entry]) -> Purged:
        """Give entries up for good.

        Events are deleted from the topic as far as its oldest records are all purged;
        the others are hidden until they are the oldest, or retention takes them. Rows
        leave quarantine and count as missing or stale.
        """
        events = [entry for entry in entries if entry.kind == "event"]
        deleted = 0
        if events:
            quarantine.mark(
                self._session, self._settings.kafka.topic_prefix, events, EntryState.PURGED, {}
            )
            deleted = self._shorten({entry.id for entry in events})
        rows = [entry for entry in entries if entry.kind == "row"]
        for entry in rows:
            if entry.table and entry.column and entry.key:
                quarantine.leave(self._session, entry.table, entry.column, [entry.key])
        return Purged(deleted, len(events) - deleted, len(rows))

    def prefix(self, ids: set[str]) -> tuple[dict[int, int], set[str]]:
        """How far the topic can be shortened if these events go.

        Returns:
            first offset to keep by partition, and which of the events would be gone
            with all their letters.
        """
        gone: dict[tuple[int, int], str] = {}
        keep: dict[int, int] = {}
        events = self._events()
        for entry in events.values():
            for number, offset in entry.places:
                if entry.id in ids or entry.state is EntryState.PURGED:
                    gone[number, offset] = entry.id
                else:
                    keep[number] = min(keep.get(number, offset), offset)
        ends: dict[int, int] = {}
        for number, offset in gone:
            if offset < keep.get(number, offset + 1):
                ends[number] = max(ends.get(number, 0), offset + 1)
        whole = {
            i for i in ids if i in events and all(o < ends.get(n, 0) for n, o in events[i].places)
        }
        return ends, whole

    def _shorten(self, ids: set[str]) -> int:
        ends, whole = self.prefix(ids)
        if ends:
            self._topic.delete_before(ends)
        quarantine.forget(self._session, self._settings.kafka.topic_prefix, list(self._events()))
        return len(whole)

    def _events(self) -> dict[str, Entry]:
        return self._collect(self._topic.read(), quarantine.marks(self._session))

    def _collect(self, records: Iterator[Record], marks: Mapping[str, Mark]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for record in records:
            entry = self._entry(DeadLetter.parse(record))
            before = found.get(entry.id)
            if before is not None:
                places = (*before.places, *entry.places)
                entry = replace(
                    entry, attempts=before.attempts + 1, first_at=before.first_at, places=places
                )
            found[entry.id] = entry
        for id_, (state, seen_at, outcome) in marks.items():
            entry_or_none = found.get(id_)
            if entry_or_none is not None and (entry_or_none.last_at or NO_TIME) <= seen_at:
                found[id_] = replace(entry_or_none, state=state, outcome=outcome)
        return found

    def _entry(self, letter: DeadLetter) -> Entry:
        record = letter.letter
        at = change.appended_at(record)
        size = len(record.key or b"") + len(record.value or b"")
        place = (record.partition, record.offset)
        told = (letter.reason, letter.error, letter.stage)
        topic = letter.original.topic if letter.original else None
        return Entry(
            letter.id,
            "event",
            self._table(letter),
            None,
            None,
            *told,
            1,
            at,
            at,
            size,
            places=(place,),
            topic=topic,
            is_bare=letter.is_bare,
        )

    def _table(self, letter: DeadLetter) -> str | None:
        """Table of an event: that of a chunk, or the one its topic is named after."""
        if letter.original is None:
            return None
        topic, prefix = letter.original.topic, self._settings.kafka.topic_prefix
        if topic in (self._settings.replay_topic, self._settings.deferred_topic):
            try:
                return str(read_message(letter.original.value).table)
            except PoisonEvent:
                return None
        for table in self._settings.tables:
            if table.table.topic(prefix) == topic:
                return table.name
        return topic.removeprefix(f"{prefix}.")
