"""`vectrue compare`: judged queries asked of two sides.

    two models    embed the texts in one process each, and search exactly (models.py)
    two columns   of a running migration, searched in place, exactly and by index
                  (columns.py)

Quality is that of exact search; that of an index is shown beside it if both sides have
one. Query by query the other side begins, so that a busy machine slows both equally.

Hazard: the first answers fill caches. Each query is asked several times for the
latency; the ranks are those of the first time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from connectors.ports import Clock
from schemas.errors import VectrueError
from schemas.reports.comparison import JudgedQuery, Latency, Percentiles
from schemas.rows.table import Key
from streams.evaluation import measures
from streams.evaluation.judged import Judged

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

ROUNDS = 3
"""Times that each query is asked, for the latency."""

_ROUNDS_SECONDS = 30.0
"""No round after the first goes on for longer than this after the start."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """One answer.

    Attributes:
        embed_seconds: time to embed the query.
        search_seconds: time to search, by the way of searching.
        found: keys and texts of the rows, best first, by the way of searching.
    """

    embed_seconds: float
    search_seconds: Mapping[str, float]
    found: Mapping[str, Sequence[tuple[Key, str]]]


class Answering(Protocol):
    """A side while it is asked."""

    def ask(self, text: str, most: int) -> QueryAnswer:
        """Embed a query, and search at most so many rows in each of its ways."""
        ...


@dataclass(slots=True)
class Answers:
    """The answers of one side.

    Attributes:
        found: rows of the first round, by way and query.
        embed: seconds of every embedding.
        search: seconds of every search, by way.
    """

    found: dict[str, list[Sequence[tuple[Key, str]]]] = field(default_factory=dict)
    embed: list[float] = field(default_factory=list)
    search: dict[str, list[float]] = field(default_factory=dict)

    def add(self, asked: QueryAnswer, *, first: bool) -> None:
        """Add one answer; its rows only in the first round."""
        self.embed.append(asked.embed_seconds)
        for way, seconds in asked.search_seconds.items():
            self.search.setdefault(way, []).append(seconds)
            # The other rounds are for the latency only.
            if first:
                self.found.setdefault(way, []).append(asked.found[way])

    def latency(self) -> dict[str, Latency]:
        """Return the latency by way, in seconds."""
        made: dict[str, Latency] = {}
        for way, search in self.search.items():
            totals = [a + b for a, b in zip(self.embed, search, strict=True)]
            made[way] = Latency(
                embed=_percentiles(self.embed),
                search=_percentiles(search),
                total=_percentiles(totals),
                totals=totals,
            )
        return made


def ask_both(
    sides: tuple[Answering, Answering], queries: Sequence[JudgedQuery], clock: Clock, tell: Progress
) -> tuple[Answers, Answers]:
    """Ask both sides every query: `ROUNDS` times, or fewer if that takes long.

    Args:
        sides: A and B.
        queries: asked in this order.
        clock: ends the rounds after the first.
        tell: called after each query.

    Returns:
        the answers of A and B.
    """
    answers = (Answers(), Answers())
    total = ROUNDS * len(queries)
    deadline = clock.monotonic() + _ROUNDS_SECONDS
    for turn in range(total):
        round_, at = divmod(turn, len(queries))
        if round_ and clock.monotonic() > deadline:
            break
        # The side that begins finds colder caches, so it changes from query to query.
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        for one in order:
            answers[one].add(sides[one].ask(queries[at].text, measures.DEPTH), first=round_ == 0)
        tell("asking", turn + 1, total)
    return answers


def require_rows(judged: Judged, missing: Sequence[Key], where: str) -> None:
    """Refuse judgments about rows that do not exist.

    Raises:
        VectrueError: there are some; with the first such id, its line and their number.
    """
    # They would count against both sides.
    absent = set(missing)
    for query in judged.queries:
        for key in query.relevant:
            if key not in absent:
                continue
            more = f", nor have {len(absent) - 1} more" if len(absent) > 1 else ""
            raise VectrueError(
                f"line {query.line} of {judged.file} judges id {','.join(key)} as "
                f"relevant, which has no text in {where}{more}",
                fix="correct the file, or choose the corpus that it was judged on",
            )


def _percentiles(seconds: Sequence[float]) -> Percentiles:
    p50, p95 = np.percentile(seconds, [50, 95])
    return Percentiles(float(p50), float(p95))
