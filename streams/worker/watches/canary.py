"""The canary: written every few seconds by a thread, and noted when it comes back.

One of several live workers writes in a period: the database decides which. The canary's
arrival is the only proof that changes arrive, so nothing here writes an arrival itself.

Hazard: a service that is away is logged once and asked again. Any other exception is a
bug and ends the process.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from connectors.ports import Clock
from connectors.postgres.health import witness
from connectors.postgres.health.canary import CanaryStore, limit_arrivals
from connectors.postgres.session import Session, limit_waits
from schemas.errors import PoisonEvent, Stopping, TransientError, VectrueError
from schemas.health import canary, metrics
from schemas.health.canary import CanaryRecord
from schemas.health.witness import Witness
from schemas.messages.record import Record
from schemas.settings.reading import Settings
from schemas.settings.sections import DeadLetterSettings
from streams.worker.dead_letter_limit import DeadLetterLimit

log = structlog.get_logger()

T = TypeVar("T")

_RETRY_SECONDS = 1.0
"""Pause after an error: short, since a beat that is not written makes the canary late.
"""

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""

Handle = Callable[[Sequence[Record]], None]
"""Handles change events; raises as `streams.worker.live.Sync.steps`."""


class CanaryWriter:
    """Writes the beats, and notes the slot's position."""

    def __init__(
        self, store: CanaryStore, look: Callable[[], Witness], clock: Clock, every_seconds: float
    ) -> None:
        """Join the parts.

        Args:
            store: takes the beats.
            look: called after each beat, for the metrics.
            clock: waits.
            every_seconds: the period.
        """
        self._store = store
        self._look = look
        self._clock = clock
        self._every = every_seconds
        self._trouble: str | None = None

    def start(self, leave: Leave) -> None:
        """Start the thread. It ends with the process, or when the clock is stopped.

        Args:
            leave: called on a bug.
        """
        threading.Thread(target=self._keep, args=(leave,), name="canary", daemon=True).start()

    def tick(self) -> float:
        """Write a beat if it is due; return the seconds until the next call."""
        try:
            wait = retry_once(lambda: self._store.beat(self._every))
            self._store.note_slot(self._every)
            note(self._look())
        # A VectrueError too, but no trouble of a service: the thread has to end.
        except Stopping:
            raise
        except VectrueError as error:
            if self._trouble is None:
                log.warning("canary could not be written; retrying", reason=str(error))
            self._trouble = str(error)
            forget()
            # Soon, since a beat that is not written makes the canary late.
            return min(_RETRY_SECONDS, self._every)
        if self._trouble is not None:
            log.info("canary is written again", reason_before=self._trouble)
            self._trouble = None
        return wait

    def _keep(self, leave: Leave) -> None:
        try:
            while True:
                self._clock.wait(self.tick())
        except Stopping:
            return
        # A thread that died in silence would leave every report red for ever.
        except Exception as bug:  # noqa: BLE001 - not swallowed: the process ends
            leave(f"a bug in the thread of the canary ({bug!r})", bug)


