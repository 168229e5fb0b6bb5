"""Composition: the parts of a lane, real ones, joined. The only place that chooses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres import queries, schema
from connectors.postgres.session import Session, limit_waits
from connectors.postgres.store import PostgresStore
from schemas.errors import ConfigurationError, TransientError
from schemas.settings import Settings
from schemas.target import Target
from streams import embedders
from streams import targets as target_rules
from streams.chunks import Chunks
from streams.embedders import Embedders
from streams.flood import Flood
from streams.retry import Patience
from streams.settle import Settler
from streams.sync import Sync
from streams.yielding import LiveWatch


@dataclass(frozen=True)
class Lane:
    """What a worker process is made of: `sync` is set for the live role, `chunks` for the replay role."""

    targets: Sequence[Target]
    embedders: Embedders
    store: PostgresStore
    anew: "Anew"
    clock: SystemClock
    sync: Sync | None = None
    chunks: Chunks | None = None


class Anew:
    """Whether the database wants something else than at the start: a migration took a step, or `init` ran."""

    def __init__(self, settings: Settings, role: str) -> None:
        """Remember where to ask."""
        self._settings = settings
        self._session = Session(settings.postgres.dsn, role=f"{role} targets", setup=limit_waits)
        self._seen: list[tuple[Any, ...]] = []

    def start(self) -> tuple[list[Target], Embedders]:
        """The targets and their models, opened but not loaded.

        Raises:
            ConfigurationError: it will not work like this (tables, columns, model, dimensions, `init` not run).
            TransientError: Postgres does not answer.
        """
        try:
            while True:
                # First: a step that is taken during the start must be noticed afterwards.
                self._seen = self._now()
                try:
                    targets = target_rules.resolve(self._settings, self._session)
                    return targets, embedders.for_targets(self._settings, self._session, targets)
                except ConfigurationError:
                    if self._now() == self._seen:
                        raise
        finally:
            self._session.close()

    def is_wanted(self) -> bool:
        """Whether to start anew, with what is wanted now.

        Raises:
            ConfigurationError: with what is wanted now this worker would not start.
        """
        try:
            if self._now() == self._seen:
                return False
            embedders.for_targets(self._settings, self._session, target_rules.resolve(self._settings, self._session))
        except TransientError:
            self._session.close()
            return False  # a later look, or the lane itself, tells
        return True

    def _now(self) -> list[tuple[Any, ...]]:
        there = schema.exists(self._session, "embedsync.targets")
        return self._session.rows(queries.text("all_targets")) if there else []


def open_lane(settings: Settings, role: str) -> Lane:
    """Check the configuration and join the parts of one lane; nothing is consumed yet.

    Args:
        settings: everything.
        role: `live` or `replay`.

    Raises:
        ConfigurationError: it will not work like this (tables, columns, model, dimensions, `init` not run).
        TransientError: Postgres does not answer.
    """
    anew = Anew(settings, role)
    targets, models = anew.start()
    clock = SystemClock()
    # The live lane defers the rows of a locked table, so that its other tables go on; a chunk is waited for in place.
    patience = Patience(clock, seconds=settings.live.retry_seconds, lane=role, waits_for_tables=role == "replay")
    store = PostgresStore(settings.postgres, role=role)
    outbox = KafkaOutbox(settings, targets)
    settler = Settler(store, models, clock, patience, lane=role)
    if role == "replay":
        chunks = Chunks(targets, store, store, settler, outbox, clock, patience, settings, anew.is_wanted)
        chunks.give_way_to(LiveWatch(settings, KafkaOffsets(settings, clock), clock).latest)
        return Lane(targets, models, store, anew, clock, chunks=chunks)
    origin = settings.postgres.origin
    flood = Flood(settings.dead_letters)
    sync = Sync(targets, store, settler, outbox, clock, patience, settings.live, origin, flood, anew.is_wanted)
    return Lane(targets, models, store, anew, clock, sync=sync)
