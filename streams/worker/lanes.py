"""Composition: the parts of a lane, real ones, joined. The only place that chooses
them.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from typing_extensions import override

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.rows.store import PostgresStore
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.live import Sync
from streams.worker.replay import Chunks
from streams.worker.settle import RowSettler
from streams.worker.watches.canary import CanaryArrivals, open_arrivals
from streams.worker.watches.live_lag import LiveWatch
from streams.worker.watches.shapes import Shapes
from streams.worker.watches.targets import TargetWatcher


@dataclass(frozen=True, kw_only=True)
class Lane(ABC):
    """What the worker processes of both roles are made of."""

    targets: Sequence[Target]
    embedders: Embedders
    store: PostgresStore
    watcher: TargetWatcher
    outbox: KafkaOutbox
    clock: SystemClock

    def look(self) -> None:
        """Compare the configuration with the database, and take changed keys.

        Raises:
            ConfigurationError: the worker cannot continue.
        """
        targets = self.watcher.look()
        if targets is not None:
            self.outbox.renew(targets)
            self._renew(targets)

    @abstractmethod
    def _renew(self, targets: Sequence[Target]) -> None:
        """Work for these targets from now on."""


@dataclass(frozen=True, kw_only=True)
class LiveLane(Lane):
    """What a live worker is made of."""

    sync: Sync
    arrivals: CanaryArrivals

    @override
    def _renew(self, targets: Sequence[Target]) -> None:
        self.sync.renew(targets)


@dataclass(frozen=True, kw_only=True)
class ReplayLane(Lane):
    """What a replay worker is made of."""

    chunks: Chunks

    @override
    def _renew(self, targets: Sequence[Target]) -> None:
        self.chunks.renew(targets)


class _LaneShapes(Shapes):
    """The watcher as the lanes know it; the outbox takes changed keys too."""

    def __init__(self, watcher: TargetWatcher, outbox: KafkaOutbox) -> None:
        self._watcher = watcher
        self._outbox = outbox

    @override
    def renewed(self) -> Sequence[Target] | None:
        targets = self._watcher.renewed()
        if targets is not None:
            self._outbox.renew(targets)
        return targets

    @override
    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        return self._watcher.is_older(target, txids)

    @override
    def ask(self, table: TableName, reason: str) -> None:
        self._watcher.ask(table, reason)


def open_live(settings: Settings) -> LiveLane:
    """Check the configuration and join the parts of a live worker.

    Nothing is consumed yet.

    Raises:
        ConfigurationError: it cannot work like this (tables, columns, model,
            dimensions, `init` not run).
        TransientError: Postgres does not answer.
    """
    watcher = TargetWatcher(settings, "live")
    targets, models = watcher.start()
    clock = SystemClock()
    # Rows of a locked table are deferred, so that the other tables go on.
    retry = RetryPolicy(clock, seconds=settings.live.retry_seconds, lane="live")
    prefix = settings.kafka.topic_prefix
    store = PostgresStore(settings.postgres, role="live", prefix=prefix)
    outbox = KafkaOutbox(settings, targets)
    limit = DeadLetterLimit(settings.dead_letters)
    sync = Sync(
        targets,
        store,
        RowSettler(store, models, clock, retry, lane="live"),
        outbox,
        clock=clock,
        retry=retry,
        settings=settings.live,
        origin=settings.postgres.origin,
        dead_letter_limit=limit,
        outdated=watcher.has_moved,
        shapes=_LaneShapes(watcher, outbox),
    )
    return LiveLane(
        targets=targets,
        embedders=models,
        store=store,
        watcher=watcher,
        outbox=outbox,
        clock=clock,
        sync=sync,
        arrivals=open_arrivals(settings, sync.handle, clock, limit),
    )


def open_replay(settings: Settings) -> ReplayLane:
    """Check the configuration and join the parts of a replay worker.

    Nothing is consumed yet.

    Raises:
        ConfigurationError, TransientError: as `open_live`.
    """
    watcher = TargetWatcher(settings, "replay")
    targets, models = watcher.start()
    clock = SystemClock()
    # A chunk waits for a locked table in place.
    retry = RetryPolicy(
        clock, seconds=settings.live.retry_seconds, lane="replay", waits_for_tables=True
    )
    prefix = settings.kafka.topic_prefix
    store = PostgresStore(settings.postgres, role="replay", prefix=prefix)
    outbox = KafkaOutbox(settings, targets)
    chunks = Chunks(
        targets,
        store,
        store,
        RowSettler(store, models, clock, retry, lane="replay"),
        outbox,
        clock=clock,
        retry=retry,
        settings=settings,
        outdated=watcher.has_moved,
        shapes=_LaneShapes(watcher, outbox),
    )
    chunks.give_way_to(LiveWatch(settings, KafkaOffsets(settings, clock), clock).latest)
    return ReplayLane(
        targets=targets,
        embedders=models,
        store=store,
        watcher=watcher,
        outbox=outbox,
        clock=clock,
        chunks=chunks,
    )
