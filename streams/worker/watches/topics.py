"""Watches the topics and the group of a worker: before it consumes, and then every few
seconds in a thread.

What it finds (`schemas.health.surprises`) it logs, and has the tables looked at whose
events may have been missed; of the replay topic, the chunks are sent again. Offsets
that mean nothing are set to the start of the log, which Kafka allows only while no
member consumes it: so a worker that finds its topic made again leaves, and does that at
its next start.

Hazards:
- The order is a rule: figures, then notes; ask for the looks, then set the offsets,
  then note. Whatever is cut short is found again.
- No topic is made here: it would be one with the broker's defaults, made by a role that
  need not have that right. A missing one is named until `vectrue init` has made it;
  Connect keeps its events meanwhile.
- Kafka or Postgres away is no surprise.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from connectors.ports import Clock
from schemas.errors import EXIT_RESTART, ConfigurationError, Stopping, TransientError, VectrueError
from schemas.health import surprises
from schemas.health.lag import GroupLag, PartitionLag
from schemas.health.surprises import Noted, Place, Surprise
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.worker.watches.positions import HandledPositions

log = structlog.get_logger()

CHECK_SECONDS = 5.0
"""Between two looks: five requests and a query, and a topic made again is noticed well
within a minute.
"""
_QUIET_SECONDS = 30.0
"""Between two lines about a service that is away."""
_PAUSE_SECONDS = 0.5
_START_SECONDS = 60.0
"""Beyond the session time-out: how long a start waits for the members of before to
leave the group.
"""

Leave = Callable[[int, str], None]


class GroupOffsets(Protocol):
    """The part of `connectors.kafka.offsets.KafkaOffsets` that is needed here."""

    def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str | None]:
        """Ids of topics; None for one that is missing."""
        ...

    def read(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, GroupLag]:
        """Where groups stand."""
        ...

    def set_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Commit offsets for a group without members."""
        ...


class TopicNoteStore(Protocol):
    """The part of `connectors.postgres.health.topic_notes.TopicNotes` that is needed
    here.
    """

    def noted(self, topics: Sequence[str]) -> Mapping[str, Noted]:
        """What is remembered."""
        ...

    def remember(self, topic: str, topic_id: str, handled: Mapping[int, int | None]) -> None:
        """Enter what a topic is now."""
        ...


Respond = Callable[[Surprise], str]
"""Sees to it that what may have been missed is made good; returns what it did, in
words. May raise VectrueError.
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything at one time."""

    ids: Mapping[str, str | None]
    group: GroupLag
    noted: Mapping[str, Noted]

    def rows(self, topic: str) -> list[PartitionLag]:
        return [
            row for row in self.group.partitions if row.topic == topic and row.partition is not None
        ]

    @property
    def there(self) -> list[str]:
        return [topic for topic, topic_id in self.ids.items() if topic_id is not None]

    def surprises(self) -> list[Surprise]:
        found: list[Surprise] = []
        for topic in self.there:
            found += surprises.of_topic(
                topic, self.ids[topic] or "", self.rows(topic), self.noted.get(topic)
            )
        return found


