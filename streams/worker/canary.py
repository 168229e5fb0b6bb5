"""The canary: written every few seconds by a thread of the live worker, and noted when
it comes back.

One of several live workers writes in a period: the database decides. Only the canary's
arrival says that changes arrive, so nothing here makes an arrival of its own.

Hazards:
- An arrival that cannot be noted holds nothing up: it is logged, and the canary is
  late, which is then true.
- A service that is away is logged once and asked again; any other exception is a bug
  and ends the process, since a thread that died in silence would make everything red,
  for ever.
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

_AGAIN_SECONDS = 1.0
"""Pause after an error: short, for a beat that is not written makes the canary late."""

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""
Handle = Callable[[Sequence[Record]], None]


class CanaryWriter:
    """Writes the beats, and notes where the slot stands."""

    def __init__(
        self, desk: CanaryStore, look: Callable[[], Witness], clock: Clock, every_seconds: float
    ) -> None:
        """Join the parts; `look` is asked after each beat, for the metrics."""
        self._desk = desk
        self._look = look
        self._clock = clock
        self._every = every_seconds
        self._trouble: str | None = None

    def start(self, leave: Leave) -> None:
        """Begin, in a thread that ends with the process or when the clock is stopped;
        `leave` is told of a bug.
        """
        threading.Thread(target=self._keep, args=(leave,), name="canary", daemon=True).start()

    def tick(self) -> float:
        """Write a beat if it is due; returns the seconds until the next look."""
        try:
            wait = again(lambda: self._desk.beat(self._every))
            self._desk.note_slot(self._every)
            note(self._look())
        except Stopping:
            raise
        except VectrueError as error:
            if self._trouble is None:
                log.warning("the canary is not written; tried again", reason=str(error))
            self._trouble = str(error)
            forget()
            return min(_AGAIN_SECONDS, self._every)
        if self._trouble is not None:
            log.info("the canary is written again", reason_before=self._trouble)
            self._trouble = None
        return wait

    def _keep(self, leave: Leave) -> None:
        try:
            while True:
                self._clock.wait(self.tick())
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - a thread that ended in silence would make everything red
            leave(f"a bug in the thread of the canary ({bug!r})", bug)


class CanaryArrivals:
    """Notes the beats that came back; the live lane calls it once the changes of the
    same batch are handled.
    """

    def __init__(
        self,
        handle: Handle,
        desk: CanaryStore,
        prefix: str,
        clock: Clock,
        dead_letter_limit: DeadLetterLimit | None = None,
    ) -> None:
        """Join the parts; `handle` is the lane's, for records that are no beats, as
        `flood` is, which counts beats.
        """
        self.topic = canary.TABLE.topic(prefix)
        self._dead_letter_limit = dead_letter_limit or DeadLetterLimit(DeadLetterSettings())
        self._handle = handle
        self._desk = desk
        self._prefix = prefix
        self._clock = clock

    def steps(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """As `handle`, in one part: yields the records when all are handled."""
        self.handle(records)
        yield records

    def handle(self, records: Sequence[Record]) -> None:
        """Handle records of the canary's topic. What cannot be read is handed on, and
        becomes a dead letter.

        Raises:
            as the lane's own `handle`.
        """
        had_at = self._clock.now()
        beats: list[CanaryRecord] = []
        others: list[Record] = []
        for record in records:
            try:
                beat = canary.parse(record)
            except PoisonEvent:
                beat = None
            if beat is None:
                others.append(record)
            elif beat.prefix == self._prefix:
                beats.append(beat)
        if others:
            self._handle(others)
        # Good records of the topic: without them any bad one would follow on the one
        # before, however long ago.
        self._dead_letter_limit.judge(
            [(self.topic, None)] * (len(records) - len(others)), self._clock.monotonic()
        )
        if not beats:
            return
        try:
            # Once each, though an event may come twice: a statement changes no row a
            # second time.
            newest = {beat.beat.number: beat for beat in beats}
            again(lambda: self._desk.arrived(list(newest.values()), had_at))
        except VectrueError as error:
            log.warning("the arrival of the canary could not be noted", reason=str(error))


def note(seen: Witness) -> None:
    """Put into the metrics what was seen after the slot's place was noted; what is
    unknown has no series.
    """
    arrived = seen.canary.arrived
    if arrived is not None:
        metrics.CANARY_SENT.labels("live").set(arrived.beat.sent_at.timestamp())
        hops = (arrived.captured_at, arrived.queued_at, arrived.worker_at, arrived.arrived_at)
        for name, moment in zip(("captured", "queued", "worker", "arrived"), hops, strict=True):
            if moment is not None:
                metrics.CANARY_HOP.labels(name).set((moment - arrived.beat.sent_at).total_seconds())
    if seen.error is not None:
        forget()
        return
    metrics.LOOKS_PENDING.labels("live").set(len(seen.looks))
    metrics.SLOT_STANDSTILL.labels(seen.slot.name).set(seen.slot.standstill_seconds or 0.0)
    for one in seen.rounds:
        metrics.LOOKED_AGE.labels(one.what).set(one.age_seconds)
        metrics.NEGLECTED.labels(one.what).set(int(one.is_late))


def forget() -> None:
    """Take back what is no longer known. When the last canary that came back was
    written stays true.
    """
    metrics.LOOKS_PENDING.clear()
    metrics.SLOT_STANDSTILL.clear()
    metrics.LOOKED_AGE.clear()
    metrics.NEGLECTED.clear()


def again(work: Callable[[], T]) -> T:
    """Do it, and once more on a fresh connection where the server has closed an idle
    one.
    """
    try:
        return work()
    except TransientError:
        return work()


def open_writer(settings: Settings, clock: Clock) -> CanaryWriter:
    """Join the real parts; nothing is opened yet."""
    session = Session(
        settings.postgres.dsn, role="canary", prefix=settings.kafka.topic_prefix, setup=limit_waits
    )
    desk = CanaryStore(session, settings.kafka.topic_prefix, settings.slot)

    def look() -> Witness:
        return witness.read(session, settings, compare=False)

    return CanaryWriter(desk, look, clock, settings.canary.seconds)


def open_arrivals(
    settings: Settings, handle: Handle, clock: Clock, dead_letter_limit: DeadLetterLimit
) -> CanaryArrivals:
    """Join the real parts; nothing is opened yet."""
    prefix = settings.kafka.topic_prefix
    session = Session(
        settings.postgres.dsn, role="canary arrivals", prefix=prefix, setup=limit_arrivals
    )
    return CanaryArrivals(
        handle, CanaryStore(session, prefix, settings.slot), prefix, clock, dead_letter_limit
    )
