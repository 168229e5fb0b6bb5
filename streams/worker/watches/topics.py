"""Watches the topics and the group of a worker.

It looks before the worker consumes, and then every few seconds in a thread. What it
finds (`schemas.health.anomalies`) is logged, and the tables are looked at whose events
may have been missed. Of the replay topic, the chunks are sent again. Offsets that mean
nothing any more are set to the start of the log.

Hazards:
- The order is a rule: read the broker, then the notes; ask for the looks, then set the
  offsets, then note.
- No topic is created here. A missing one is reported until `vectrue init` has created
  it; Connect keeps its events meanwhile.
- Kafka or Postgres that is away is not an anomaly.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import structlog

from connectors.ports import Clock
from schemas.errors import EXIT_RESTART, ConfigurationError, Stopping, TransientError, VectrueError
from schemas.health import anomalies
from schemas.health.anomalies import Anomaly, Place
from schemas.health.lag import GroupLag, PartitionLag
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.worker.watches.positions import HandledPositions
from streams.worker.watches.topic_state import GroupOffsets, TopicNoteStore, TopicState

log = structlog.get_logger()

CHECK_SECONDS = 5.0
"""Between two looks. A look takes five requests and a query; a topic made again is
noticed well within a minute.
"""
_QUIET_SECONDS = 30.0
"""Between two log lines about a service that is away."""
_PAUSE_SECONDS = 0.5
_START_SECONDS = 60.0
"""How long, beyond the session timeout, a start waits for earlier members to leave the
group.
"""

Leave = Callable[[int, str], None]


Respond = Callable[[Anomaly], str]
"""Repairs what may have been missed; returns what it did, in words. May raise
VectrueError.
"""

Lock = Callable[[], "Callable[[], None] | None"]
"""Takes the lock that lets one worker of a group begin at a time. Returns what gives it
back; None while another worker holds it.
"""


class TopicWatch:
    """The watch of one worker. `begin` and `tick` are called by one thread at a time."""

    def __init__(  # noqa: PLR0913 - the parts, joined in one place
        self,
        settings: Settings,
        role: Literal["live", "replay"],
        topics: Sequence[str],
        *,
        broker: GroupOffsets,
        notes: TopicNoteStore,
        positions: HandledPositions,
        respond: Respond,
        lock: Lock,
        clock: Clock,
    ) -> None:
        """Join the parts.

        Args:
            settings: the group and the timeouts.
            role: of the worker.
            topics: what it consumes.
            broker: the topics and the group.
            notes: what is remembered of them.
            positions: how far this worker has come.
            respond: repairs what may have been missed.
            lock: lets one worker of the group begin at a time.
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
        self._unheld_since: dict[Place, float] = {}
        self._complained_at = float("-inf")

    def begin(self) -> None:
        """Look at what happened while this worker did not run.

        Nothing may be consumed before.

        Raises:
            TransientError: Kafka or Postgres does not answer, or members of the group
                go on reading a topic that was deleted and made again.
            ConfigurationError: a permission is missing, or `vectrue init` was not run.
        """
        limit = self._settings.kafka.session_timeout_seconds + _START_SECONDS
        deadline = self._clock.monotonic() + limit
        logged = ""
        while True:
            waits_for = self._begin()
            if waits_for is None:
                return
            if self._clock.monotonic() > deadline:
                raise TransientError(
                    f"{waits_for}, for {limit:g} s", fix="stop the other workers, then start them"
                )
            if waits_for != logged:
                logged = waits_for
                log.info("worker waits before it consumes", reason=waits_for)
            self._clock.wait(_PAUSE_SECONDS)

    def start(self, leave: Leave, client_id: str) -> None:
        """Watch in a thread, which ends with the process or when the clock is stopped.

        Args:
            leave: ends the process with an exit code and a reason.
            client_id: how the broker knows this worker.
        """
        threading.Thread(
            target=self._watch, args=(leave, client_id), name="topics", daemon=True
        ).start()

    def tick(self, client_id: str) -> str | None:
        """Look once.

        Args:
            client_id: how the broker knows this worker.

        Returns:
            why the worker has to restart; None while it may go on.

        Raises:
            VectrueError: something could not be read; the next call looks again.
        """
        seen = self._look()
        self._report_missing(seen)
        found = seen.anomalies()
        for anomaly in found:
            self._repair(anomaly)
        cause = self._cause_to_leave(seen, found)
        # Kafka lets offsets be set only while no member consumes: at the next start.
        if cause is not None:
            return f"{cause}: its offsets mean nothing any more"
        self._judge_gaps(seen, {anomaly.topic for anomaly in found})
        for topic in seen.existing:
            self._remember(seen, topic)
        self._positions.begin(self._ids, self._reached(seen))
        return self._unheld_for_long(seen, client_id)

    def _cause_to_leave(self, seen: TopicState, found: Sequence[Anomaly]) -> str | None:
        for anomaly in found:
            if anomaly.forget:
                return anomaly.what
        for topic, topic_id in seen.existing.items():
            if anomalies.is_another(topic_id, self._ids.get(topic, "")):
                return f"topic {topic} was deleted and made again"
        return None

    def _begin(self) -> str | None:
        """Begin; or return what has to be waited for."""
        unlock = self._lock()
        if unlock is None:
            return f"another worker of group {self._group} is starting"
        try:
            seen = self._look()
            found = seen.anomalies()
            # Looks first, then offsets, then notes: what is cut short is found again.
            for anomaly in found:
                self._repair(anomaly)
            forgotten = {anomaly.topic for anomaly in found if anomaly.forget}
            starts = self._starts(seen, forgotten)
            if starts:
                # Kafka lets offsets be set only while no member consumes.
                if seen.group.members or seen.group.error:
                    topic, _ = next(iter(starts))
                    return (
                        f"group {self._group} still has members that read {topic} as it was before"
                    )
                self._broker.set_offsets(self._group, starts)
            for topic, topic_id in seen.existing.items():
                self._remember(seen, topic, forgotten=topic in forgotten)
                self._ids[topic] = topic_id
            self._positions.begin(self._ids, self._reached(self._look()))
        finally:
            unlock()
        return None

    @staticmethod
    def _starts(seen: TopicState, topics: Collection[str]) -> dict[Place, int]:
        """Return where the logs of these topics start, for partitions with a commit."""
        starts: dict[Place, int] = {}
        for topic in topics:
            for row in seen.rows(topic):
                if row.current_offset is not None:
                    starts[row.topic, row.partition or 0] = row.log_start_offset or 0
        return starts

    def _look(self) -> TopicState:
        ids = self._broker.topic_ids(self._topics)
        group = self._broker.read({self._group: self._topics})[self._group]
        # The offsets may be those of the topic before or after a change.
        if self._broker.topic_ids(self._topics) != ids:
            raise TransientError("a topic changed while it was looked at")
        # After the broker: an older note would make its commit look like a stranger's.
        return TopicState(ids, group, self._notes.noted(self._topics))

    def _repair(self, anomaly: Anomaly) -> None:
        done = self._respond(anomaly)
        log.warning(
            "events may have been missed", topic=anomaly.topic, reason=anomaly.what, done=done
        )

    def _remember(self, seen: TopicState, topic: str, *, forgotten: bool = False) -> None:
        reached: dict[int, int | None] = {}
        for row in seen.rows(topic):
            if row.error is None and row.partition is not None:
                handled = row.log_start_offset if forgotten else anomalies.handled(row)
                reached[row.partition] = handled
        before = seen.noted.get(topic)
        topic_id = seen.ids[topic] or ""
        if before is None or before.topic_id != topic_id or _is_new(before.handled, reached):
            self._notes.remember(topic, topic_id, reached)

    def _reached(self, seen: TopicState) -> dict[Place, int]:
        """Return up to where each partition was handled or had expired, by any worker."""
        found: dict[Place, int] = {}
        for row in seen.group.partitions:
            offset = None if row.partition is None else anomalies.handled(row)
            if row.partition is None or offset is None:
                continue
            noted = seen.noted.get(row.topic)
            if noted is not None:
                # A commit may go back; what was handled once stays handled.
                offset = max(offset, noted.handled.get(row.partition, 0))
            found[row.topic, row.partition] = max(offset, 0)
        return found

    def _judge_gaps(self, seen: TopicState, known: Collection[str]) -> None:
        """Repair what expired before it was read, since the last look.

        Args:
            seen: what was seen now.
            known: topics that are repaired already.
        """
        starts: dict[Place, int | None] = {}
        for row in seen.group.partitions:
            starts[row.topic, row.partition or 0] = row.log_start_offset
        for gap in self._positions.gaps():
            anomaly = anomalies.of_gap(gap, starts.get(gap.place))
            if anomaly is not None and anomaly.topic not in known:
                self._repair(anomaly)

    def _report_missing(self, seen: TopicState) -> None:
        missing = seen.ids.keys() - seen.existing.keys()
        for topic in sorted(missing - self._missing):
            # Made here it would have the broker's defaults, and need a right that the
            # role may lack.
            log.critical("topic no longer exists: run `vectrue init`", topic=topic)
        for topic in sorted(self._missing - missing):
            log.info("topic exists again", topic=topic)
        self._missing = missing

    def _unheld_for_long(self, seen: TopicState, client_id: str) -> str | None:
        """Return why to restart over partitions that no member of the group holds.

        They have events, the group is settled, and this worker could hold them.
        """
        now = self._clock.monotonic()
        places: dict[Place, PartitionLag] = {}
        if self._could_hold(seen.group, client_id):
            for row in seen.group.partitions:
                if row.member is None and row.waiting:
                    places[row.topic, row.partition or 0] = row
        self._unheld_since = {place: self._unheld_since.get(place, now) for place in places}
        for place, since in self._unheld_since.items():
            if now - since > self._settings.watchdog.idle_seconds:
                return (
                    f"no worker of the group has held {places[place].name} for "
                    f"{now - since:.0f} s, and events wait"
                )
        return None

    @staticmethod
    def _could_hold(group: GroupLag, client_id: str) -> bool:
        """Whether this worker should hold any partition that no other worker holds.

        A spare worker, which rightly holds none, should not while another one holds
        some.
        """
        if group.state != "stable":
            return False
        readers = {row.member.client_id for row in group.partitions if row.member is not None}
        return not readers or client_id in readers

    def _watch(self, leave: Leave, client_id: str) -> None:
        try:
            while True:
                # `begin` has just looked.
                self._clock.wait(CHECK_SECONDS)
                try:
                    reason = self.tick(client_id)
                except ConfigurationError as error:
                    # A permission was taken away.
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
        except Exception as bug:  # noqa: BLE001 - not swallowed: the process ends
            # Without this thread nothing would watch the topics.
            leave(EXIT_RESTART, f"a bug in the watch of the topics ({bug!r})")

    def _complain(self, error: VectrueError) -> None:
        now = self._clock.monotonic()
        if now - self._complained_at >= _QUIET_SECONDS:
            self._complained_at = now
            log.warning("topics could not be looked at", reason=str(error))


def tables_of(settings: Settings, topic: str) -> Sequence[TableName]:
    """Return the tables whose changes, or deferred rows, travel through a topic.

    Args:
        settings: the tables.
        topic: one of the worker's.
    """
    tables = [table.table for table in settings.tables]
    if topic == settings.deferred_topic:
        return tables
    prefix = settings.kafka.topic_prefix
    return [table for table in tables if table.topic(prefix) == topic]


def _is_new(before: Mapping[int, int], reached: Mapping[int, int | None]) -> bool:
    for partition, offset in reached.items():
        if offset is None:
            continue
        if partition not in before or offset > before[partition]:
            return True
    return False
