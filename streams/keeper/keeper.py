"""The keeper: what heals without anyone noticing.

It runs in a thread of each worker, in one of them at a time. Its duties, each a module
of its own: what is configured against what exists (`differences`), the log that the
connector's offset belongs to (`log_watch`), a connector that failed (`restarts`),
tables whose storage or publication changed (`table_marks`), tables whose changes may
have been missed (`looks`), rows that stay stale (`reconcile`). A live worker's keeper
does all but the last, and yields to a replay worker's: it does them only while no
replay worker is a member of its group.

Hazards:
- Everything here is the thread's own: the session (whose lock makes it the keeper), the
  clients of Connect and Kafka, the producer. The lane's are used by another thread. The
  model is never used, so an idle replay worker stays small.
- A service that is away is logged and asked again. Any other exception is a bug and
  ends the process, since a thread that died in silence would never heal anything again.
- The duties take turns: while a whole table is enumerated, the connector is not looked
  at.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

import structlog

from connectors.debezium.client import KafkaConnect
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.ports import Clock
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.health.table_marks import TableMarkStore
from connectors.postgres.ledger import looks
from connectors.postgres.ledger.looks import LookStore
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session, limit_locks
from connectors.postgres.setup import slot
from schemas.errors import Stopping, VectrueError
from schemas.health import metrics
from schemas.reports.replay import Request
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.common.too_large import Explainer
from streams.keeper.differences import Differences, looking
from streams.keeper.log_watch import LogWatch
from streams.keeper.looks import Looks
from streams.keeper.reconcile import Reconcile
from streams.keeper.restarts import Restarts
from streams.keeper.stale_rows import StaleRowSender
from streams.keeper.table_marks import Marks
from streams.replay.run import Replay

log = structlog.get_logger()

_AFTER_ERROR_SECONDS = 30.0
"""Pause of a duty that failed, so that a service that is away does not fill the log."""

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""


class Duty:
    """One of the keeper's duties, with its pause after an error."""

    def __init__(self, name: str, tick: Callable[[], None], clock: Clock) -> None:
        """Take what to do.

        Args:
            name: for the log.
            tick: does it.
            clock: tells the time.
        """
        self._name = name
        self._tick = tick
        self._clock = clock
        self._not_before = float("-inf")

    def tick(self) -> bool:
        """Do it, unless it failed a moment ago. A VectrueError is logged.

        Returns:
            whether it was done.

        Raises:
            Stopping: the process was asked to stop.
        """
        if self._clock.monotonic() < self._not_before:
            return False
        try:
            self._tick()
        except Stopping:
            raise
        except VectrueError as error:
            self._not_before = self._clock.monotonic() + _AFTER_ERROR_SECONDS
            log.warning("keeper duty failed; retrying later", duty=self._name, reason=str(error))
            return False
        return True


class Task(Protocol):
    """What a keeper does in each round."""

    def tick(self) -> None:
        """Do what is due. May raise VectrueError."""
        ...

    def forget(self) -> None:
        """Forget what was seen: another worker is, or was, the keeper."""
        ...


