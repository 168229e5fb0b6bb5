"""Composition: the parts of a lane, real ones, joined. The only place that chooses them."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.session import Session, limit_waits
from connectors.postgres.store import PostgresStore
from schemas.settings import Settings
from schemas.target import Target
from streams import targets as target_rules
from streams.chunks import Chunks
from streams.flood import Flood
from streams.retry import Patience
from streams.settle import Settler
from streams.sync import Sync
from streams.yielding import LiveWatch


@dataclass(frozen=True)
class Lane:
    """What a worker process is made of: `sync` is set for the live role, `chunks` for the replay role."""

    targets: Sequence[Target]
    embedder: Embedder
    store: PostgresStore
    clock: SystemClock
    sync: Sync | None = None
    chunks: Chunks | None = None


def open_lane(settings: Settings, role: str) -> Lane:
    """Check the configuration and join the parts of one lane; nothing is consumed yet.

    Args:
        settings: everything.
        role: `live` or `replay`.

    Raises:
        ConfigurationError: it will not work like this (tables, columns, model, dimensions, `init` not run).
        TransientError: Postgres does not answer.
    """
    embedder = open_model(settings.model)
    session = Session(settings.postgres.dsn, role=f"{role} start", setup=limit_waits)
    try:
        targets = target_rules.resolve(settings, session)
    finally:
        session.close()
    target_rules.check_model(targets, embedder)
    clock = SystemClock()
    # The live lane defers the rows of a locked table, so that its other tables go on; a chunk is waited for in place.
    patience = Patience(clock, seconds=settings.live.retry_seconds, lane=role, waits_for_tables=role == "replay")
    store = PostgresStore(settings.postgres, role=role)
    outbox = KafkaOutbox(settings, targets)
    settler = Settler(store, embedder, clock, patience, lane=role)
    if role == "replay":
        chunks = Chunks(targets, store, store, settler, outbox, clock, patience, settings)
        chunks.give_way_to(LiveWatch(settings, KafkaOffsets(settings, clock), clock).latest)
        return Lane(targets, embedder, store, clock, chunks=chunks)
    origin = settings.postgres.origin
    flood = Flood(settings.dead_letters)
    sync = Sync(targets, store, settler, outbox, clock, patience, settings.live, origin, flood)
    return Lane(targets, embedder, store, clock, sync=sync)
