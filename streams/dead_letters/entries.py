"""What could not be handled: undecodable events, and rows in quarantine.

The events are in the dead-letter topic. Kafka cannot change or delete one record in the
middle of a topic, so what was done about an event is in vectrue.dead_letters. Several
dead letters of one event (a worker that was killed between the dead letter and its
commit sends another) are one entry.

Hazard: a mark is about the dead letters that existed then. A later one with the same id
is open again: shown once too often rather than hidden.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """What a purge came to.

    Attributes:
        deleted: events deleted from the topic.
        hidden: events that are only hidden.
        rows: rows taken out of quarantine.
    """

    deleted: int
    hidden: int
    rows: int


def by_kind(entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the events and the rows among these entries."""
    events: list[Entry] = []
    rows: list[Entry] = []
    for entry in entries:
        if entry.kind == "event":
            events.append(entry)
        else:
            rows.append(entry)
    return events, rows


class DeadLetters:
    """Both kinds of what could not be handled."""

    def __init__(
        self, settings: Settings, session: Session, topic: DeadLetterTopic, clock: Clock
    ) -> None:
        self._settings = settings
        self._session = session
        self._topic = topic
        self._clock = clock

    def entries(self, selection: Selection, *, handled: bool = False) -> list[Entry]:
        """Return the selected entries, events before rows, in the order they came.

        Args:
            selection: the conditions.
            handled: also events that were sent again or purged.

        Raises:
            ConfigurationError: `vectrue init` was not run in this database.
            VectrueError: an id is given that does not exist.
        """
        if not schema.exists(self._session, "vectrue.dead_letters"):
            raise schema.unknown()
        found = self._of_kind(selection.kind)
        unknown = set(selection.ids)
        for entry in found:
            unknown.discard(entry.id)
        if unknown:
            raise VectrueError(
                f"dead letter {min(unknown)} does not exist",
                fix="see `vectrue dlq list --handled`",
            )
        now = self._clock.now()
        chosen: list[Entry] = []
        for entry in found:
            if not selection.takes(entry, now):
                continue
            if handled or entry.state is EntryState.OPEN:
                chosen.append(entry)
        return chosen

    def _of_kind(self, kind: str | None) -> list[Entry]:
        """Return all entries of a kind, or of both, events before rows."""
        rows: list[Entry] = []
        if kind != "event":
            rows = self._rows()
        if kind == "row":
            return rows
        return [*self._events().values(), *rows]

    def dead_letters(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, DeadLetter]]:
        """Yield the newest dead letter of each event, with its bytes.

        Args:
            entries: events; rows are left out.
        """
        wanted = {entry.places[-1]: entry for entry in entries if entry.places}
        if not wanted:
            return
        # One pass, from the oldest of them in each partition.
        since: dict[int, int] = {}
        for partition, offset in wanted:
            since[partition] = min(since.get(partition, offset), offset)
        for record in self._topic.read(since):
            entry = wanted.pop((record.partition, record.offset), None)
            # One at a time: together they may not fit into memory.
            if entry is not None:
                yield entry, DeadLetter.parse(record)
            if not wanted:
                return

    def events_since(self, ends: Mapping[int, int]) -> dict[str, Entry]:
        """Return the events that became dead letters since then, by id.

        Args:
            ends: offsets of the dead-letter topic, by partition.
        """
        # Without the marks, which are about earlier dead letters.
        return self._collect(self._topic.read(ends), {})

    def ends(self) -> Mapping[int, int]:
        """Return where the dead-letter topic ends now, by partition."""
        return self._topic.ends()

    def purge(self, entries: Sequence[Entry]) -> Purged:
        """Give entries up for good.

        Events are deleted from the topic as far as its oldest records are all purged;
        the others are hidden until they are the oldest, or retention deletes them. Rows
        leave quarantine and count as missing or stale.
        """
        events, rows = by_kind(entries)
        deleted = 0
        if events:
            prefix = self._settings.kafka.topic_prefix
            # Marked before the topic is shortened: `prefix` reads the marks.
            quarantine.mark(self._session, prefix, events, EntryState.PURGED, {})
            deleted = self._shorten({entry.id for entry in events})
        for entry in rows:
            if entry.table and entry.column and entry.key:
                quarantine.leave(self._session, entry.table, entry.column, [entry.key])
        return Purged(deleted, len(events) - deleted, len(rows))

    def prefix(self, ids: set[str]) -> tuple[dict[int, int], set[str]]:
        """Find how far the topic can be shortened if these events are purged.

        Returns:
            The first offset to keep, by partition, and which of the events would be
            gone with all their dead letters.
        """
        gone: list[tuple[int, int]] = []
        keep: dict[int, int] = {}
        events = self._events()
        for entry in events.values():
            is_purged = entry.id in ids or entry.state is EntryState.PURGED
            for partition, offset in entry.places:
                if is_purged:
                    gone.append((partition, offset))
                else:
                    keep[partition] = min(keep.get(partition, offset), offset)
        ends: dict[int, int] = {}
        for partition, offset in gone:
            if offset < keep.get(partition, offset + 1):
                ends[partition] = max(ends.get(partition, 0), offset + 1)
        whole: set[str] = set()
        for id_ in ids & events.keys():
            places = events[id_].places
            if all(offset < ends.get(partition, 0) for partition, offset in places):
                whole.add(id_)
        return ends, whole

    def _shorten(self, ids: set[str]) -> int:
        ends, whole = self.prefix(ids)
        # Kafka deletes records from the beginning of a partition only.
        if ends:
            self._topic.delete_before(ends)
        prefix = self._settings.kafka.topic_prefix
        # Events that are gone need no mark.
        quarantine.forget(self._session, prefix, list(self._events()))
        return len(whole)

    def _rows(self) -> list[Entry]:
        mine = {table.name for table in self._settings.tables}
        rows: list[Entry] = []
        for entry in quarantine.read(self._session):
            if entry.table in mine:
                rows.append(entry)
        return rows

    def _events(self) -> dict[str, Entry]:
        return self._collect(self._topic.read(), quarantine.marks(self._session))

    def _collect(self, records: Iterator[Record], marks: Mapping[str, Mark]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for record in records:
            entry = self._entry(DeadLetter.parse(record))
            before = found.get(entry.id)
            # A worker that was killed before its commit has sent it again.
            if before is not None:
                entry = replace(
                    entry,
                    attempts=before.attempts + 1,
                    first_at=before.first_at,
                    places=(*before.places, *entry.places),
                )
            found[entry.id] = entry
        for id_, (state, seen_at, outcome) in marks.items():
            marked = found.get(id_)
            # A dead letter that came after the mark is open again.
            if marked is not None and (marked.last_at or NO_TIME) <= seen_at:
                found[id_] = replace(marked, state=state, outcome=outcome)
        return found

    def _entry(self, dead_letter: DeadLetter) -> Entry:
        record = dead_letter.letter
        at = change.appended_at(record)
        original = dead_letter.original
        return Entry(
            id=dead_letter.id,
            kind="event",
            table=self._table(dead_letter),
            column=None,
            key=None,
            reason=dead_letter.reason,
            error=dead_letter.error,
            stage=dead_letter.stage,
            attempts=1,
            first_at=at,
            last_at=at,
            size_bytes=len(record.key or b"") + len(record.value or b""),
            places=((record.partition, record.offset),),
            topic=original.topic if original else None,
            is_bare=dead_letter.is_bare,
        )

    def _table(self, dead_letter: DeadLetter) -> str | None:
        """Return the table of an event: that of a chunk, or of the topic's name."""
        original = dead_letter.original
        if original is None:
            return None
        prefix = self._settings.kafka.topic_prefix
        if original.topic in (self._settings.replay_topic, self._settings.deferred_topic):
            try:
                return str(read_message(original.value).table)
            except PoisonEvent:
                # Often this is why it became a dead letter.
                return None
        for table in self._settings.tables:
            if table.table.topic(prefix) == original.topic:
                return table.name
        return original.topic.removeprefix(f"{prefix}.")
