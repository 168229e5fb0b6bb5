"""Judged queries and their figures; the query log's line; what the settings refuse.
Nothing is asked of a database.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from connectors.twins.memory import MemoryClock
from schemas.errors import ConfigurationError, TransientError, VectrueError
from schemas.reports.comparison import JudgedQuery
from schemas.reports.quality import Feedback, LoggedSearch, Quality, QualityRun
from schemas.reports.search import Hit, SearchRequest, SearchResult, Timings
from schemas.settings.reading import load
from schemas.settings.sections import ServeSettings
from streams.api.judging import Judging
from streams.api.query_log import QueryLog
from streams.evaluation import quality

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TABLES = [{"name": "public.questions", "text": "question"}, {"name": "public.other", "text": "t"}]


def found(*keys: str, seconds: float = 0.1) -> SearchResult:
    """An answer with these rows, best first."""
    hits = [
        Hit("public.questions", (key,), f"text {key}", 1 - n / 10, None, None, True)
        for n, key in enumerate(keys)
    ]
    return SearchResult(tuple(hits), ("m@1",), Timings(seconds, 0.0, seconds))


def exam(*relevant: tuple[str, ...]) -> quality.Exam:
    """One query for each tuple of relevant keys."""
    queries = tuple(
        JudgedQuery(n, f"query {n}", tuple((key,) for key in keys))
        for n, keys in enumerate(relevant, 1)
    )
    requests = tuple(SearchRequest(query.text, ("public.questions",), 10) for query in queries)
    return quality.Exam("public.questions", queries, requests, 2, "exact")


def test_the_figures_are_means_over_the_queries() -> None:
    """Found second, found first and once more, not at all: known nDCG, recall and MRR;
    percentiles of the time.
    """
    answers = [found("9", "1", seconds=0.1), found("2", "9", "2", seconds=0.2), found(seconds=0.3)]
    run = quality.conclude(exam(("1",), ("2",), ("3",)), answers, NOW)
    assert run.mrr == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert run.recall == pytest.approx(2 / 3)
    assert run.ndcg == pytest.approx((0.63093 + 1 + 0) / 3, abs=1e-4)
    assert (run.queries, run.gone, run.model, run.at) == (3, 2, "m@1", NOW)
    assert [run.p50_seconds, run.p95_seconds] == pytest.approx([0.2, 0.29])


def test_settings_name_what_is_wrong() -> None:
    """A table that is not configured, a short secret, a log of an unknown kind; a
    secret is never shown.
    """
    for flags, words in (
        ({"quality": {"queries": {"nowhere": "q.jsonl"}}}, "quality.queries: table public.nowhere"),
        ({"serve": {"query_log_secret": "short"}}, "16 or more"),
        ({"serve": {"query_log": "plain"}}, "serve.query_log"),
        ({"serve": {"query_log_days": 0}}, "serve.query_log_days"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            load(tables=TABLES, **flags)
    settings = load(tables=TABLES, serve={"query_log_secret": "s3cret-s3cret-s3cret"})
    assert "s3cret" not in f"{settings.masked()} {settings!r}"
    assert load(tables=TABLES, quality={"queries": {"questions": "q"}}).quality.queries == {
        "public.questions": "q"
    }


def test_a_bad_file_is_refused_at_the_start(tmp_path: Path) -> None:
    """Missing, or with a line that judges nothing: setting, file and line are named."""
    file = tmp_path / "q.jsonl"
    settings = load(tables=TABLES, quality={"queries": {"public.questions": str(file)}})
    with pytest.raises(ConfigurationError, match=r"quality\.queries: .*q\.jsonl cannot be read"):
        quality.check(settings)
    file.write_text('{"query": "a", "relevant": []}\n')
    with pytest.raises(
        ConfigurationError, match=r"quality\.queries: line 1 of .*q\.jsonl judges no row"
    ):
        quality.check(settings)
    file.write_text('{"query": "a", "relevant": [1]}\n')
    quality.check(settings)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"vectrue_{name}_total", labels) or 0.0


class Slow:
    """A database that writes when the test lets it, and remembers what; or is away."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.written: list[LoggedSearch] = []
        self.given: list[tuple[UUID, int]] = []
        """Searches that feedback was about, and how many were written before it."""
        self.is_away = False

    async def run(self, work: Any) -> Any:
        if "feedback" in work.keywords:
            self.given.append((work.keywords["feedback"].query, len(self.written)))
            return True, True
        await self.free.wait()
        if self.is_away:
            raise TransientError("Postgres is away")
        self.written += work.keywords["searches"]
        return None


