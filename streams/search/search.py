"""Search in the caller's thread: a text in, the nearest rows out.

`vectrue search`, `vectrue score` and `vectrue quality` use it; the algorithm is in
streams/search/core.py.

Hazard: coverage is counted at most once a minute (streams/search/coverage.py).
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from typing_extensions import override

from connectors.clock import SystemClock
from connectors.ports import Clock, Embedder
from connectors.postgres.search.search import Condition
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.search import Hit, Searched, SearchRequest, SearchResult
from schemas.rows.document import Vector
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import embedders, targets
from streams.search import coverage
from streams.search.core import Backend, SearchCore, Served

T = TypeVar("T")

_COVERAGE_SECONDS = 60.0
"""How long a count of the coverage holds."""


class Search:
    """Searches the configured tables and keeps its models between calls. One thread."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        opened: Embedder | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Remember where to look.

        Args:
            settings: tables and model.
            session: any connection that may read the tables; no one else may use it.
            opened: a model that is already open, used where it is the wanted one;
                others are opened when needed.
            clock: the system's if left out.
        """
        self._settings = settings
        self._session = session
        self._clock = clock or SystemClock()
        self._core = SearchCore(_OwnThread(settings, session, opened), self._clock)
        self._searched: dict[Target, tuple[float, Searched]] = {}

    def find(self, request: SearchRequest) -> SearchResult:
        """Find the nearest rows, and how much of their tables can be found.

        Raises:
            TargetMismatch: the database wants another model than the settings name.
            ModelUnavailable: its weights are not on this machine.
            VectrueError: a table is not configured, or `where` is not a condition on it.
        """
        self._settings.only(request.tables)
        found_in, found = _finish(self._core.find(request))
        searched, warnings = self._coverage(found_in)
        return SearchResult(found.hits, found.models, found.timings, searched, warnings)

    def like(self, request: SearchRequest, only: Condition) -> tuple[list[Hit], Embedder]:
        """Find rows whose text is similar to a text.

        `SearchCore.similar` has the arguments.

        Raises:
            TargetMismatch, ModelUnavailable, VectrueError: as `find`.
        """
        self._settings.only(request.tables)
        return _finish(self._core.similar(request, only))

    def _coverage(self, found_in: Sequence[Target]) -> tuple[tuple[Searched, ...], tuple[str, ...]]:
        searched: list[Searched] = []
        warnings: list[str] = []
        for target in found_in:
            try:
                seen, age = self._seen(target)
            # The hits are valid even if the coverage cannot be counted.
            except VectrueError as error:
                warnings.append(coverage.unknown(target, error))
                continue
            searched.append(seen)
            if not seen.is_whole:
                warnings.append(seen.warning(age))
        return tuple(searched), tuple(warnings)

    def _seen(self, target: Target) -> tuple[Searched, float]:
        """Return the last count, and how many seconds ago it was made."""
        now = self._clock.monotonic()
        if target in self._searched:
            counted_at, seen = self._searched[target]
            # Counting may take longer than the search itself.
            if now - counted_at < _COVERAGE_SECONDS:
                return seen, now - counted_at
        seen = coverage.look(self._session, target)
        self._searched[target] = (now, seen)
        return seen, 0.0


class _OwnThread(Backend):
    """Models and one session, all used in the caller's thread; no method suspends."""

    def __init__(self, settings: Settings, session: Session, opened: Embedder | None) -> None:
        self._settings = settings
        self._session = session
        self._opened = opened
        self._served: Served | None = None

    @override
    async def served(self, stale: Served | None) -> Served:
        if self._served is None or self._served is stale:
            # Also if reading fails: what is out of date must not be used again.
            self._served = None
            self._served = self._read()
        return self._served

    def _read(self) -> Served:
        found = targets.served(self._settings, self._session)
        models = embedders.for_targets(self._settings, self._session, found, self._opened)
        return Served(tuple(found), {model: models.of(model) for model in models.ids})

    @override
    def columns(self, served: Served, tables: Sequence[str]) -> list[Target]:
        wanted = {table.table for table in self._settings.only(tables).tables}
        return [target for target in served.targets if target.table in wanted]

    @override
    async def load(self, models: Sequence[Embedder]) -> None:
        for model in models:
            model.load()

    @override
    async def encode_query(self, models: Sequence[Embedder], text: str) -> list[Vector]:
        return [model.encode_query(text) for model in models]

    @override
    async def encode_document(self, model: Embedder, text: str) -> Vector:
        vector: Vector = model.encode_documents([text])[0]
        return vector

    @override
    async def run(self, work: Callable[[Session], T]) -> T:
        return work(self._session)


def _finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, without an event loop."""
    # Not `asyncio.run`: callers may have an event loop of their own.
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    raise RuntimeError("a search in the caller's thread was suspended")
