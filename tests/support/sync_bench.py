"""A live lane on twins, for unit tests."""

import json
from typing import Any

from connectors.twins.memory import MemoryClock, MemoryOutbox, MemoryRow, MemoryStore, sha256
from schemas.messages.record import Record
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.sections import LiveSettings
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker.live import Sync
from streams.worker.settle import RowSettler
from tests.support.slow_model import SlowEmbedder


class Bench:
    """A live lane on twins."""

    def __init__(self, seconds_per_character: float = 0.0) -> None:
        """One table, one model, a clock that is moved by hand. The model takes as long
        as is said.
        """
        self.clock = MemoryClock()
        self.embedder = SlowEmbedder(self.clock, seconds_per_character)
        key = (KeyColumn("id", "bigint"),)
        name = TableName("public", "questions")
        self.target = Target(name, "embedding", "question", key, self.embedder.model_id, 16)
        self.store = MemoryStore(self.target)
        self.outbox = MemoryOutbox()
        retry = RetryPolicy(self.clock, seconds=30, lane="live")
        self.settler = RowSettler(
            self.store, Embedders.single(self.embedder), self.clock, retry, lane="live"
        )
        settings = LiveSettings()
        self.sync = Sync(
            [self.target],
            self.store,
            self.settler,
            self.outbox,
            clock=self.clock,
            retry=retry,
            settings=settings,
            origin="vectrue",
        )
        self.offset = 0

    def event(self, key: Any, *, op: str = "u", txid: int | None = None, **source: Any) -> Record:
        """A change event of a row, as Debezium writes it."""
        self.offset += 1
        origin = {
            "schema": "public",
            "table": "questions",
            "ts_ms": 1767225600000,
            "txId": txid,
            **source,
        }
        value = {"op": op, "after": {"id": key}, "source": origin}
        return Record(
            "t.public.questions",
            0,
            self.offset,
            json.dumps({"id": key}).encode(),
            json.dumps(value).encode(),
        )

    def put(self, key: int, text: str | None) -> None:
        """Have a row."""
        self.store.rows[str(key),] = MemoryRow(text)

    def is_current(self, key: int) -> bool:
        """Whether a row's vector is true."""
        row = self.store.rows[str(key),]
        return row.vector is not None and (row.hash, row.model) == (
            sha256(row.text),
            self.target.model,
        )

    def deferred_records(self) -> list[Record]:
        """What was deferred, as it comes back."""
        chunks, self.outbox.deferred = self.outbox.deferred, []
        return [Record("t.deferred", 0, i, None, chunk.encode()) for i, chunk in enumerate(chunks)]
