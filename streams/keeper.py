"""The keeper: what heals without anyone noticing, in a thread of each replay worker, one of them at a time.

Duties, each a module of its own: what is configured against what is there (`differences`), the log that the offset
belongs to (`log_watch`), a connector that failed (`restarts`), rows that stay stale (`reconcile`).

Hazards:
- Everything here is its own: the session (whose lock makes it the keeper), the client of Connect, the producer. The
  lane's are used by another thread. The model is never touched, so an idle replay worker stays small.
- A service that is away is logged and asked again; any other exception is a bug and ends the process, since a thread
  that died in silence would heal nothing, for ever.
- They take turns: while a whole table is enumerated, the connector is not looked at.
"""

import threading
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from connectors.debezium import Connect
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres import slot
from connectors.postgres.keeper import KeeperDesk
from connectors.postgres.session import Session, limit_locks
from schemas import metrics
from schemas.errors import EmbedsyncError, Stopping
from schemas.replay import Request
from schemas.settings import Settings
from schemas.target import Target
from streams import targets as target_rules
from streams.differences import Differences, looking
from streams.log_watch import LogWatch
from streams.reconcile import Reconcile
from streams.replay import Replay
from streams.restarts import Restarts

log = structlog.get_logger()

_AFTER_ERROR_SECONDS = 30.0
"""Pause of a duty that could not be done, so that a service that is away fills no log."""

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""


class Duty:
    """One of the keeper's duties, with its pause after an error."""

    def __init__(self, name: str, tick: Callable[[], None], clock: Clock) -> None:
        """Remember what to do; `name` says it in a log line."""
        self._name = name
        self._tick = tick
        self._clock = clock
        self._not_before = float("-inf")

    def tick(self) -> None:
        """Do it, unless it failed a moment ago; what a service refuses is logged.

        Raises:
            Stopping: the process was asked to stop.
        """
        if self._clock.monotonic() < self._not_before:
            return
        try:
            self._tick()
        except Stopping:
            raise
        except EmbedsyncError as error:
            self._not_before = self._clock.monotonic() + _AFTER_ERROR_SECONDS
            log.warning("the keeper tries again later", duty=self._name, reason=str(error))


class Keeper:
    """Does its duties in turn, while this process is the keeper of the database."""

    def __init__(
        self,
        desk: KeeperDesk,
        reconcile: Reconcile,
        restarts: Restarts,
        clock: Clock,
        pause: float,
        log_watch: LogWatch | None = None,
        differences: Differences | None = None,
    ) -> None:
        """Join the parts; `pause` is in seconds, between two rounds."""
        self._desk = desk
        self._reconcile = reconcile
        self._restarts = restarts
        self._clock = clock
        self._pause = pause
        self._in_office = False
        self._watches = [watch for watch in (differences, log_watch) if watch is not None]
        compare = () if differences is None else (Duty("differences", self._if_mine(differences.tick), clock),)
        watching = () if log_watch is None else (Duty("log", self._if_mine(log_watch.tick), clock),)
        self._duties = (
            *compare,
            *watching,
            Duty("connector", self._if_mine(restarts.tick), clock),
            Duty("reconcile", self._if_mine(reconcile.tick), clock),
        )

    def start(self, leave: Leave) -> None:
        """Begin, in a thread that ends with the process or when the clock is stopped; `leave` is told of a bug."""
        threading.Thread(target=self._keep, args=(leave,), name="keeper", daemon=True).start()

    def tick(self) -> None:
        """One round of all duties.

        Raises:
            Stopping: the process was asked to stop.
        """
        for duty in self._duties:
            duty.tick()

    def _keep(self, leave: Leave) -> None:
        try:
            while True:
                self.tick()
                self._clock.wait(self._pause)
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - a thread that ended in silence would be a zombie
            leave(f"a bug in the keeper ({bug!r})", bug)

    def _if_mine(self, duty: Callable[[], None]) -> Callable[[], None]:
        def round_of() -> None:
            mine = self._desk.is_mine()
            if mine != self._in_office:
                self._in_office = mine
                self._reconcile.forget()
                self._restarts.forget()
                for watch in self._watches:
                    watch.forget()
                log.info("this worker is the keeper" if mine else "another worker is the keeper")
            if mine:
                duty()

        return round_of


def open_keeper(settings: Settings, clock: Clock) -> Keeper:
    """Join the real parts; nothing is opened yet.

    Raises:
        ConfigurationError: connect.url is no URL.
    """
    session = Session(settings.postgres.dsn, role="keeper", setup=limit_locks)
    desk = KeeperDesk(session, settings.kafka.topic_prefix)

    def send(targets: Sequence[Target]) -> UUID | None:
        replay = Replay(settings, session, KafkaOutbox(settings, targets), clock)
        table = targets[0].table
        before = desk.under_way(table)
        run = replay.start(Request("stale", requested_by="keeper"), [str(table)])
        if run is not None and (before is None or before.run != run):
            metrics.RECONCILED.labels(str(table)).inc(desk.expected(run))
        return run

    def targets() -> Sequence[Target]:
        return target_rules.resolve(settings, session)

    def reader() -> int | None:
        return slot.reader(session, settings.slot)

    reconcile = Reconcile(settings.keeper, desk, targets, send, reader, clock)
    connect = Connect(settings.connect.url, clock)
    restarts = Restarts(settings.keeper, connect, settings.connector, clock)
    watch = LogWatch(settings, session, connect)
    differences = Differences(looking(settings, session, connect), clock)
    return Keeper(desk, reconcile, restarts, clock, settings.keeper.poll_seconds, watch, differences)
