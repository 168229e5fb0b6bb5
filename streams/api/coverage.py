"""Coverage in answers over HTTP: counted in the background, never by a request.

A search that finds the last count out of date starts the next one, and answers with what
is known. Without searches nothing is counted.

Hazard: call the methods in the event loop only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.reports.search import Searched
from schemas.rows.target import Target
from streams.api.answers import CoverageBody
from streams.search import coverage as search_coverage


@dataclass(frozen=True)
class _CachedLook:
    """When a count began, and its figures, or a warning why there are none."""

    at: float
    figures: Searched | str


class CoverageCache:
    """The last count of each column."""

    def __init__(
        self, clock: Clock, look: Callable[[Target], Awaitable[Searched]], *, seconds: float
    ) -> None:
        """Start without counts.

        Args:
            clock: says how old a count is.
            look: counts a column; may take long.
            seconds: least time between two counts of a column.
        """
        self._clock = clock
        self._look = look
        self._seconds = seconds
        self._asked: dict[Target, float] = {}
        self._seen: dict[Target, _CachedLook] = {}
        self._looking: asyncio.Task[None] | None = None

    def of(self, targets: Sequence[Target]) -> tuple[list[CoverageBody] | None, list[str]]:
        """Return what is known about these columns now.

        Returns:
            figures of the columns that were counted, None if that is none of them; and
            warnings for a reader of the hits.
        """
        now = self._clock.monotonic()
        self._refresh(targets, now)
        known: list[CoverageBody] = []
        warnings: list[str] = []
        for target in targets:
            if target not in self._seen:
                continue
            seen = self._seen[target]
            if isinstance(seen.figures, str):
                warnings.append(seen.figures)
                continue
            age = now - seen.at
            known.append(CoverageBody(**seen.figures.to_json(), age_seconds=age))
            if not seen.figures.is_whole:
                warnings.append(seen.figures.warning(age))
        return known or None, warnings

    def _refresh(self, targets: Sequence[Target], now: float) -> None:
        """Start counting what is out of date, unless a count is under way."""
        if self._looking is not None and not self._looking.done():
            return
        due = [target for target in targets if self._is_due(target, now)]
        if due:
            # Before counting, so that a failure is not retried by every search.
            self._asked.update(dict.fromkeys(due, now))
            self._looking = asyncio.get_running_loop().create_task(self._look_at(due, now))

    def _is_due(self, target: Target, now: float) -> bool:
        return target not in self._asked or now - self._asked[target] >= self._seconds

    async def _look_at(self, targets: Sequence[Target], now: float) -> None:
        for target in targets:
            try:
                self._seen[target] = _CachedLook(now, await self._look(target))
            # One column that cannot be counted must not end the count of the others.
            except VectrueError as error:
                self._seen[target] = _CachedLook(now, search_coverage.unknown(target, error))
