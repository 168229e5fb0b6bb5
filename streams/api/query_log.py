"""The query log: searches are stored in the background and never delay an answer.

A search that was answered is put into a short queue in memory; a thread writes the queue
in batches. A search is dropped and counted if the queue is full or the database does not
answer. Feedback waits until its search is written.

Hazards:
- An HMAC hides a text only from those who do not have its key. With the key, or with a
  plain hash, anyone who guesses a text can check whether it was asked. Without
  `serve.query_log_secret` each start makes a new key, which is never stored.
- The keys of the rows that were found, with their similarities, reveal much about a query
  even if its text is not stored.
"""

import asyncio
import hmac
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import structlog

from connectors.postgres.search import query_log
from schemas.errors import VectrueError
from schemas.health import metrics
from schemas.reports.quality import Feedback, LoggedSearch
from schemas.reports.search import SearchResult
from schemas.settings.sections import ServeSettings
from streams.api.database import SessionPool

log = structlog.get_logger(__name__)

# Most searches in the queue; a database that answers takes them within moments.
_MOST_WAITING = 1_000
_TOGETHER = 100
_SWEEP_SECONDS = 600.0
_STOP_SECONDS = 5.0
_DAY = 86_400.0


class QueryLog:
    """Searches on their way into the database; used in the event loop only."""

    def __init__(
        self,
        settings: ServeSettings,
        database: SessionPool,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start with an empty queue.

        Args:
            settings: what is stored, how long, and the key of the HMAC.
            database: of one thread, used by this object only.
            pause: sleeps in the event loop.
        """
        secret = settings.query_log_secret
        self._key = (
            secrets.token_bytes(32) if secret is None else secret.get_secret_value().encode()
        )
        self._keeps_text = settings.query_log == "text"
        self._seconds = settings.query_log_days * _DAY
        self._database = database
        self._pause = pause
        self._waiting: deque[LoggedSearch] = deque()
        self._pending: dict[UUID, asyncio.Future[None]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._is_failing = False

    def note(self, text: str, tables: Sequence[str], found: SearchResult) -> UUID | None:
        """Put a search into the queue.

        Args:
            text: the query.
            tables: that were searched.
            found: the answer.

        Returns:
            its id; None if the queue is full.
        """
        if len(self._waiting) >= _MOST_WAITING:
            metrics.QUERY_LOG.labels("full").inc()
            return None
        digest = None if self._keeps_text else hmac.digest(self._key, text.encode(), "sha256")
        kept = text if self._keeps_text else None
        # Without the rows' texts, which are not stored: a thousand searches may wait.
        hits = [replace(hit, text="") for hit in found.hits]
        search = LoggedSearch(
            id=uuid4(),
            text=kept,
            hmac=digest,
            models=found.models,
            tables=tables,
            hits=hits,
            timings=found.timings,
        )
        self._put(search)
        return search.id

    def _put(self, search: LoggedSearch) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.append(search)
        self._pending[search.id] = loop.create_future()
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write())

    async def give(self, feedback: Feedback) -> bool | None:
        """Store feedback on a row, once its search is written.

        Returns:
            whether the search found that row; None if the search is not known.

        Raises:
            TransientError: Postgres does not answer.
        """
        pending = self._pending.get(feedback.query)
        if pending is not None:
            # Else a client that goes away would cancel the future that others wait for.
            await asyncio.shield(pending)
        given = await self._database.run(partial(query_log.give, feedback=feedback))
        if given is None:
            return None
        found, is_new = given
        if is_new:
            metrics.FEEDBACK.labels(str(feedback.useful).lower()).inc()
        return found

    async def sweep(self) -> None:
        """Delete searches older than `serve.query_log_days`, until cancelled."""
        while True:
            is_more = False
            try:
                is_more = await self._database.run(partial(query_log.sweep, seconds=self._seconds))
            except VectrueError as error:
                log.warning(
                    "old searches could not be deleted from the query log", reason=str(error)
                )
            await self._pause(0 if is_more else _SWEEP_SECONDS)

    async def close(self) -> None:
        """Write the queue, for some seconds at most."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing}, timeout=_STOP_SECONDS)
            # A database that does not answer must not hold up the end of the server.
            self._writing.cancel()
        if self._waiting:
            log.warning("searches were not written to the query log", number=len(self._waiting))
            metrics.QUERY_LOG.labels("stopped").inc(len(self._waiting))

    async def _write(self) -> None:
        """Write the queue in batches until it is empty."""
        while self._waiting:
            batch: list[LoggedSearch] = []
            while self._waiting and len(batch) < _TOGETHER:
                batch.append(self._waiting.popleft())
            try:
                await self._database.run(partial(query_log.write, searches=batch))
                metrics.QUERY_LOG.labels("written").inc(len(batch))
                self._is_failing = False
            except VectrueError as error:
                metrics.QUERY_LOG.labels("database").inc(len(batch))
                # Once, not for each batch.
                if not self._is_failing:
                    log.warning("searches are dropped from the query log", reason=str(error))
                self._is_failing = True
            finally:
                for one in batch:
                    # Also after an error: feedback then finds no such search, and does
                    # not wait for ever.
                    self._pending.pop(one.id).set_result(None)
