"""The keeper: what heals without anyone noticing, in a thread of each worker, one of
them at a time.

Its duties, each a module of its own: what is configured against what is there
(`differences`), the log that the offset belongs to (`log_watch`), a connector that
failed (`restarts`), tables that are stored elsewhere than before (`marks`), tables of
which changes may have been missed (`looks`), rows that stay stale (`reconcile`). A live
worker's keeper does all but the last, and only while no replay worker is a member of
its group, to which it gives its place up.

Hazards:
- Everything here is its own: the session (whose lock makes it the keeper), the clients
  of Connect and Kafka, the producer. The lane's are used by another thread. The model
  is never touched, so an idle replay worker stays small.
- A service that is away is logged and asked again; any other exception is a bug and
  ends the process, since a thread that died in silence would heal nothing, for ever.
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
from streams.keeper.heal import Healer
from streams.keeper.log_watch import LogWatch
from streams.keeper.looks import Looks
from streams.keeper.reconcile import Reconcile
from streams.keeper.restarts import Restarts
from streams.keeper.table_marks import Marks
from streams.replay.run import Replay

log = structlog.get_logger()

_AFTER_ERROR_SECONDS = 30.0
"""Pause of a duty that could not be done, so that a service that is away fills no log.
"""

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

    def tick(self) -> bool:
        """Do it, unless it failed a moment ago; what a service refuses is logged.

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
            log.warning("the keeper tries again later", duty=self._name, reason=str(error))
            return False
        return True


class Task(Protocol):
    """What a keeper does in each round."""

    def tick(self) -> None:
        """Do what is due. May raise VectrueError."""
        ...

    def forget(self) -> None:
        """Somebody else is the keeper now."""
        ...


class Keeper:
    """Does its duties in turn, while this process is the keeper of the database."""

    def __init__(
        self,
        desk: KeeperStore,
        tasks: Mapping[str, Task],
        clock: Clock,
        pause: float,
        better: Callable[[], bool] = lambda: False,
    ) -> None:
        """Join the parts.

        Args:
            desk: tells who is the keeper.
            tasks: the duties by name, in their order.
            clock: tells the time.
            pause: seconds between two rounds.
            better: whether a worker is there that is the keeper rather than this one.
                May raise TransientError.
        """
        self._desk = desk
        self._tasks = tasks
        self._clock = clock
        self._pause = pause
        self._better = better
        self._begun = False
        self._stands_aside = True
        self._in_office = False
        self._duties = (
            Duty("office", self._look_around, clock),
            *(Duty(name, self._if_mine(task.tick), clock) for name, task in tasks.items()),
        )
        self._note = Duty("note", lambda: desk.note_round(pause), clock)

    def start(self, leave: Leave) -> None:
        """Begin, in a thread that ends with the process or when the clock is stopped;
        `leave` is told of a bug.
        """
        threading.Thread(target=self._keep, args=(leave,), name="keeper", daemon=True).start()

    def tick(self) -> None:
        """One round of all duties.

        Raises:
            Stopping: the process was asked to stop.
        """
        done = [duty.tick() for duty in self._duties]
        if self._in_office and all(done):
            self._note.tick()

    def _keep(self, leave: Leave) -> None:
        try:
            while True:
                self.tick()
                self._clock.wait(self._pause)
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - a thread that ended in silence would be a zombie
            leave(f"a bug in the keeper ({bug!r})", bug)

    def _look_around(self) -> None:
        """Whether this worker may be the keeper; where that is not known, it stays as
        it was.
        """
        if not self._begun:
            self._desk.begin()
            self._begun = True
        self._stands_aside = self._better()
        if self._stands_aside:
            self._desk.give_up()

    def _if_mine(self, duty: Callable[[], None]) -> Callable[[], None]:
        def round_of() -> None:
            mine = not self._stands_aside and self._desk.is_mine()
            if mine != self._in_office:
                self._in_office = mine
                for task in self._tasks.values():
                    task.forget()
                log.info("this worker is the keeper" if mine else "another worker is the keeper")
            if mine:
                duty()

        return round_of


def open_keeper(settings: Settings, clock: Clock, role: Literal["live", "replay"]) -> Keeper:
    """Join the real parts of a worker's keeper; nothing is opened yet.

    Raises:
        ConfigurationError: connect.url is no URL.
    """
    session = Session(
        settings.postgres.dsn, role="keeper", prefix=settings.kafka.topic_prefix, setup=limit_locks
    )
    desk = KeeperStore(session, settings.kafka.topic_prefix)
    offsets = KafkaOffsets(settings, clock)

    def send(targets: Sequence[Target]) -> UUID | None:
        replay = Replay(settings, session, KafkaOutbox(settings, targets), clock)
        table = targets[0].table
        before = desk.under_way(table)
        desk.is_busy(f"sending rows of {table}")
        run = replay.start(Request("stale", requested_by="keeper"), [str(table)])
        if run is not None and (before is None or before.run != run):
            metrics.RECONCILED.labels(str(table)).inc(desk.expected(run))
        return run

    def targets() -> Sequence[Target]:
        return target_rules.standing(settings, session)

    def reader() -> int | None:
        return slot.reader(session, settings.slot)

    def replay_works() -> bool:
        return bool(offsets.client_ids(settings.replay_group))

    def rewritten() -> Collection[TableName]:
        return [m.table for m in migration.read(session) if m.offline]

    def ask(table: TableName, reason: str) -> None:
        looks.ask(session, settings.kafka.topic_prefix, [table], reason)

    is_replay = role == "replay"
    works = (lambda: True) if is_replay else replay_works
    healer = Healer(send, lambda of: KafkaOutbox(settings, of), works, clock.now)
    prefix, tables = settings.kafka.topic_prefix, [table.table for table in settings.tables]
    asked = LookStore(session, prefix)
    connect = KafkaConnect(settings.connect.url, clock)
    explain = Explainer(settings).explain
    tasks: dict[str, Task] = {
        "differences": Differences(looking(settings, session, connect), clock),
        "log": LogWatch(settings, session, connect),
        "connector": Restarts(settings.keeper, connect, settings.connector, clock, explain),
        "marks": Marks(
            TableMarkStore(session, prefix, settings.postgres.publication), tables, rewritten, ask
        ),
        "looks": Looks(desk, asked, targets, healer, clock, settings.keeper.stale_seconds),
    }
    if is_replay:
        tasks["reconcile"] = Reconcile(settings.keeper, desk, targets, send, reader, clock)
        return Keeper(desk, tasks, clock, settings.keeper.poll_seconds)
    return Keeper(desk, tasks, clock, settings.keeper.poll_seconds, replay_works)
