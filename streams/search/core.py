"""The search algorithm, shared by the command line and HTTP.

It reads which columns are served, embeds the query with their models, and asks Postgres
for the nearest rows in a transaction that checks the model again. If a migration changed
the model in between, the search starts again. A `Backend` says where models and sessions
run: in the caller's thread (streams/search/search.py), or beside an event loop
(streams/api/search_backend.py).

Hazard: similarities mean nothing if the query and the rows were embedded by different
models.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from connectors.ports import Clock, Embedder
from connectors.postgres.search import search
from connectors.postgres.search.search import Condition, ModelMoved
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.search import Hit, SearchRequest, SearchResult, Timings
from schemas.rows.document import Vector
from schemas.rows.target import Target

T = TypeVar("T")

_ATTEMPTS = 5
"""A migration swaps once or twice in its life."""


@dataclass(frozen=True)
class Served:
    """The columns that are searched and the models of their vectors, by id."""

    targets: tuple[Target, ...]
    models: Mapping[str, Embedder]


class ColumnsKeepChanging(VectrueError):
    """The columns changed their model at every attempt of a search."""


class Backend(Protocol):
    """Where a search gets its columns, vectors and sessions from."""

    async def served(self, stale: Served | None) -> Served:
        """Return what is served; read it again if it is still `stale`."""
        ...

    def columns(self, served: Served, tables: Sequence[str]) -> list[Target]:
        """Return the columns of the named tables, or all; raise for an unknown table."""
        ...

    async def load(self, models: Sequence[Embedder]) -> None:
        """Load the weights if that must not count as time of embedding."""
        ...

    async def encode_query(self, models: Sequence[Embedder], text: str) -> list[Vector]:
        """Embed one query with each model: float32[dimensions] each, in their order."""
        ...

    async def encode_document(self, model: Embedder, text: str) -> Vector:
        """Embed a text as a stored one: float32[dimensions]."""
        ...

    async def run(self, work: Callable[[Session], T]) -> T:
        """Call `work` with a session."""
        ...


class SearchCore:
    """Searches through a backend."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def find(self, request: SearchRequest) -> tuple[list[Target], SearchResult]:
        """Find the rows nearest to a query.

        Args:
            request: the query, its tables and limits.

        Returns:
            the columns that were searched, and the hits with models and timings.

        Raises:
            ColumnsKeepChanging: a migration took a step at every attempt.
            VectrueError: as the backend, or `where` is not a condition on a table.
        """
        started = self._clock.monotonic()
        return await self._retry(partial(self._find, request=request, started=started))

    async def similar(self, request: SearchRequest, only: Condition) -> tuple[list[Hit], Embedder]:
        """Find rows of one table whose text is similar to a text.

        Both are embedded as documents.

        Args:
            request: of one table; if two of its columns are configured, the first one
                is searched. Its condition is called `score.where` in errors.
            only: a condition of ours that rows must meet too.

        Returns:
            hits, most similar first, and the model that embedded both sides.

        Raises:
            ColumnsKeepChanging, VectrueError: as `find`.
        """
        return await self._retry(partial(self._similar, request=request, only=only))

    async def _retry(self, attempt: Callable[[Served], Awaitable[T]]) -> T:
        """Repeat an attempt that met a step of a migration, or of the key's columns."""
        stale: Served | None = None
        for number in range(_ATTEMPTS):
            stale = served = await self._backend.served(stale)
            try:
                return await attempt(served)
            except ModelMoved:
                continue
            except ConfigurationError:
                # The columns may have been renamed since they were read, but not twice.
                if number > 0:
                    raise
        raise ColumnsKeepChanging(
            "the columns changed their model again and again", fix="try again"
        )

    async def _find(
        self, served: Served, *, request: SearchRequest, started: float
    ) -> tuple[list[Target], SearchResult]:
        targets = self._backend.columns(served, request.tables)
        ids = sorted({target.model for target in targets})
        models = [served.models[model] for model in ids]
        # First, so that loading does not count as time of embedding.
        await self._backend.load(models)
        loaded = self._clock.monotonic()
        vectors = await self._backend.encode_query(models, request.text)
        embedded = self._clock.monotonic()
        queries = dict(zip(ids, vectors, strict=True))
        hits = await self._backend.run(
            partial(nearest, targets=targets, queries=queries, request=request)
        )
        done = self._clock.monotonic()
        timings = Timings(embed=embedded - loaded, database=done - embedded, total=done - started)
        return targets, SearchResult(tuple(hits), tuple(ids), timings)

    async def _similar(
        self, served: Served, *, request: SearchRequest, only: Condition
    ) -> tuple[list[Hit], Embedder]:
        target = self._backend.columns(served, request.tables)[0]
        model = served.models[target.model]
        # First, so that a wrong condition is reported before a model is loaded.
        await self._backend.run(
            partial(search.check_where, target=target, request=request, named="score.where")
        )
        vector = await self._backend.encode_document(model, request.text)
        hits = await self._backend.run(
            partial(search.nearest, target=target, query=vector, request=request, only=only)
        )
        return hits, model


def nearest(
    session: Session,
    *,
    targets: Sequence[Target],
    queries: Mapping[str, Vector],
    request: SearchRequest,
) -> list[Hit]:
    """Search several columns and merge their hits.

    Args:
        session: any connection that may read the tables.
        targets: the columns.
        queries: float32[dimensions] by the id of the model that made it.
        request: its condition and limits.

    Returns:
        hits, most similar first, at most `request.limit` over all columns.

    Raises:
        ModelMoved: a column holds vectors of another model by now.
        VectrueError: `where` is not a condition on one of the tables.
    """
    hits: list[Hit] = []
    for target in targets:
        search.check_where(session, target, request)
        hits += search.nearest(session, target, queries[target.model], request)
    # Comparable only within one model.
    hits.sort(key=lambda hit: hit.similarity, reverse=True)
    return hits[: request.limit]
