"""What it costs that one row harms no other: the digest of each vector, and scans that
survive any row.

Each pair is measured in turns on one table, and the fastest round of each is shown with
their ratio, since the neighbours' load only adds. The text is `question || left('', 1 /
(views + 1))`, which raises an error where `views` is -1: there is hardly a cheaper text
that can raise one, so the ratios of guarded scans are the largest to expect; where a
text takes longer, they are smaller.

Hazard: the table fits into the memory of the machine. From a disk, what reads vectors
takes longer.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from psycopg2 import sql
from rich.console import Console

from connectors.postgres import queries
from connectors.postgres.audit.scan import Audit
from connectors.postgres.ledger import enumeration
from connectors.postgres.rows import copy, quarantine
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.search import search
from connectors.postgres.session import Session
from connectors.twins.memory import sha256
from schemas.reports.replay import Request
from schemas.reports.search import SearchRequest
from schemas.rows.document import Update, Vector
from schemas.rows.target import Target
from schemas.settings.reading import Settings, load
from streams.common import targets
from tests.support import figures, workplace
from tests.support.init import set_up_database
from tests.support.workplace import server_owner

DIMENSIONS = 1024
WRITTEN = 512
ROUNDS = 5
SHORT_ROUNDS = 60
"""Of what takes milliseconds."""
_TEXT = "question || left('', 1 / (views + 1))"
_PAGE = 5000
_FILL = """
    INSERT INTO questions (
        id, question, embedding, embedding_hash, embedding_model, embedded_at, embedding_digest
    )
    SELECT ord, 'question number ' || ord, vector,
        sha256(convert_to('question number ' || ord, 'UTF8')), %s, now(),
        vectrue.vector_digest(vector) || xidsend(pg_current_xact_id()::xid)
    FROM bench_vectors
"""
_INDEX = """
    CREATE INDEX questions_embedding_hnsw ON questions USING hnsw (embedding vector_cosine_ops)
    WITH (m = 4, ef_construction = 8)