class TopicWatch:
    """Of one worker. `begin` and `tick` are called by one thread at a time."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts, joined in one place
        self,
        settings: Settings,
        role: Literal["live", "replay"],
        topics: Sequence[str],
        broker: GroupOffsets,
        notes: TopicNoteStore,
        positions: HandledPositions,
        respond: Respond,
        lock: Callable[[], "Callable[[], None] | None"],
        clock: Clock,
    ) -> None:
        """Join the parts.

        Args:
            settings: the group, time-outs.
            role: of the worker.
            topics: what it consumes.
            broker: tells where topics and group stand.
            notes: what is remembered of them.
            positions: how far this worker is.
            respond: makes good what may have been missed.
            lock: takes the lock that lets one worker of the group begin at a time, and
                returns what gives it back; None while another one holds it.
            clock: tells the time.
        """
        self._settings = settings
        self._group = settings.live_group if role == "live" else settings.replay_group
        self._topics = topics
        self._broker = broker
        self._notes = notes
        self._positions = positions
        self._respond = respond
        self._lock = lock
        self._clock = clock
        self._ids: dict[str, str] = {}
        self._missing: set[str] = set()
        self._unheld: dict[Place, float] = {}
        self._complained = float("-inf")

    def begin(self) -> None:
        """See what happened while this worker was not there. Nothing may be consumed
        before.

        Raises:
            TransientError: Kafka or Postgres does not answer, or members of the group
                do not leave a topic of before.
            ConfigurationError: a right is missing, or `vectrue init` was not run.
        """
        limit = self._settings.kafka.session_timeout_seconds + _START_SECONDS
        deadline = self._clock.monotonic() + limit
        told = ""
        while (waits_for := self._begin()) is not None:
            if self._clock.monotonic() > deadline:
                raise TransientError(
                    f"{waits_for}, for {limit:g} s", fix="stop the other workers, then start them"
                )
            if waits_for != told:
                told = waits_for
                log.info("the worker waits before it consumes", reason=waits_for)
            self._clock.wait(_PAUSE_SECONDS)

    def start(self, leave: Leave, client_id: str) -> None:
        """Watch from now on, in a thread that ends with the process or when the clock
        is stopped.
        """
        threading.Thread(
            target=self._watch, args=(leave, client_id), name="topics", daemon=True
        ).start()

    def tick(self, client_id: str) -> str | None:
        """Look once.

        Args:
            client_id: how the broker knows this worker.

        Returns:
            why the worker has to be started again; None while it may go on.

        Raises:
            VectrueError: something could not be read; the next call looks again.
        """
        seen = self._look()
        self._tell_missing(seen)
        other = [
            topic
            for topic in seen.there
            if surprises.is_another(seen.ids[topic] or "", self._ids.get(topic, ""))
        ]
        found = seen.surprises()
        for surprise in found:
            self._make_good(surprise)
        leaving = [surprise.what for surprise in found if surprise.forget]
        leaving += [f"topic {topic} was deleted and made again" for topic in other]
        if leaving:
            return f"{leaving[0]}: its offsets mean nothing any more"
        self._judge_gaps(seen, {surprise.topic for surprise in found})
        for topic in seen.there:
            self._remember(seen, topic)
        self._positions.begin(self._ids, self._reached(seen))
        return self._unheld_for_long(seen, client_id)

    def _begin(self) -> str | None:
        """Begin; or what has to be waited for."""
        unlock = self._lock()
        if unlock is None:
            return f"another worker of group {self._group} begins"
        try:
            seen = self._look()
            found = seen.surprises()
            for surprise in found:
                self._make_good(surprise)
            forgotten = {surprise.topic for surprise in found if surprise.forget}
            held = [
                row
                for topic in forgotten
                for row in seen.rows(topic)
                if row.current_offset is not None
            ]
            if held:
                if seen.group.members or seen.group.error:
                    return (
                        f"group {self._group} still has members that read {held[0].topic} as it "
                        "was before"
                    )
                starts = {
                    (row.topic, row.partition or 0): row.log_start_offset or 0 for row in held
                }
                self._broker.set_offsets(self._group, starts)
            for topic in seen.there:
                self._remember(seen, topic, forgotten=topic in forgotten)
                self._ids[topic] = seen.ids[topic] or ""
            self._positions.begin(self._ids, self._reached(self._look()))
        finally:
            unlock()
        return None

    def _look(self) -> _Seen:
        ids = self._broker.topic_ids(self._topics)
        group = self._broker.read({self._group: self._topics})[self._group]
        if self._broker.topic_ids(self._topics) != ids:
            raise TransientError("a topic changed while it was looked at")
        return _Seen(ids, group, self._notes.noted(self._topics))

    def _make_good(self, surprise: Surprise) -> None:
        done = self._respond(surprise)
        log.warning(
            "events may have been missed", topic=surprise.topic, reason=surprise.what, done=done
        )

    def _remember(self, seen: _Seen, topic: str, *, forgotten: bool = False) -> None:
        rows = [row for row in seen.rows(topic) if row.error is None and row.partition is not None]
        reached = {
            row.partition: row.log_start_offset if forgotten else surprises.handled(row)
            for row in rows
            if row.partition is not None
        }
        before = seen.noted.get(topic)
        topic_id = seen.ids[topic] or ""
        if before is None or before.topic_id != topic_id or _is_new(before.handled, reached):
            self._notes.remember(topic, topic_id, reached)

    def _reached(self, seen: _Seen) -> dict[Place, int]:
        """Up to where each partition was handled or had expired, by whomever."""
        found: dict[Place, int] = {}
        for row in seen.group.partitions:
            if row.partition is not None and (offset := surprises.handled(row)) is not None:
                noted = seen.noted.get(row.topic)
                found[row.topic, row.partition] = max(
                    offset, noted.handled.get(row.partition, 0) if noted else 0
                )
        return found

    def _judge_gaps(self, seen: _Seen, told: Collection[str]) -> None:
        """Events that expired and were passed since the last look; of the topics in
        `told` it is known by now.
        """
        starts = {
            (row.topic, row.partition or 0): row.log_start_offset for row in seen.group.partitions
        }
        for gap in self._positions.gaps():
            surprise = surprises.of_gap(gap, starts.get(gap.place))
            if surprise is not None and surprise.topic not in told:
                self._make_good(surprise)

    def _tell_missing(self, seen: _Seen) -> None:
        missing = {topic for topic, topic_id in seen.ids.items() if topic_id is None}
        for topic in sorted(missing - self._missing):
            log.critical(
                "a topic does not exist any more: vectrue init makes it again", topic=topic
            )
        for topic in sorted(self._missing - missing):
            log.info("the topic exists again", topic=topic)
        self._missing = missing

    def _unheld_for_long(self, seen: _Seen, client_id: str) -> str | None:
        """Partitions with events that no member of a settled group holds, although this
        worker could.

        A spare worker, which holds none by right, is not to blame while another one
        holds some.
        """
        now, group = self._clock.monotonic(), seen.group
        readers = {row.member.client_id for row in group.partitions if row.member is not None}
        unheld = [row for row in group.partitions if row.member is None and row.waiting]
        if group.state != "stable" or (readers and client_id not in readers):
            unheld = []
        places = {(row.topic, row.partition or 0): row for row in unheld}
        self._unheld = {place: self._unheld.get(place, now) for place in places}
        for place, since in self._unheld.items():
            if now - since > self._settings.watchdog.idle_seconds:
                return (
                    f"no worker of the group has held {places[place].name} for "
                    f"{now - since:.0f} s, and events wait"
                )
        return None

    def _watch(self, leave: Leave, client_id: str) -> None:
        try:
            while True:
                self._clock.wait(CHECK_SECONDS)
                try:
                    reason = self.tick(client_id)
                except ConfigurationError as error:  # a right was taken away
                    leave(error.exit_code, str(error))
                    return
                except Stopping:
                    raise
                except VectrueError as error:
                    self._complain(error)
                    continue
                if reason is not None:
                    leave(EXIT_RESTART, reason)
                    return
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - not swallowed: nobody would watch any more, so the process ends
            leave(EXIT_RESTART, f"a bug in the watch of the topics ({bug!r})")

    def _complain(self, error: VectrueError) -> None:
        now = self._clock.monotonic()
        if now - self._complained >= _QUIET_SECONDS:
            self._complained = now
            log.warning("the topics cannot be looked at", reason=str(error))


def tables_of(settings: Settings, topic: str) -> Collection[TableName]:
    """The tables whose changes, or deferred rows, travel through a topic; none for a
    topic without rows.
    """
    tables = [table.table for table in settings.tables]
    if topic == settings.deferred_topic:
        return tables
    return [table for table in tables if table.topic(settings.kafka.topic_prefix) == topic]


def _is_new(before: Mapping[int, int], reached: Mapping[int, int | None]) -> bool:
    known = {partition: offset for partition, offset in reached.items() if offset is not None}
    return any(
        partition not in before or offset > before[partition] for partition, offset in known.items()
    )
