"""Judged queries on a schedule.

The server searches them one at a time, as it searches a user's query, but without its
metrics and log. The last figures are in the database, so that servers share them: the
server that finds them too old asks again, and all servers show them.

Hazard: errors here must not stop the server; they are logged, counted and retried.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog

from connectors.ports import Clock
from connectors.postgres.search import quality as store
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.health import metrics
from schemas.reports.quality import Quality
from schemas.reports.search import SearchRequest, SearchResult
from schemas.settings.reading import Settings
from streams.api.database import SessionPool
from streams.api.problems import Problem
from streams.evaluation import quality

log = structlog.get_logger(__name__)

# How often to check whether the last figures are too old, or of a model that is no
# longer served.
_LOOK_SECONDS = 60.0

Find = Callable[[SearchRequest], Awaitable[SearchResult]]


class Judging:
    """Asks judged queries, stores the figures and sets the gauges."""

    def __init__(
        self,
        settings: Settings,
        find: Find,
        database: SessionPool,
        clock: Clock,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; ask nothing yet.

        Args:
            settings: of `quality` and the tables.
            find: searches as for a user.
            database: used by this object only.
            clock: the time of the figures.
            pause: sleeps in the event loop.
        """
        self._settings = settings
        self._find = find
        self._database = database
        self._clock = clock
        self._pause = pause
        self._reasons: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await self.round()
            await self._pause(min(_LOOK_SECONDS, self._settings.quality.every_seconds))

    async def round(self) -> None:
        """For each table, ask if the last figures are too old, then show the last ones."""
        for table, file in self._settings.quality.queries.items():
            try:
                await self._table(table, Path(file))
                self._reasons.pop(table, None)
            except (VectrueError, Problem) as error:
                self._failed(table, error.detail if isinstance(error, Problem) else str(error))
            # If the task ended, old figures would pass for new ones.
            except Exception as bug:  # noqa: BLE001
                self._failed(table, f"a bug: {bug!r}", bug)

    async def _table(self, table: str, file: Path) -> None:
        last = await self._database.run(partial(self._last, table=table))
        if last is None:
            exam = await self._database.run(partial(self._prepare, table=table, file=file))
            answers: list[SearchResult] = []
            # One at a time, so that users' searches are not held up.
            for request in exam.requests:
                answers.append(await self._find(request))
            # In a thread: the first import of the measures takes a second.
            run = await asyncio.to_thread(quality.conclude, exam, answers, self._clock.now())
            await self._database.run(partial(store.keep, run=run))
            log.info(
                "judged queries asked",
                table=table,
                model=run.model,
                queries=run.queries,
                gone=run.gone,
                **{name: round(value, 4) for name, value in run.measures.items()},
            )
            last = (await self._database.run(store.last))[table]
        self._show(last)

    def _last(self, session: Session, *, table: str) -> Quality | None:
        """Return the last figures, unless they are too old or of another model."""
        last = store.last(session).get(table)
        if last is None or last.age_seconds >= self._settings.quality.every_seconds:
            return None
        is_served = last.last.model == quality.wanted_model(self._settings, session, table)
        return last if is_served else None

    def _prepare(self, session: Session, *, table: str, file: Path) -> quality.Exam:
        return quality.prepare(self._settings, session, table, file)

    def _failed(self, table: str, reason: str, bug: Exception | None = None) -> None:
        metrics.JUDGED_FAILURES.labels(table).inc()
        # Once, not every minute.
        if self._reasons.get(table) != reason:
            log.warning(
                "judged queries could not be asked", table=table, reason=reason, exc_info=bug
            )
        self._reasons[table] = reason

    def _show(self, quality: Quality) -> None:
        """Set the gauges, and remove those of the previous model."""
        run = quality.last
        quantiles = {"0.5": run.p50_seconds, "0.95": run.p95_seconds}
        before = self._shown.get(run.table, run.model)
        for measure, value in run.measures.items():
            if before != run.model:
                metrics.JUDGED_QUALITY.remove(run.table, before, measure)
            metrics.JUDGED_QUALITY.labels(run.table, run.model, measure).set(value)
        for quantile, seconds in quantiles.items():
            if before != run.model:
                metrics.JUDGED_SECONDS.remove(run.table, before, quantile)
            metrics.JUDGED_SECONDS.labels(run.table, run.model, quantile).set(seconds)
        metrics.LAST_JUDGED.labels(run.table).set(run.at.timestamp())
        self._shown[run.table] = run.model