class CanaryArrivals:
    """Notes the beats that came back, once the changes of the same batch are handled."""

    def __init__(
        self,
        handle: Handle,
        store: CanaryStore,
        prefix: str,
        clock: Clock,
        dead_letter_limit: DeadLetterLimit | None = None,
    ) -> None:
        """Join the parts.

        Args:
            handle: the live lane's, for records that are not beats.
            store: takes the arrivals.
            prefix: of this installation.
            clock: tells the time.
            dead_letter_limit: the live lane's, which counts beats too; one of its own
                when left out.
        """
        self.topic = canary.TABLE.topic(prefix)
        self._dead_letter_limit = dead_letter_limit or DeadLetterLimit(DeadLetterSettings())
        self._handle = handle
        self._store = store
        self._prefix = prefix
        self._clock = clock

    def steps(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """Handle records as one part.

        Args:
            records: of the canary's topic.

        Yields:
            the records, when all are handled.
        """
        self.handle(records)
        yield records

    def handle(self, records: Sequence[Record]) -> None:
        """Handle records of the canary's topic.

        What cannot be read is passed on, and becomes a dead letter.

        Args:
            records: of the canary's topic.

        Raises:
            as the lane's own `handle`.
        """
        had_at = self._clock.now()
        beats, others = self._told_apart(records)
        if others:
            self._handle(others)
        # Good records of the topic. Without them every bad one would follow on the one
        # before, however long ago.
        good: list[tuple[str, None]] = [(self.topic, None)] * (len(records) - len(others))
        self._dead_letter_limit.judge(good, self._clock.monotonic())
        if not beats:
            return
        try:
            retry_once(lambda: self._store.arrived(list(beats.values()), had_at))
        # It holds no batch up: the canary is then late, which is true.
        except VectrueError as error:
            log.warning("arrival of the canary could not be noted", reason=str(error))

    def _told_apart(
        self, records: Sequence[Record]
    ) -> tuple[dict[int, CanaryRecord], list[Record]]:
        """Our beats by number, and the records that are none."""
        beats: dict[int, CanaryRecord] = {}
        others: list[Record] = []
        for record in records:
            try:
                beat = canary.parse(record)
            except PoisonEvent:
                beat = None
            if beat is None:
                others.append(record)
            elif beat.prefix == self._prefix:
                # Once each, though an event may come twice: a statement changes no row
                # a second time.
                beats[beat.beat.number] = beat
        return beats, others


def note(seen: Witness) -> None:
    """Set the metrics; what is unknown has no series.

    Args:
        seen: after the slot's position was noted.
    """
    arrived = seen.canary.arrived
    if arrived is not None:
        metrics.CANARY_SENT.labels("live").set(arrived.beat.sent_at.timestamp())
        hops = {
            "captured": arrived.captured_at,
            "queued": arrived.queued_at,
            "worker": arrived.worker_at,
            "arrived": arrived.arrived_at,
        }
        for name, moment in hops.items():
            if moment is not None:
                seconds = (moment - arrived.beat.sent_at).total_seconds()
                metrics.CANARY_HOP.labels(name).set(seconds)
    if seen.error is not None:
        # A series that is not known must not stand still at its last value.
        forget()
        return
    metrics.LOOKS_PENDING.labels("live").set(len(seen.looks))
    metrics.SLOT_STANDSTILL.labels(seen.slot.name).set(seen.slot.standstill_seconds or 0.0)
    for one in seen.rounds:
        metrics.LOOKED_AGE.labels(one.what).set(one.age_seconds)
        metrics.NEGLECTED.labels(one.what).set(int(one.is_late))


def forget() -> None:
    """Remove the metrics that are no longer known.

    The time of the last canary that came back stays true.
    """
    metrics.LOOKS_PENDING.clear()
    metrics.SLOT_STANDSTILL.clear()
    metrics.LOOKED_AGE.clear()
    metrics.NEGLECTED.clear()


def retry_once(work: Callable[[], T]) -> T:
    """Call a function; once more where the server has closed an idle connection.

    Args:
        work: uses a session.

    Raises:
        TransientError: it failed twice.
    """
    try:
        return work()
    # The session connects again at the next statement.
    except TransientError:
        return work()


def open_writer(settings: Settings, clock: Clock) -> CanaryWriter:
    """Join the real parts. Nothing is opened yet."""
    session = Session(
        settings.postgres.dsn, role="canary", prefix=settings.kafka.topic_prefix, setup=limit_waits
    )
    store = CanaryStore(session, settings.kafka.topic_prefix, settings.slot)

    def look() -> Witness:
        return witness.read(session, settings, compare=False)

    return CanaryWriter(store, look, clock, settings.canary.seconds)


def open_arrivals(
    settings: Settings, handle: Handle, clock: Clock, dead_letter_limit: DeadLetterLimit
) -> CanaryArrivals:
    """Join the real parts. Nothing is opened yet."""
    prefix = settings.kafka.topic_prefix
    session = Session(
        settings.postgres.dsn, role="canary arrivals", prefix=prefix, setup=limit_arrivals
    )
    return CanaryArrivals(
        handle, CanaryStore(session, prefix, settings.slot), prefix, clock, dead_letter_limit
    )
