"""How far everything is behind, read from outside.

It covers the groups of both lanes, the witness, the slot and the connector.
`vectrue lag`, `status`, health and metrics use it. It asks no worker.

Hazards:
- A service that does not answer is part of the report (`kafka_error` and others), so that
  the rest is still shown. Only settings that can never work are raised.
- A time lag needs one read for each waiting partition, for PROBE_SECONDS in all. What is
  not answered by then is unknown, not 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, Self

from connectors.clock import SystemClock
from connectors.debezium.answers import ConnectorStatus
from connectors.debezium.client import KafkaConnect
from connectors.kafka.offsets import KafkaOffsets, Offsets
from connectors.kafka.probe import Place
from connectors.ports import Clock
from connectors.postgres.health import witness
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent, TransientError, VectrueError
from schemas.health.lag import ConnectorState, GroupLag, PartitionLag
from schemas.health.lag_findings import DEFAULT_THRESHOLDS, LagThresholds
from schemas.health.lag_report import LagReport
from schemas.health.lag_status import LIVE_FLOOR, REPLAY_FLOOR, Ring, Sample, classify
from schemas.health.witness import Transit, Witness
from schemas.messages import change
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from streams.common.background_call import BackgroundCall
from streams.common.too_large import Explainer
from streams.operations.witness import transit

PROBE_SECONDS = 3.0
OTHERS_SECONDS = 5.0
"""Timeout of Postgres and of Kafka Connect each, once Kafka has been read."""


class ConnectClient(Protocol):
    """The part of `connectors.debezium.client.KafkaConnect` that is used here."""

    def status(self, name: str) -> ConnectorStatus | None:
        """Return the state of a connector and its tasks; None if it does not exist."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class LagMonitor:
    """Reads reports over the same connections, and judges each by those before it."""

    def __init__(
        self,
        settings: Settings,
        *,
        thresholds: LagThresholds = DEFAULT_THRESHOLDS,
        clock: Clock | None = None,
        offsets: Offsets | None = None,
        connect: ConnectClient | None = None,
        read_witness: Callable[[], Witness] | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: where to look.
            thresholds: time lags that are a warning or a problem.
            clock: the system's if left out.
            offsets: Kafka's if left out.
            connect: Kafka Connect's if left out.
            read_witness: reads Postgres if left out.
        """
        self._settings = settings
        self._thresholds = thresholds
        self._clock = clock or SystemClock()
        self._offsets = offsets or KafkaOffsets(settings, self._clock)
        self._connect = connect or KafkaConnect(settings.connect.url, self._clock)
        self._session = Session(
            settings.postgres.dsn, role="lag", prefix=settings.kafka.topic_prefix
        )
        self._explainer = Explainer(settings)
        self._source = BackgroundCall(
            read_witness or (lambda: witness.read(self._session, settings))
        )
        self._capture = BackgroundCall(self._connector)
        self._rings: dict[tuple[str, Place], Ring] = {}
        self._canary: PartitionLag | None = None
        """The canary's partition as the live group sees it; None if Kafka did not answer.
        """

    def __enter__(self) -> Self:
        """The monitor."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def sample(self) -> LagReport:
        """Read everything once.

        Raises:
            ConfigurationError: Kafka refuses the connection, or a setting can never
                work.
        """
        # Both run while Kafka is read.
        self._source.start()
        self._capture.start()
        live, replay, kafka_error = self._lanes()
        silent = f"did not answer within {OTHERS_SECONDS:g} s: check"
        return LagReport(
            time=self._clock.now(),
            live=live,
            replay=replay,
            witness=self._witness(live.members, f"Postgres {silent} postgres.dsn and the server"),
            connector=self._capture.answer(OTHERS_SECONDS)
            or ConnectorState(
                self._settings.connector,
                error=f"Kafka Connect {silent} connect.url and Kafka Connect",
            ),
            thresholds=self._thresholds,
            kafka_error=kafka_error,
        )

    def close(self) -> None:
        """Close the connections."""
        self._offsets.close()
        # Not if a thread still waits in one; it ends with the process.
        if not self._source.is_open:
            self._session.close()
        if not self._capture.is_open:
            self._connect.close()

    def _lanes(self) -> tuple[GroupLag, GroupLag, str | None]:
        live, replay = self._settings.live_group, self._settings.replay_group
        canary = self._settings.canary_topic
        asked = {
            live: [*live_topics(self._settings), canary],
            replay: [self._settings.replay_topic],
        }
        self._canary = None
        try:
            found = dict(self._offsets.read(asked))
            changes: list[PartitionLag] = []
            # The canary is reported separately: a beat on its way is not a change behind.
            for row in found[live].partitions:
                if row.topic != canary:
                    changes.append(row)
                elif self._canary is None:
                    self._canary = row
            found[live] = replace(found[live], partitions=tuple(changes))
            groups = self._timed(found)
        # Part of the report, so that the rest is still shown.
        except TransientError as error:
            return GroupLag(live), GroupLag(replay), str(error)
        return (
            self._judged(groups[live], LIVE_FLOOR),
            self._judged(groups[replay], REPLAY_FLOOR),
            None,
        )

    def _timed(self, groups: Mapping[str, GroupLag]) -> dict[str, GroupLag]:
        """Return the groups with their time lags."""
        # A partition belongs to one group only, so one probe serves both groups.
        places: dict[Place, int] = {}
        for group in groups.values():
            for row in group.partitions:
                if row.partition is not None and row.waiting and row.next_offset is not None:
                    places[row.topic, row.partition] = row.next_offset
        records = self._offsets.records_at(places, timeout=PROBE_SECONDS)
        now = self._clock.now()
        chunk_topics = (self._settings.replay_topic, self._settings.deferred_topic)
        timed: dict[str, GroupLag] = {}
        for name, group in groups.items():
            rows = [aged(row, records, now, chunk_topics) for row in group.partitions]
            timed[name] = replace(group, partitions=tuple(rows))
        return timed

    def _judged(self, group: GroupLag, floor: int) -> GroupLag:
        at = self._clock.monotonic()
        rows = []
        for row in group.partitions:
            sample = Sample(at, row, group.members)
            # A topic that could not be read has no partition.
            place = (group.group_name, (row.topic, -1 if row.partition is None else row.partition))
            ring = self._rings[place] = self._rings.get(place, Ring()).add(sample)
            status = classify(sample, ring, floor=floor, warn_seconds=self._thresholds.warn)
            rows.append(replace(row, status=status))
        return replace(group, partitions=tuple(rows))

    def _witness(self, members: int | None, silence: str) -> Witness:
        """Return what the database said, and where a canary is that did not come back."""
        seen = self._source.answer(OTHERS_SECONDS) or witness.unknown(self._settings, silence)
        if seen.canary.is_fresh or seen.canary.error is not None or self._canary is None:
            return seen
        try:
            came = transit(self._offsets, members, self._canary, seen.canary.now)
        except TransientError as error:
            came = Transit(members, error=str(error))
        return replace(seen, canary=replace(seen.canary, transit=came))

    def _connector(self) -> ConnectorState:
        name = self._settings.connector
        try:
            status = self._connect.status(name)
        except VectrueError as error:
            return ConnectorState(name, error=str(error))
        if status is None:
            return ConnectorState(name, state="missing")
        failure = None if status.error is None else self._explainer.explain(status.error)
        return ConnectorState(name, status.state, status.tasks, failure)


def collect(settings: Settings, *, thresholds: LagThresholds = DEFAULT_THRESHOLDS) -> LagReport:
    """Read one report.

    A single sample of a partition can only be ERROR, NO_COMMIT, LOST, STOP or OK.

    Raises:
        ConfigurationError: Kafka refuses the connection, or a setting can never work.
    """
    with LagMonitor(settings, thresholds=thresholds) as monitor:
        return monitor.sample()


def live_topics(settings: Settings) -> list[str]:
    """Return the topics of the live lane: each table's, and that of the deferred rows."""
    topics: list[str] = []
    for table in settings.tables:
        topic = table.table.topic(settings.kafka.topic_prefix)
        # A table with two configured columns has one topic.
        if topic not in topics:
            topics.append(topic)
    return [*topics, settings.deferred_topic]


def aged(
    row: PartitionLag,
    records: Mapping[Place, Record | None],
    now: datetime,
    chunk_topics: Sequence[str] = (),
) -> PartitionLag:
    """Add the time lag: 0 if nothing waits, unknown if the record could not be read.

    Args:
        row: a partition.
        records: the next record of each waiting partition, as far as it was read.
        now: the time.
        chunk_topics: topics whose records are not changes of rows.
    """
    if row.partition is None or row.waiting is None:
        return row
    if row.waiting == 0:
        return row if row.current_offset is None else replace(row, time_lag_seconds=0.0)
    place = (row.topic, row.partition)
    # Not read in time: unknown, not 0.
    if place not in records:
        return row
    record = records[place]
    # Only transaction markers or holes are left: no event waits.
    if record is None:
        return replace(row, time_lag_seconds=0.0)
    began = change.appended_at(record) if row.topic in chunk_topics else _commit_time(record)
    if began is None:
        return row
    # Never negative: the clocks of this machine and the server may differ.
    return replace(row, time_lag_seconds=max(0.0, (now - began).total_seconds()))


def _commit_time(record: Record) -> datetime | None:
    """Return when the change was committed, or else when Kafka got it."""
    try:
        event = change.parse(record.key, record.value)
    except PoisonEvent:
        event = None
    # A tombstone and a record that cannot be decoded do not say.
    if event is not None and event.committed_at is not None:
        return event.committed_at
    return change.appended_at(record)