def query_log(database: Slow, **settings: Any) -> QueryLog:
    kept: Any = database
    return QueryLog(ServeSettings(**{"query_log": "hashed", **settings}), kept)


def test_a_full_line_drops_and_counts_and_nobody_waits() -> None:
    """While the database stands still 1,000 searches wait, besides those in its hands;
    the next one has no id.
    """

    async def play() -> None:
        database = Slow()
        log, before = query_log(database), counted("query_log", outcome="full")
        taken = [log.note("a", ["t"], found("1")) for _ in range(1_000)]
        assert all(taken)
        assert len(set(taken)) == 1_000
        assert log.note("a", ["t"], found("1")) is None
        assert counted("query_log", outcome="full") == before + 1
        database.free.set()
        await log.close()
        assert [one.id for one in database.written] == taken

    asyncio.run(play())


def test_a_database_that_is_away_costs_the_searches_and_nothing_else() -> None:
    """They are dropped and counted; the next ones are written."""

    async def play() -> None:
        database = Slow()
        database.free.set()
        database.is_away = True
        log, before = query_log(database), counted("query_log", outcome="database")
        log.note("a", ["t"], found("1"))
        await log.close()
        assert counted("query_log", outcome="database") == before + 1
        database.is_away = False
        second = log.note("b", ["t"], found("1"))
        await log.close()
        assert [one.id for one in database.written] == [second]

    asyncio.run(play())


def test_feedback_waits_for_its_search() -> None:
    """Given before the search is written, it is stored after it; about another search,
    at once.
    """

    async def play() -> None:
        database = Slow()
        log = query_log(database)
        first = log.note("a", ["t"], found("1"))
        assert first is not None
        early = asyncio.create_task(log.give(Feedback(first, "t", ("1",), useful=True)))
        await asyncio.sleep(0)  # it has begun
        other = uuid4()
        assert await log.give(Feedback(other, "t", ("1",), useful=True))
        database.free.set()
        assert await early
        assert database.given == [(other, 0), (first, 1)]

    asyncio.run(play())


def test_a_hash_says_no_more_than_that_two_queries_are_equal() -> None:
    """With a secret equal texts have one HMAC on every server; without, each start has
    its own; no text is kept.
    """

    async def kept(**settings: Any) -> list[LoggedSearch]:
        database = Slow()
        database.free.set()
        log = query_log(database, **settings)
        for text in ("a", "a", "b"):
            log.note(text, ["t"], found("1"))
        await log.close()
        return database.written

    def play(**settings: Any) -> list[LoggedSearch]:
        return asyncio.run(kept(**settings))

    with_secret, again = (play(query_log_secret="x" * 16) for _ in range(2))
    assert [one.hmac for one in with_secret] == [one.hmac for one in again]
    without, other = play(), play()
    assert without[0].hmac == without[1].hmac != without[2].hmac
    assert len({with_secret[0].hmac, without[0].hmac, other[0].hmac}) == 3
    assert all(one.text is None for one in (*with_secret, *without))
    assert [(one.text, one.hmac) for one in play(query_log="text")] == [
        ("a", None),
        ("a", None),
        ("b", None),
    ]


def test_trouble_with_one_table_is_counted_said_once_and_harms_no_other() -> None:
    """The first table's file is gone, then there is a bug; the second one's figures are
    asked for each time.
    """
    reasons = iter((VectrueError("gone"), VectrueError("gone"), ZeroDivisionError("x")))
    asked: list[str] = []

    class Database:
        async def run(self, work: Callable[..., Any]) -> Any:
            table = work.keywords["table"]  # type: ignore[attr-defined]  # a partial
            asked.append(table)
            if table == "public.questions":
                raise next(reasons)
            run = QualityRun(table, "m@1", NOW, 3, 0, "exact", 0.5, 0.6, 0.7, 0.1, 0.2)
            return Quality(run, 1.0, None)

    async def never(_: SearchRequest) -> SearchResult:
        raise AssertionError

    async def play() -> None:
        settings = load(
            tables=TABLES, quality={"queries": {"public.questions": "q", "public.other": "r"}}
        )
        database: Any = Database()
        judging = Judging(settings, never, database, MemoryClock())
        for _ in range(3):
            await judging.round()

    before = counted("judged_failures", table="public.questions")
    with capture_logs() as said:
        asyncio.run(play())
    assert counted("judged_failures", table="public.questions") == before + 3
    assert asked == ["public.questions", "public.other"] * 3
    assert [one["reason"] for one in said] == ["gone", "a bug: ZeroDivisionError('x')"]
    labels = {"table": "public.other", "model": "m@1", "measure": "nDCG@10"}
    assert REGISTRY.get_sample_value("vectrue_judged_quality", labels) == 0.5