"""
"""A poor one, quickly built: what a search costs is compared, not what it finds."""
_WITHOUT = {
    "write_vectors": (
        (",\n    {digest_column} = our_asked.our_digest || xidsend(our_stage.xmin)", ""),
        ("record_image_eq(ROW({table}.{column}), ROW(our_stage.our_vector))", "true"),
    ),
    "tied": ((queries.text("tied").rstrip().splitlines()[-1], "true"),),
}
"""What the digest adds to queries: file, and what is put in place of which part."""
Say = Callable[[str], None]


@dataclass
class Report:
    """Pairs: a name, what it is compared with, and the milliseconds of both in each
    round.
    """

    rows: int
    pairs: list[tuple[str, str, list[float], list[float]]] = field(default_factory=list)

    def lines(self) -> list[tuple[str, object]]:
        """The table."""
        return [
            (f"{name}, against {base}", self._line(ours, other))
            for name, base, ours, other in self.pairs
        ]

    def _line(self, ours: list[float], other: list[float]) -> str:
        a, b = min(ours), min(other)
        return f"{_ms(a)} against {_ms(b)}: ratio {a / b:.2f}"

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "rows": self.rows,
            "pairs": [
                dict(zip(("name", "base", "ours_ms", "base_ms"), pair, strict=True))
                for pair in self.pairs
            ],
        }

    def markdown(self, command: str) -> str:
        """The table for docs/measurements.md, and the command that repeats it."""
        return f"`{command}`\n\n{figures.markdown(self._heading(), self.lines())}"

    def print(self) -> None:
        """Print the table."""
        figures.show(Console(width=200), ", ".join(self._heading()), self.lines())

    def _heading(self) -> tuple[str, str]:
        return (
            f"{self.rows:,} rows, vectors of {DIMENSIONS:,} numbers",
            "the fastest round of each, in turns",
        )


@contextmanager
def prepared(dsn: str) -> Iterator[Settings]:
    """A database of its own with an empty table `questions`, set up as `init` does;
    taken away again.
    """
    name = f"bench_{secrets.token_hex(4)}"
    there = f"{dsn.rsplit('/', 1)[0]}/{name}"
    with server_owner(dsn) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    settings = load(
        model={"name": "lexical", "dimensions": DIMENSIONS},
        postgres={"dsn": there, "origin": name},
        kafka={"topic_prefix": name},
        tables=[{"name": "public.questions", "text": _TEXT}],
    )
    with server_owner(there) as cursor:
        cursor.execute("CREATE EXTENSION vector")
        cursor.execute(workplace.CREATE_QUESTIONS.format(dimensions=DIMENSIONS))
    set_up_database(settings)
    # no one reads it, so the log of the whole run would be kept
    with server_owner(there) as cursor:
        cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    yield settings
    with server_owner(dsn) as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(settings: Settings, rows: int, say: Say) -> Report:
    """Fill the table and measure every pair."""
    report = Report(rows)
    with closing(Session(settings.postgres.dsn, role="bench")) as session:
        (target,) = targets.resolve(settings, session)
        _fill(session, target, rows)
        say(f"{rows:,} rows filled")
        _measure(report, settings, session, target, say)
    return report


def _measure(
    report: Report, settings: Settings, session: Session, target: Target, say: Say
) -> None:
    def pair(
        name: str,
        base: str,
        ours: Callable[[], object],
        other: Callable[[], object],
        rounds: int = ROUNDS,
    ) -> None:
        times = in_turns(ours, other, rounds)
        report.pairs.append((name, base, *times))
        say(report.lines()[-1][0] + ": " + str(report.lines()[-1][1]))

    def scan(of: Target = target) -> object:
        return enumeration.survey(session, of, Request(), exact=True)

    pair("scan of all rows (`status`)", "without the digest", scan, without_digest(scan))
    pair("guarded scan, no bad row", "plain", lambda: scan(target.guard()), scan)
    for bad in (1, 1000):
        _spoil(session, report.rows, bad)
        pair(
            f"scan around {bad:,} bad rows",
            "plain scan of the others",
            scan,
            _unspoilt(session, target),
        )
    session.rows("UPDATE questions SET views = views + 2")
    session.rows("VACUUM (ANALYZE) questions")
    pair(
        "scan after the application wrote all rows",
        "without the digest",
        scan,
        without_digest(scan),
    )
    with closing(PostgresStore(settings.postgres, role="bench")) as store:
        writes = _Writes(store, target)
        pair(
            f"write of {WRITTEN} vectors",
            "without the digest",
            writes,
            without_digest(writes),
            SHORT_ROUNDS,
        )
    _verify_and_search(settings, session, target, pair, say)


def _verify_and_search(
    settings: Settings, session: Session, target: Target, pair: Callable[..., None], say: Say
) -> None:
    """Where no row is bad, and what it would cost to be guarded at once; states by key
    always are.
    """
    random = np.random.default_rng(1)
    guarded = target.guard()
    keys = [(str(key),) for key in random.choice(WRITTEN, 100, replace=False) + 1]
    asked = iter(_vectors(random, 4 * (SHORT_ROUNDS + 1)))

    def states() -> object:
        return quarantine.states(session, target, keys)

    def nearest(of: Target, *, exact: bool) -> Callable[[], object]:
        request = SearchRequest("any", exact=exact, limit=10)
        return lambda: search.nearest(session, of, next(asked), request)

    pair("states of 100 rows by key, guarded", "plain", states, unguarded(states), SHORT_ROUNDS)
    pair(
        "exact search, 10 hits, guarded",
        "plain",
        nearest(guarded, exact=True),
        nearest(target, exact=True),
    )
    session.rows("SET maintenance_work_mem = '1GB'")
    session.rows(_INDEX)
    say("index built")
    session.rows("SET random_page_cost = 1.1")
    if not search.uses_index(session, target, 10):
        raise AssertionError("the planner does not take the index")
    ways = [nearest(of, exact=False) for of in (guarded, target)]
    pair("search by index, 10 hits, guarded", "plain", *ways, SHORT_ROUNDS)
    with closing(Audit(settings.postgres)) as audit:
        pair(
            "scan of `verify`, guarded",
            "plain",
            lambda: audit.scan(guarded),
            lambda: audit.scan(target),
            3,
        )


def in_turns(
    ours: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each call, by round, the first for nothing but warmth; who begins
    alternates.
    """
    times: dict[int, list[float]] = {0: [], 1: []}
    for number in range(rounds + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            (ours, other)[which]()
            if number:
                times[which].append(1000 * (time.perf_counter() - started))
    return times[0], times[1]


def unguarded(work: Callable[[], object]) -> Callable[[], object]:
    """The same work, which the first row whose text cannot be made would end."""

    def other() -> object:
        with mock.patch.object(Target, "guard", lambda target: target):
            return work()

    return other


def without_digest(work: Callable[[], object]) -> Callable[[], object]:
    """The same work with queries that know no digest."""
    real = queries.text

    def text(name: str) -> str:
        found = real(name)
        for part, instead in _WITHOUT.get(name, ()):
            if part not in found:
                raise AssertionError(f"the query {name} no longer has: {part}")
            found = found.replace(part, instead)
        return found

    def other() -> object:
        with mock.patch.object(queries, "text", text):
            return work()

    return other


class _Writes:
    """Writes other vectors of the same rows at each call, as the replay lane does."""

    def __init__(self, store: PostgresStore, target: Target) -> None:
        self._store = store
        self._target = target
        self._random = np.random.default_rng(2)
        self._hashes = [sha256(f"question number {i + 1}") for i in range(WRITTEN)]

    def __call__(self) -> None:
        vectors = _vectors(self._random, WRITTEN)
        updates = [
            Update((str(i + 1),), self._hashes[i], vector) for i, vector in enumerate(vectors)
        ]
        written = self._store.write(self._target, updates)
        if {state.name for state in written.values()} != {"WRITTEN"}:
            raise AssertionError("not all vectors were written")


def _fill(session: Session, target: Target, rows: int) -> None:
    """Rows with dense vectors and true provenance, without any model."""
    random = np.random.default_rng(0)
    session.rows("CREATE UNLOGGED TABLE bench_vectors (ord integer, vector vector)")
    copied = sql.SQL("COPY bench_vectors (ord, vector) FROM STDIN WITH (FORMAT binary)")
    for start in range(0, rows, _PAGE):
        count = min(_PAGE, rows - start)
        image = copy.image(range(start + 1, start + count + 1), _vectors(random, count))
        with session.transaction() as cursor:
            cursor.copy_expert(copied, image)
    session.rows(_FILL, (target.model,))
    session.rows("DROP TABLE bench_vectors")
    session.rows("VACUUM (ANALYZE) questions")
    session.rows("CHECKPOINT")


def _vectors(random: np.random.Generator, count: int) -> Vector:
    vectors = random.normal(size=(count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _spoil(session: Session, rows: int, bad: int) -> None:
    """Make the text of `bad` rows raise an error. Their new versions stand last in the
    table: the worst case.
    """
    session.rows("UPDATE questions SET views = -1 WHERE id %% %s = 0 AND views = 0", (rows // bad,))
    session.rows("VACUUM (ANALYZE) questions")


def _unspoilt(session: Session, target: Target) -> Callable[[], object]:
    """A plain scan of the rows whose text can be made."""
    request = Request(where="views >= 0")
    return lambda: enumeration.survey(session, target, request, exact=True)


def _ms(ms: float) -> str:
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms"
