"""Search of many rows: time by stage, exact and through HNSW, and what HNSW misses of
what is there.

Queries are three fifths of the words of a row, in another order. Each is asked in every
way (`WAYS`), one after the other, and each query begins with another way, so that none
is favoured by what the one before left in the cache. They go through
`streams.search.search.Search`, the code of `vectrue search`, and its own timings are
what is shown.

Hazard: the vectors are the lexical stand-in's: about 100 of their 1,024 numbers are not
zero. A query's own row stands out (cosine 0.66 on average, of 3,000 rows), and since
rows are words drawn at random there is no meaning that others could share: the tenth is
at 0.24, the hundredth at 0.14, the middle one at 0.04. Such a heap without clusters is
harder for HNSW than the vectors of a model that knows meanings. Times of the database
hold for any vectors of this length; recall is these vectors' own.
"""

import io
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from connectors.postgres.session import Session
from schemas.reports.search import Hit, SearchRequest, SearchResult
from streams.search.search import Search
from tests.bench import interview
from tests.bench.live_first import quantile
from tests.support import figures
from tests.support.server import fill_vectors
from tests.support.workplace import Workplace

QUERIES = 200
LIMIT = 10
MEMORY = "1GB"
"""maintenance_work_mem: the graph of 100,000 vectors of 1,024 numbers is built in
memory.
"""
PAGE_COST = 1.1
"""random_page_cost, as PostgreSQL's manual has it for SSDs. With the default of 4 the
planner compared every row at ef_search 200 of 100,000 rows, and at 40 of 20,000: it
does not count that vectors lie beside their rows.
"""
_WARM = 10
_EQUAL = 1e-6
"""Similarities that differ by less are rounded differently."""
_FEW = "id % 100 = 7"
_INDEX = "questions_embedding_hnsw"
_BUILD = (
    f"CREATE INDEX {_INDEX} ON questions USING hnsw (embedding vector_cosine_ops) WITH (m = 16, "
    "ef_construction = 64)"
)
_SIZES = (
    f"SELECT pg_table_size('questions'), pg_relation_size('{_INDEX}'), "
    "current_setting('shared_buffers')"
)
_COST = f"SELECT format('ALTER DATABASE %I SET random_page_cost = {PAGE_COST}', current_database())"
_SCANS = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask."""

    name: str
    exact: bool = False
    ef_search: int | None = None
    where: str | None = None

    def request(self, text: str) -> SearchRequest:
        """A query, asked in this way."""
        return SearchRequest(
            text, limit=LIMIT, exact=self.exact, ef_search=self.ef_search, where=self.where
        )


WAYS = (
    Way("exact", exact=True),
    *(Way(f"HNSW, ef_search {candidates}", ef_search=candidates) for candidates in (40, 100, 200)),
    Way("exact, 1 row in 100 (`--where`)", exact=True, where=_FEW),
    Way("HNSW, ef_search 40, 1 row in 100 (`--where`)", ef_search=40, where=_FEW),
)


@dataclass
class Measured:
    """What came of one way. Milliseconds of each query by stage; recall of each, from 0
    to 1.

    Attributes:
        used_index: queries that looked into the index, by the server's own count.
        own_row: queries that found the row whose words they are of.
    """

    embed: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    used_index: int = 0
    own_row: int = 0

    def note(self, found: SearchResult) -> None:
        """Take in the times of an answer."""
        for stage in ("embed", "database", "total"):
            getattr(self, stage).append(1000 * getattr(found.timings, stage))

    def to_json(self) -> dict[str, Any]:
        """Figures by name."""
        stages = {
            f"{stage}_{name}_ms": round(quantile(getattr(self, stage), share), 3)
            for stage in ("embed", "database", "total")
            for name, share in (("p50", 0.5), ("p95", 0.95))
        }
        mean = sum(self.recall) / len(self.recall)
        return {**stages, "recall": mean, "used_index": self.used_index, "own_row": self.own_row}

    def line(self) -> str:
        """The figures that differ by way."""
        recall = sum(self.recall) / len(self.recall)
        return (
            f"database {pair(self.database)}, total {pair(self.total)}; recall@{LIMIT} "
            f"{recall:.3f};"
            f" index used by {self.used_index} of {len(self.total)}"
        )


@dataclass
class Report:
    """Figures of one run; sizes in bytes, times in seconds but for those of `ways`."""

    model: str
    rows: int
    queries: int
    fill_seconds: float
    build_seconds: float
    table_bytes: int
    index_bytes: int
    shared_buffers: str
    ways: dict[str, Measured]

    def lines(self) -> list[tuple[str, object]]:
        """The table; times are p50 / p95."""
        embed = [ms for measured in self.ways.values() for ms in measured.embed]
        own = ", ".join(
            f"{one.own_row} ({name})" for name, one in self.ways.items() if "where" not in name
        )
        built = f"{self.build_seconds:,.0f} s (maintenance_work_mem {MEMORY})"
        return [
            ("rows", f"{self.rows:,}, {self.table_bytes / 1e6:,.0f} MB with vectors"),
            ("server", f"shared_buffers {self.shared_buffers}, random_page_cost {PAGE_COST:g}"),
            (
                "HNSW index, m 16, ef_construction 64",
                f"{self.index_bytes / 1e6:,.0f} MB, built in {built}",
            ),
            ("queries", f"{self.queries}, each in every way, {LIMIT} rows; times are p50 / p95"),
            ("embedding the query, the same in every way", pair(embed)),
            *((name, measured.line()) for name, measured in self.ways.items()),
            (f"queries whose own row is among the {LIMIT}", own),
        ]

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {
            **vars(self),
            "ways": {name: measured.to_json() for name, measured in self.ways.items()},
        }

    def markdown(self, command: str) -> str:
        """The table for docs/search.md, and the command that repeats it."""
        return f"`{command}`\n\n{figures.markdown(('search', self.model), self.lines())}"

    def print(self) -> None:
        """Print the table."""
        figures.show(
            Console(width=200), f"search of {self.rows:,} rows, {self.model}", self.lines()
        )


def run(place: Workplace, rows: int, say: Say) -> Report:
    """Fill, build the index, ask.

    Args:
        place: a workplace with an empty `questions`; `init` was not run.
        rows: how many.
        say: takes a line for each step.

    Raises:
        AssertionError: a row is not current, so that a search would not find it.
    """
    texts = _texts(rows)
    began = time.monotonic()
    _fill(place, texts)
    filled = time.monotonic() - began
    say(f"{rows:,} rows filled in {filled:,.0f} s")
    place.execute(f"SET maintenance_work_mem = '{MEMORY}'")
    began = time.monotonic()
    place.execute(_BUILD)
    built = time.monotonic() - began
    place.execute("VACUUM ANALYZE questions")
    say(f"index built in {built:,.0f} s")
    ((table, index, buffers),) = place.execute(_SIZES)
    place.execute(place.value(_COST))
    session = Session(place.settings.postgres.dsn, role="bench search")
    ways = _ask(Search(place.settings, session), session, queries(texts, QUERIES + _WARM), say)
    session.close()
    model = place.value("SELECT model FROM vectrue.targets")
    return Report(model, rows, QUERIES, filled, built, table, index, buffers, ways)


def queries(texts: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Rows drawn at random, by key, each with some of its words in another order; all
    words but its number.
    """
    draw = random.Random(7)
    made = []
    for index in draw.choices(range(len(texts)), k=count):
        words = texts[index].split()[:-1]
        made.append((str(index + 1), " ".join(draw.sample(words, round(0.6 * len(words))))))
    return made


