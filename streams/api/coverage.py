"""What a search over HTTP says of the coverage: the last look, taken beside the
requests and never by one of them.

A search that finds the last look out of date starts the next one and answers with what
is known; nothing is looked at while nobody searches.

Hazard: the methods are the event loop's; only `look` waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.reports.search import Searched
from schemas.rows.target import Target
from streams.api.bodies import CoverageBody
from streams.search import coverage as search_coverage


@dataclass(frozen=True)
class _CachedLook:
    """When a look began, and what came of it: figures, or why there are none."""

    at: float
    figures: Searched | str


class CoverageCache:
    """The last look at each column."""

    def __init__(
        self, clock: Clock, look: Callable[[Target], Awaitable[Searched]], *, seconds: float
    ) -> None:
        """Know nothing yet.

        Args:
            clock: says how old a look is.
            look: counts a column; may take long.
            seconds: from one look at a column to the next, at least.
        """
        self._clock = clock
        self._look = look
        self._seconds = seconds
        self._asked: dict[Target, float] = {}
        self._seen: dict[Target, _CachedLook] = {}
        self._looking: asyncio.Task[None] | None = None

    def of(self, targets: Sequence[Target]) -> tuple[list[CoverageBody] | None, list[str]]:
        """What is known of these columns now, and what a reader of their hits ought to
        know.

        Returns:
            figures, without the columns of which nothing is known, None when that is
            all of them; and warnings.
        """
        now = self._clock.monotonic()
        self._refresh(targets, now)
        known: list[CoverageBody] = []
        warnings: list[str] = []
        for seen in (self._seen[target] for target in targets if target in self._seen):
            if isinstance(seen.figures, str):
                warnings.append(seen.figures)
                continue
            age = now - seen.at
            known.append(CoverageBody(**seen.figures.to_json(), age_seconds=age))
            warnings += [] if seen.figures.is_whole else [seen.figures.warning(age)]
        return known or None, warnings

    def _refresh(self, targets: Sequence[Target], now: float) -> None:
        """Start a look at what is out of date, unless one is under way."""
        if self._looking is not None and not self._looking.done():
            return
        due = [
            one
            for one in targets
            if one not in self._asked or now - self._asked[one] >= self._seconds
        ]
        if due:
            # Before the look, so that one that fails is not tried again by every
            # search.
            self._asked.update(dict.fromkeys(due, now))
            self._looking = asyncio.get_running_loop().create_task(self._look_at(due, now))

    async def _look_at(self, targets: Sequence[Target], now: float) -> None:
        for target in targets:
            try:
                self._seen[target] = _CachedLook(now, await self._look(target))
            except VectrueError as error:
                self._seen[target] = _CachedLook(now, search_coverage.unknown(target, error))