class Keeper:
    """Does its duties in turn, while this process is the keeper of the database."""

    def __init__(
        self,
        store: KeeperStore,
        tasks: Mapping[str, Task],
        clock: Clock,
        pause: float,
        better: Callable[[], bool] = lambda: False,
    ) -> None:
        """Join the parts.

        Args:
            store: decides who is the keeper.
            tasks: the duties by name, in their order.
            clock: tells the time.
            pause: seconds between two rounds.
            better: whether a worker exists that should be the keeper instead of this
                one. May raise TransientError.
        """
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._pause = pause
        self._better = better
        self._has_begun = False
        self._yields = True
        self._is_keeper = False
        self._duties = [Duty("election", self._look_around, clock)]
        for name, task in tasks.items():
            self._duties.append(Duty(name, self._if_mine(task.tick), clock))
        self._note = Duty("note", lambda: store.note_round(pause), clock)

    def start(self, leave: Leave) -> None:
        """Start the thread. It ends with the process, or when the clock is stopped.

        Args:
            leave: called on a bug.
        """
        threading.Thread(target=self._keep, args=(leave,), name="keeper", daemon=True).start()

    def tick(self) -> None:
        """Do one round of all duties.

        Raises:
            Stopping: the process was asked to stop.
        """
        done = [duty.tick() for duty in self._duties]
        # A round in which a duty failed does not count as one.
        if self._is_keeper and all(done):
            self._note.tick()

    def _keep(self, leave: Leave) -> None:
        try:
            while True:
                self.tick()
                self._clock.wait(self._pause)
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - not swallowed: the process ends
            leave(f"a bug in the keeper ({bug!r})", bug)

    def _look_around(self) -> None:
        """Decide whether this worker may be the keeper.

        Where that cannot be read, it stays as it was.
        """
        if not self._has_begun:
            self._store.begin()
            self._has_begun = True
        # The lock is given back, so that the other worker gets it at once.
        self._yields = self._better()
        if self._yields:
            self._store.give_up()

    def _if_mine(self, duty: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            # Asked before each duty: another one may have taken long.
            is_mine = not self._yields and self._store.is_mine()
            if is_mine != self._is_keeper:
                self._is_keeper = is_mine
                # What was seen is out of date: another worker acted meanwhile, or will.
                for task in self._tasks.values():
                    task.forget()
                log.info("this worker is the keeper" if is_mine else "another worker is the keeper")
            if is_mine:
                duty()

        return run


class _Duties:
    """What the duties of a worker's keeper share, in one session."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        prefix = settings.kafka.topic_prefix
        self.session = Session(
            settings.postgres.dsn, role="keeper", prefix=prefix, setup=limit_locks
        )
        self.store = KeeperStore(self.session, prefix)
        self._settings = settings
        self._clock = clock
        self._offsets = KafkaOffsets(settings, clock)

    def outbox(self, targets: Sequence[Target]) -> KafkaOutbox:
        return KafkaOutbox(self._settings, targets)

    def send(self, targets: Sequence[Target]) -> UUID | None:
        replay = Replay(self._settings, self.session, self.outbox(targets), self._clock)
        table = targets[0].table
        before = self.store.under_way(table)
        self.store.is_busy(f"sending rows of {table}")
        run = replay.start(Request("stale", requested_by="keeper"), [str(table)])
        # A run that is continued was counted when it began.
        if run is not None and (before is None or before.run != run):
            metrics.RECONCILED.labels(str(table)).inc(self.store.expected(run))
        return run

    def targets(self) -> Sequence[Target]:
        return target_rules.standing(self._settings, self.session)

    def reader(self) -> int | None:
        return slot.reader(self.session, self._settings.slot)

    def replay_works(self) -> bool:
        return bool(self._offsets.client_ids(self._settings.replay_group))

    def rewritten(self) -> Collection[TableName]:
        return [found.table for found in migration.read(self.session) if found.offline]

    def ask(self, table: TableName, reason: str) -> None:
        looks.ask(self.session, self._settings.kafka.topic_prefix, [table], reason)


def open_keeper(settings: Settings, clock: Clock, role: Literal["live", "replay"]) -> Keeper:
    """Join the real parts of a worker's keeper. Nothing is opened yet.

    Args:
        settings: everything.
        clock: waits.
        role: of the worker.

    Raises:
        ConfigurationError: connect.url is not a valid URL.
    """
    parts = _Duties(settings, clock)
    pause = settings.keeper.poll_seconds
    if role == "live":
        tasks = _tasks(settings, parts, clock, parts.replay_works)
        # It yields to the keeper of a replay worker, which has one duty more.
        return Keeper(parts.store, tasks, clock, pause, parts.replay_works)
    tasks = _tasks(settings, parts, clock, lambda: True)
    # Last: it may enumerate a whole table, and the duties take turns.
    tasks["reconcile"] = Reconcile(
        settings.keeper, parts.store, parts.targets, parts.send, parts.reader, clock
    )
    return Keeper(parts.store, tasks, clock, pause)


def _tasks(
    settings: Settings, parts: _Duties, clock: Clock, replay_works: Callable[[], bool]
) -> dict[str, Task]:
    prefix, session = settings.kafka.topic_prefix, parts.session
    tables = [table.table for table in settings.tables]
    connect = KafkaConnect(settings.connect.url, clock)
    explain = Explainer(settings).explain
    sender = StaleRowSender(parts.send, parts.outbox, replay_works, clock.now)
    asked = LookStore(session, prefix)
    marks = TableMarkStore(session, prefix, settings.postgres.publication)
    still = settings.keeper.stale_seconds
    return {
        "differences": Differences(looking(settings, session, connect), clock),
        "log": LogWatch(settings, session, connect),
        "connector": Restarts(settings.keeper, connect, settings.connector, clock, explain),
        "marks": Marks(marks, tables, parts.rewritten, parts.ask),
        "looks": Looks(parts.store, asked, parts.targets, sender, clock, still),
    }
