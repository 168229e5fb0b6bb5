"""Search: a text in, the nearest rows out, both sides embedded by the same model.

The database says which model that is, so that a migration changes both sides at one
instant: the target row is read in the same transaction as the rows, and a query that
comes out between two models is embedded again.

Hazards:
- With another model for the query than for the rows, similarities mean nothing.
- The coverage is looked at once a minute at most (streams/search/coverage.py): a
  warning may be late.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from connectors.clock import SystemClock
from connectors.ports import Clock, Embedder
from connectors.postgres.search import search
from connectors.postgres.search.search import ModelMoved
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.search import Hit, Searched, SearchRequest, SearchResult, Timings
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import embedders
from streams.common import targets as target_rules
from streams.common.embedders import Embedders
from streams.search import coverage as search_coverage

T = TypeVar("T")

_ATTEMPTS = 5
"""A migration swaps once or twice in its life."""

_COVERAGE_SECONDS = 60.0
"""How long what was seen of the coverage holds."""


class Search:
    """Searches the configured tables; keeps its models between calls. One thread."""

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
            session: any connection that may read them; this object's own.
            opened: a model that is open already, used where it is the wanted one;
                others are opened when needed.
            clock: the system's when left out.
        """
        self._opened = opened
        self._settings = settings
        self._session = session
        self._clock = clock or SystemClock()
        self._targets: list[Target] = []
        self._models = Embedders({})
        self._searched: dict[Target, tuple[float, Searched]] = {}

    def find(self, request: SearchRequest) -> SearchResult:
        """The nearest rows, and what there is to know about the answer.

        Raises:
            TargetMismatch: the database wants another model than the settings name.
            ModelUnavailable: its weights are not here.
            VectrueError: a table is not configured, or `where` is no condition on it.
        """
        return self._steady(lambda: self._find(request))

    def like(self, request: SearchRequest, only: search.Condition) -> tuple[list[Hit], Embedder]:
        """Rows of one table whose text is like a text, both embedded as documents: what
        `score` asks.

        Args:
            request: of one table; where two of its columns are configured, the first is
                meant.
            only: a condition of ours besides.

        Returns:
            hits, most similar first, and the model that embedded both.

        Raises:
            TargetMismatch, ModelUnavailable, VectrueError: as `find`.
        """

        def look() -> tuple[list[Hit], Embedder]:
            target = self.targets(request.tables)[0]
            model = self._models.of(target.model)
            search.check_where(self._session, target, request, "score.where")
            (vector,) = model.encode_documents([request.text])
            return search.nearest(self._session, target, vector, request, only=only), model

        return self._steady(look)

    def _steady(self, look: Callable[[], T]) -> T:
        """What a look finds, once no migration comes in between, of ours or of the
        application's key columns.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return look()
            except ModelMoved:
                self._targets = []
            except ConfigurationError:
                if attempt or not self._targets:
                    raise
                self._targets = []
        raise VectrueError("the columns changed their model again and again", fix="try again")

    def targets(self, tables: Sequence[str]) -> list[Target]:
        """The columns that are searched, for these tables or all.

        Raises:
            VectrueError: a table is not configured.
        """
        wanted = {table.table for table in self._settings.only(tables).tables}
        if not self._targets:
            self._targets = target_rules.served(self._settings, self._session)
            self._models = embedders.for_targets(
                self._settings, self._session, self._targets, self._opened
            )
        return [target for target in self._targets if target.table in wanted]

    def _find(self, request: SearchRequest) -> SearchResult:
        now = self._clock.monotonic
        started = now()
        targets = self.targets(request.tables)
        models = sorted({target.model for target in targets})
        for model in models:
            self._models.of(model).load()
        before = now()
        queries = {model: self._models.of(model).encode_query(request.text) for model in models}
        embedded = now()
        hits: list[Hit] = []
        for target in targets:
            search.check_where(self._session, target, request)
            hits += search.nearest(self._session, target, queries[target.model], request)
        answered = now()
        hits = sorted(hits, key=lambda hit: hit.similarity, reverse=True)[: request.limit]
        searched, warnings = self._coverage(targets)
        timings = Timings(
            embed=embedded - before, database=answered - embedded, total=answered - started
        )
        return SearchResult(tuple(hits), tuple(models), timings, tuple(searched), tuple(warnings))

    def _coverage(self, targets: Sequence[Target]) -> tuple[list[Searched], list[str]]:
        searched, warnings = [], []
        for target in targets:
            try:
                seen, age = self._seen(target)
            # the hits are there, whatever else goes wrong
            except VectrueError as error:
                warnings.append(search_coverage.unknown(target, error))
                continue
            searched.append(seen)
            warnings += [] if seen.is_whole else [seen.warning(age)]
        return searched, warnings

    def _seen(self, target: Target) -> tuple[Searched, float]:
        """What the last look saw, and how long ago that was."""
        now = self._clock.monotonic()
        looked_at, seen = self._searched.get(target, (-_COVERAGE_SECONDS, None))
        if seen is None or now - looked_at >= _COVERAGE_SECONDS:
            looked_at, seen = now, search_coverage.look(self._session, target)
            self._searched[target] = (now, seen)
        return seen, now - looked_at
