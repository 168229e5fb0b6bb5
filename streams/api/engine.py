"""Handles the requests, without blocking the event loop.

Models run in one thread, Postgres in a few.

Hazard: readiness and coverage have a connection of their own; if they shared those of
the searches, a locked table would make the whole server look dead.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from connectors.ports import Clock, Embedder
from connectors.postgres.health import witness
from connectors.postgres.search.quality import require
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, PoisonEvent, TransientError, VectrueError
from schemas.health import metrics
from schemas.health.lag_report import brief
from schemas.reports.quality import Feedback
from schemas.reports.score import Score
from schemas.reports.search import Searched, SearchRequest, SearchResult
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.api.answers import (
    FoundRow,
    ModelBody,
    SearchAnswer,
    TimingsBody,
    render_embeddings,
)
from streams.api.batcher import Batcher
from streams.api.bodies import (
    EmbeddingsRequest,
    FeedbackBody,
    ScoreByQuestion,
    ScoreByReference,
    SearchBody,
)
from streams.api.coverage import CoverageCache
from streams.api.database import SessionPool
from streams.api.judging import Judging
from streams.api.problems import Problem
from streams.api.query_log import QueryLog
from streams.api.search_backend import HttpBackend
from streams.api.served import Catalog
from streams.evaluation import quality
from streams.search import coverage as search_coverage
from streams.search import score as scoring
from streams.search.core import ColumnsKeepChanging, SearchCore

log = structlog.get_logger(__name__)

_PROBE_SECONDS = 5.0
# Longest count of the coverage of a column.
_COVERAGE_SECONDS = 10.0


class Engine:
    """Handles what the paths receive."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Open the settings' model without loading it; connect to nothing yet.

        Raises:
            ModelUnavailable: its weights are not on this machine.
        """
        serve = settings.serve
        self._settings = settings
        self._clock = clock
        self._began = int(clock.now().timestamp())
        self.batcher = Batcher(clock, linger=serve.linger_ms / 1000, most=serve.batch_size)
        database = partial(SessionPool, settings.postgres.dsn, prefix=settings.kafka.topic_prefix)
        self._database = database(
            role="serve", threads=serve.database_connections, seconds=serve.request_seconds
        )
        # Not shared with searches: a locked table must not make the server look dead.
        self._probe = database(role="serve probe", threads=1, seconds=_PROBE_SECONDS)
        # Not shared either: a search must not wait for a count.
        self._survey = database(role="serve coverage", threads=1, seconds=_COVERAGE_SECONDS)
        self._coverage = CoverageCache(clock, self._look_at, seconds=serve.coverage_seconds)
        own_thread = partial(database, threads=1, seconds=serve.request_seconds)
        self._log_database = own_thread(role="serve log")
        self._log = QueryLog(serve, self._log_database) if serve.query_log != "off" else None
        self._judge_database = own_thread(role="serve quality")
        self._judging = Judging(settings, self.find, self._judge_database, clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._catalog = Catalog(settings, self._database)
        backend = HttpBackend(self._catalog, self.batcher, self._database)
        self._core = SearchCore(backend, clock)

    async def start(self) -> None:
        """Read what is served and load its models; start the background tasks.

        If Postgres does not answer, the server starts and is not ready.

        Raises:
            ConfigurationError: the database does not fit the settings, or a table of
                the query log or of the quality runs is missing.
        """
        quality.check(self._settings)
        try:
            served = await self._catalog.served()
            models = served.models
            self._coverage.of(served.targets)
            await self._probe.run(self._require_tables)
        except TransientError as error:
            log.warning("Postgres is away; not ready until it answers", reason=str(error))
            models = {self._catalog.own.model_id: self._catalog.own}
        for model in models.values():
            await self.batcher.call(model.load)
        log.info("models loaded", models=sorted(models))
        if self._log:
            self._start(self._log.sweep())
        if self._settings.quality.queries:
            self._start(self._judging.run())

    async def close(self) -> None:
        """Cancel the background tasks, wait for the threads and close the sessions."""
        for task in self._tasks:
            task.cancel()
        # A cancelled task raises here, and the threads have to be ended all the same.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._log:
            await self._log.close()
        self.batcher.close()
        for database in (
            self._database,
            self._probe,
            self._survey,
            self._log_database,
            self._judge_database,
        ):
            database.close()

    async def ready(self) -> list[str]:
        """Return the ids of the served models if Postgres answers.

        Raises:
            Problem: it does not answer, or the database does not fit the settings.
        """
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                wanted = await self._probe.run(self._catalog.wanted)
                served = await self._catalog.served()
                # A migration took a step, and no search has noticed it yet.
                if served.targets != wanted:
                    served = await self._catalog.served(served)
                return sorted(served.models)
        except TimeoutError:
            raise Problem(
                503, f"Postgres did not answer within {_PROBE_SECONDS:g} s", "check the server"
            ) from None
        except VectrueError as error:
            # Probes need no token, so the answer does not say where Postgres is.
            log.warning("not ready", reason=str(error))
            away = isinstance(error, TransientError)
            what = "Postgres does not answer" if away else "the database does not fit"
            raise Problem(
                503, what, "see the server's log, or run `vectrue doctor` beside it"
            ) from error

    async def changes(self) -> str:
        """Return `arrive`, or why changes of the rows may not arrive.

        It names no table, since probes need no token.
        """
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                seen = await self._probe.run(partial(witness.read, settings=self._settings))
        except TimeoutError:
            return f"unknown: Postgres did not answer within {_PROBE_SECONDS:g} s"
        return brief(seen)

    async def embeddings(self, request: EmbeddingsRequest) -> bytes:
        """Embed texts and return an EmbeddingsResponse as JSON.

        Raises:
            Problem: the model is not served, or cannot do what is asked.
        """
        texts = request.texts
        model = await self._catalog.named(request.model)
        if request.dimensions not in (None, model.dimensions):
            raise Problem(
                400,
                f"{request.dimensions} dimensions are asked for, and {model.model_id} makes "
                f"vectors of {model.dimensions} and no others",
                "leave it out",
                param="dimensions",
            )
        vectors = await self.batcher.encode(model, texts, query=request.input_type == "query")
        tokens = sum(await self.batcher.call(model.count_tokens, texts))
        return await asyncio.to_thread(
            render_embeddings, vectors, model.model_id, tokens, request.encoding_format
        )

    async def models(self) -> list[ModelBody]:
        """Return the served models; that of the settings comes first."""
        names = await self._catalog.names()
        return [self._describe(name, model) for name, model in names.items()]

    async def model(self, name: str) -> ModelBody:
        """Return a served model by its name or id.

        Raises:
            Problem: it is not served.
        """
        return self._describe(name, await self._catalog.named(name))

    def _describe(self, name: str, model: Embedder) -> ModelBody:
        return ModelBody(
            id=name,
            object="model",
            created=self._began,
            owned_by="vectrue",
            model_id=model.model_id,
            dimensions=model.dimensions,
        )

    async def search(self, body: SearchBody) -> SearchAnswer:
        """Find the nearest rows; record the search in the metrics and the query log.

        Raises:
            Problem: a table is not served.
        """
        targets, found = await self._find(body.request())
        _note(targets, found)
        tables = sorted({str(target.table) for target in targets})
        query_id = self._log.note(body.query, tables, found) if self._log else None
        rows = [FoundRow.model_validate(hit.to_json()) for hit in found.hits]
        timings = TimingsBody(**found.timings.to_json())
        coverage, warnings = self._coverage.of(targets)
        return SearchAnswer(
            query_id=query_id,
            models=list(found.models),
            hits=rows,
            timings=timings,
            coverage=coverage,
            warnings=warnings,
        )

    async def find(self, request: SearchRequest) -> SearchResult:
        """Find the nearest rows without recording the search.

        Raises:
            Problem: a table is not served.
        """
        return (await self._find(request))[1]

    async def feedback(self, body: FeedbackBody) -> None:
        """Store whether a row was useful.

        Raises:
            Problem: no query log is kept, or the search or its row is not known.
        """
        if self._log is None:
            raise Problem(
                409,
                "no search is kept here, since serve.query_log is off",
                "set serve.query_log = hashed",
            )
        wrong = "send query_id, table and key as the answer to the search has them"
        try:
            table = str(TableName.parse(body.table))
        except ConfigurationError as error:
            raise Problem(404, error.message, wrong) from error
        found = await self._log.give(
            Feedback(UUID(body.query_id), table, tuple(body.key), body.useful)
        )
        if found is None:
            raise Problem(404, f"no search {body.query_id} is known", wrong)
        if not found:
            raise Problem(404, f"search {body.query_id} did not find this row", wrong)

    async def _find(self, request: SearchRequest) -> tuple[list[Target], SearchResult]:
        """Search without recording; return the columns that were searched, too."""
        with _keeps_changing():
            return await self._core.find(request)

    async def score(self, body: ScoreByReference | ScoreByQuestion) -> Score:
        """Score an answer.

        Raises:
            Problem: the question has no stored answer with a vector, or the answers'
                table is not served.
        """
        # Both sides are embedded as documents (streams/search/score.py).
        if isinstance(body, ScoreByReference):
            first, second = await self.batcher.encode(
                self._catalog.own, [body.answer, body.reference], query=False
            )
            # Vectors have unit length, so their product is the cosine.
            return scoring.graded(self._settings, float(first @ second), self._catalog.own)
        question = str(body.question)
        request, only = scoring.stored_request(self._settings, body.answer, question)

        try:
            with _keeps_changing():
                hits, model = await self._core.similar(request, only)
        except PoisonEvent as error:
            raise Problem(404, "no question can have this key", "check the question") from error
        try:
            return scoring.by_hits(self._settings, hits, model, question)
        # The question has no stored answer.
        except VectrueError as error:
            raise Problem(404, error.message, error.fix) from error

    async def _look_at(self, target: Target) -> Searched:
        return await self._survey.run(partial(search_coverage.look, target=target))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a background task."""

        def ended(task: asyncio.Task[None]) -> None:
            # asyncio reports an exception only once the task is collected, which may be never.
            if not task.cancelled() and task.exception() is not None:
                log.critical(
                    "a bug has ended what ran beside the requests", exc_info=task.exception()
                )

        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(ended)
        self._tasks.append(task)

    def _require_tables(self, session: Session) -> None:
        if self._log is not None:
            require(session, "queries")
            require(session, "feedback")
        if self._settings.quality.queries:
            require(session, "quality_runs")


@contextmanager
def _keeps_changing() -> Iterator[None]:
    """Answer 503 if the columns changed their model at every attempt of a search."""
    try:
        yield
    except ColumnsKeepChanging as error:
        raise Problem(503, error.message, error.fix) from None


def _note(targets: Sequence[Target], found: SearchResult) -> None:
    """Record a search in the metrics."""
    for stage, seconds in asdict(found.timings).items():
        metrics.SEARCH_SECONDS.labels(stage).observe(seconds)
    if found.hits:
        best = found.hits[0]
        model = {str(target.table): target.model for target in targets}[best.table]
        metrics.SEARCH_TOP_SIMILARITY.labels(model).observe(best.similarity)
    else:
        metrics.SEARCH_EMPTY.inc()
    for hit in found.hits:
        metrics.SEARCH_ROWS.labels(hit.table, "current" if hit.is_current else "stale").inc()
