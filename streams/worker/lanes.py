"""Composition: the parts of a lane, real ones, joined. The only place that chooses
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.rows.store import PostgresStore
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.canary import CanaryArrivals, open_arrivals
from streams.worker.dead_letter_limit import DeadLetterLimit
from streams.worker.live import Sync
from streams.worker.live_lag import LiveWatch
from streams.worker.replay import Chunks
from streams.worker.settle import RowSettler
from streams.worker.watches.targets import TargetWatcher


@dataclass(frozen=True)
class Lane:
    """What a worker process is made of: `sync` and `arrivals` for the live role,
    `chunks` for the replay role.
    """

    targets: Sequence[Target]
    embedders: Embedders
    store: PostgresStore
    watcher: TargetWatcher
    outbox: KafkaOutbox
    clock: SystemClock
    sync: Sync | None = None
    arrivals: CanaryArrivals | None = None
    chunks: Chunks | None = None

    def look(self) -> None:
        """Compare what is configured with what is there, and take the keys as they are
        now.

        Raises:
            ConfigurationError: the worker cannot go on.
        """
        targets = self.watcher.look()
        if targets is None:
            return
        self.outbox.renew(targets)
        for lane in (self.sync, self.chunks):
            if lane is not None:
                lane.renew(targets)


class _Shapes:
    """The watcher as the lanes know it; what is sent has the new keys as well."""

    def __init__(self, watcher: TargetWatcher, outbox: KafkaOutbox) -> None:
        self._watcher = watcher
        self._outbox = outbox
        self.is_older = watcher.is_older
        self.ask = watcher.ask

    def renewed(self) -> Sequence[Target] | None:
        """As `streams.worker.watches.shapes.Shapes` says."""
        targets = self._watcher.renewed()
        if targets is not None:
            self._outbox.renew(targets)
        return targets


def open_lane(settings: Settings, role: str) -> Lane:
    """Check the configuration and join the parts of one lane; nothing is consumed yet.

    Args:
        settings: everything.
        role: `live` or `replay`.

    Raises:
        ConfigurationError: it will not work like this (tables, columns, model,
            dimensions, `init` not run).
        TransientError: Postgres does not answer.
    """
    watcher = TargetWatcher(settings, role)
    targets, models = watcher.start()
    clock = SystemClock()
    # The live lane defers the rows of a locked table, so that its other tables go on; a
    # chunk is waited for in place.
    retry = RetryPolicy(
        clock, seconds=settings.live.retry_seconds, lane=role, waits_for_tables=role == "replay"
    )
    store = PostgresStore(settings.postgres, role=role, prefix=settings.kafka.topic_prefix)
    outbox = KafkaOutbox(settings, targets)
    shapes = _Shapes(watcher, outbox)
    settler = RowSettler(store, models, clock, retry, lane=role)
    if role == "replay":
        chunks = Chunks(
            targets,
            store,
            store,
            settler,
            outbox,
            clock,
            retry,
            settings,
            watcher.has_moved,
            shapes,
        )
        chunks.give_way_to(LiveWatch(settings, KafkaOffsets(settings, clock), clock).latest)
        return Lane(targets, models, store, watcher, outbox, clock, chunks=chunks)
    origin = settings.postgres.origin
    dead_letter_limit = DeadLetterLimit(settings.dead_letters)
    sync = Sync(
        targets,
        store,
        settler,
        outbox,
        clock,
        retry,
        settings.live,
        origin,
        dead_letter_limit,
        watcher.has_moved,
        shapes,
    )
    arrivals = open_arrivals(settings, sync.handle, clock, dead_letter_limit)
    return Lane(targets, models, store, watcher, outbox, clock, sync=sync, arrivals=arrivals)