def recall(found: Sequence[Hit], truth: Sequence[Hit]) -> float:
    """Share of the nearest rows that were found; one that is as near as the last of
    them counts as it.
    """
    least = truth[-1].similarity - _EQUAL
    return sum(hit.similarity >= least for hit in found) / len(truth)


def pair(ms: Sequence[float]) -> str:
    """p50 / p95."""
    return f"{quantile(ms, 0.5):,.1f} / {quantile(ms, 0.95):,.1f} ms"


def _texts(rows: int) -> list[str]:
    source = interview.Texts(interview.TABLES[0], seed=6)
    return [source.next() for _ in range(rows)]


def _fill(place: Workplace, texts: Sequence[str]) -> None:
    """Texts first, so that capture, which `init` starts, has nothing to tell; vectors
    as a worker writes them.
    """
    lines = "".join(f"{key}\t{text}\n" for key, text in enumerate(texts, 1))
    with place.session.transaction() as cursor:
        cursor.copy_expert("COPY questions (id, question) FROM STDIN", io.StringIO(lines))
    place.vectrue("init")
    fill_vectors(place)
    current = place.coverage()["current"]
    if current != len(texts):
        raise AssertionError(f"{current:,} of {len(texts):,} rows are current")


def _ask(
    searching: Search, session: Session, asked: Sequence[tuple[str, str]], say: Say
) -> dict[str, Measured]:
    """Every query in every way, the first ones for nothing but warmth."""
    ways = {way.name: Measured() for way in WAYS}
    for number, (own, text) in enumerate(asked, 1 - _WARM):
        hits: dict[str, tuple[Hit, ...]] = {}
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            before = _scans(session)
            found = searching.find(way.request(text))
            hits[way.name] = found.hits
            if number > 0:
                ways[way.name].note(found)
                ways[way.name].used_index += _scans(session) > before
        truth = {way.where: hits[way.name] for way in WAYS if way.exact}
        for way in WAYS if number > 0 else ():
            ways[way.name].recall.append(recall(hits[way.name], truth[way.where]))
            ways[way.name].own_row += (own,) in (hit.key for hit in hits[way.name])
        if number > 0 and number % 50 == 0:
            say(f"{number} queries asked")
    return ways


def _scans(session: Session) -> int:
    """Scans of the index so far; the server adds this session's own at the end of a
    statement that asks it to.
    """
    session.rows("SELECT pg_stat_force_next_flush()")
    return int(session.rows(_SCANS, (_INDEX,))[0][0])
