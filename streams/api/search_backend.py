"""Where a search over HTTP runs: its models in the batcher's thread, Postgres in a pool.

The algorithm is in streams/search/core.py.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from typing_extensions import override

from connectors.ports import Embedder
from connectors.postgres.session import Session
from schemas.rows.document import Vector
from schemas.rows.target import Target
from streams.api.batcher import Batcher
from streams.api.database import SessionPool
from streams.api.served import Catalog, columns
from streams.search.core import Backend, Served

T = TypeVar("T")


class HttpBackend(Backend):
    """A search that does not block the event loop."""

    def __init__(self, catalog: Catalog, batcher: Batcher, database: SessionPool) -> None:
        self._catalog = catalog
        self._batcher = batcher
        self._database = database

    @override
    async def served(self, stale: Served | None) -> Served:
        return await self._catalog.served(stale)

    @override
    def columns(self, served: Served, tables: Sequence[str]) -> list[Target]:
        return columns(served, tables)

    @override
    async def load(self, models: Sequence[Embedder]) -> None:
        """Do nothing: a model loads in the batcher's thread, with its first query."""

    @override
    async def encode_query(self, models: Sequence[Embedder], text: str) -> list[Vector]:
        encoding = [self._batcher.encode(model, [text], query=True) for model in models]
        batches = await asyncio.gather(*encoding)
        return [batch[0] for batch in batches]

    @override
    async def encode_document(self, model: Embedder, text: str) -> Vector:
        vectors = await self._batcher.encode(model, [text], query=False)
        vector: Vector = vectors[0]
        return vector

    @override
    async def run(self, work: Callable[[Session], T]) -> T:
        return await self._database.run(work)
