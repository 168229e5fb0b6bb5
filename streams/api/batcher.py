"""Embeds texts that arrive together in one pass through the model, in its thread.

A pass takes the texts that wait for the same model in the same role (query or document),
the oldest first. Roles and models alternate, so a query waits for one pass of documents
at most, not for all of a long list. A text that comes to an idle model waits `linger` for
others; one that waited that long while the model was busy goes at once.

Hazard: call the methods in the event loop only; models, and what is passed to `call`,
run in the thread.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from connectors.ports import Clock, Embedder
from schemas.errors import PoisonText
from schemas.health import metrics
from schemas.rows.document import Vector
from streams.common import bisect

T = TypeVar("T")


@dataclass(frozen=True)
class _Queue:
    """Texts that may share a pass."""

    model: Embedder
    query: bool


@dataclass(frozen=True)
class _Waiting:
    text: str
    since: float
    vector: "asyncio.Future[Vector]"


class Batcher:
    """The thread of the models, and the texts that wait for it."""

    def __init__(
        self,
        clock: Clock,
        *,
        linger: float,
        most: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start with an idle thread.

        Args:
            clock: measures how long a text has waited.
            linger: seconds that a text waits for others.
            most: most texts in a pass; 1 turns sharing and waiting off.
            pause: sleeps in the event loop.
        """
        self._clock = clock
        self._linger = linger if most > 1 else 0.0
        self._most = most
        self._pause = pause
        self._lanes: dict[_Queue, deque[_Waiting]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._running: asyncio.Task[None] | None = None

    async def encode(self, model: Embedder, texts: Sequence[str], *, query: bool) -> Vector:
        """Embed texts, together with others that wait for the same model.

        Args:
            model: used in the thread only.
            texts: one or more, none blank.
            query: embed them as search queries, not as stored texts.

        Returns:
            float32[n, dimensions], in the order of the texts.

        Raises:
            PoisonText: the model does not take one of the texts; texts of other callers
                are not affected.
            VectrueError: as the model raised it.
        """
        loop, now = asyncio.get_running_loop(), self._clock.monotonic()
        vectors: list[asyncio.Future[Vector]] = []
        waiting = self._lanes.setdefault(_Queue(model, query), deque())
        for text in texts:
            one = _Waiting(text, now, loop.create_future())
            waiting.append(one)
            vectors.append(one.vector)
        # The loop ends when nothing waits; between two awaits no one else can start it.
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return np.stack(await asyncio.gather(*vectors))

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that uses a model in the thread, between two passes."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def close(self) -> None:
        """End the thread after its current pass."""
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        """Run passes until nothing waits."""
        while self._lanes:
            lane = next(iter(self._lanes))
            left = self._linger - (self._clock.monotonic() - self._lanes[lane][0].since)
            if left > 0:
                await self._pause(left)
            batch = self._take(lane)
            if not batch:
                continue
            metrics.API_BATCH_TEXTS.labels("query" if lane.query else "document").observe(
                len(batch)
            )
            passing = self.call(_encode, lane, [one.text for one in batch])
            # An exception goes to each caller; it must not end this loop.
            (result,) = await asyncio.gather(passing, return_exceptions=True)
            _deliver(batch, result)

    def _take(self, lane: _Queue) -> list[_Waiting]:
        """Return the next texts of a lane without those whose request was given up."""
        # A lane that has texts left goes behind the other lanes.
        waiting = self._lanes.pop(lane)
        batch: list[_Waiting] = []
        while waiting and len(batch) < self._most:
            one = waiting.popleft()
            # Done before its pass: the request was cancelled, by its time limit or its client.
            if not one.vector.done():
                batch.append(one)
        if waiting:
            self._lanes[lane] = waiting
        return batch


class _AsQueries:
    """A model that embeds texts as queries, for bisection."""

    def __init__(self, model: Embedder) -> None:
        self._model = model

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        return self._model.encode_queries(texts)


def _encode(lane: _Queue, texts: Sequence[str]) -> bisect.Encoded:
    """Run a pass in the model's thread; a text that the model refuses fails alone."""
    seen: bisect.Encodes = _AsQueries(lane.model) if lane.query else lane.model
    return bisect.encode(seen, texts, lane.model.dimensions)


def _deliver(batch: Sequence[_Waiting], result: "bisect.Encoded | BaseException") -> None:
    for index, one in enumerate(batch):
        if one.vector.done():
            # Its request was given up meanwhile.
            continue
        if isinstance(result, BaseException):
            one.vector.set_exception(result)
        elif index in result.refused:
            one.vector.set_exception(
                PoisonText(f"the model does not take this text ({result.refused[index]})")
            )
        else:
            one.vector.set_result(result.vectors[index])
