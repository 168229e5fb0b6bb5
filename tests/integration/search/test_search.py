"""`vectrue search` on a real database: what is found, by which way, and what is said
about the rest.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from connectors.models import open_model
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.search import BY_COMMAND, SearchRequest, SearchResult
from streams.search import coverage as search_coverage
from streams.search.search import Search
from tests.support import workplace as workplaces
from tests.support.init import setup
from tests.support.vectors import embed_all
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Endpoints, Workplace

pytestmark = pytest.mark.stack

ROWS = 3000
QUERY = "question 7 of 8f14e45fceea167a5a36dedd4bea2543"
FILL = """
    INSERT INTO questions (question, views)
    SELECT 'question ' || i || ' of ' || md5(i::text), i % 100 FROM generate_series(1, {}) AS i
"""
RUN = """
    WITH run AS (
            INSERT INTO vectrue.replays (run, scope, state)
            VALUES (gen_random_uuid(), 'stale', %s) RETURNING run
        ),
        scoped AS (
            INSERT INTO vectrue.replay_scopes (run, table_name, column_name, model, expected)
            SELECT run, 'public.questions', 'embedding', 'm', 3 FROM run
        )
    SELECT run::text FROM run
"""
HASHED = "UPDATE questions SET embedding_hash = sha256(convert_to(question, 'UTF8'))"
INDEX = (
    "CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops) WITH (m = 4, "
    "ef_construction = 8)"
)


@pytest.fixture(scope="module")
def shared(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """3,000 true rows behind a poor HNSW index; a test that changes rows puts them
    back.
    """
    with workplaces.workplace(stack, tmp_path_factory.mktemp("search")) as place:
        place.execute(CREATE_QUESTIONS.format(dimensions=64))
        place.execute(FILL.format(ROWS))
        setup(place.settings)
        embed_all(place)
        place.execute(INDEX)
        place.execute("ANALYZE questions")
        yield place


def find(place: Workplace, text: str = QUERY, **options: Any) -> SearchResult:
    """One search on a session of its own."""
    session = Session(place.settings.postgres.dsn, role="test search")
    try:
        return Search(place.settings, session).find(SearchRequest(text, **options))
    finally:
        session.close()


def keys(found: SearchResult) -> list[int]:
    """Keys of the hits."""
    return [int(hit.key[0]) for hit in found.hits]


def nearest(place: Workplace, text: str, count: int, where: str = "true") -> list[int]:
    """What numpy finds among all stored vectors."""
    lines = place.execute(f"SELECT id, embedding::text FROM questions WHERE {where} ORDER BY id")
    vectors = np.array([json.loads(vector) for _, vector in lines], np.float32)
    order = np.argsort(
        -(vectors @ open_model(place.settings.model).encode_query(text)), kind="stable"
    )
    return [lines[i][0] for i in order[:count]]


@contextmanager
def server_setting(place: Workplace, **settings: object) -> Iterator[None]:
    """Settings of the database for sessions that begin meanwhile."""
    name = place.value("SELECT current_database()")
    for setting, value in settings.items():
        place.execute(f"ALTER DATABASE {name} SET {setting.replace('__', '.')} = {value}")
    try:
        yield
    finally:
        place.execute(f"ALTER DATABASE {name} RESET ALL")


def test_exact_is_what_numpy_finds(shared: Workplace) -> None:
    """--exact ranks as a full comparison does, although there is an index that finds
    less; without it that is used.
    """
    for text in (QUERY, "of 1679091c5a880faf6fb5e6087eb1b2dc", "question"):
        found = {
            int(hit.key[0]): hit.similarity for hit in find(shared, text, limit=20, exact=True).hits
        }
        best = nearest(shared, text, ROWS)
        # Rows as near as each other come in any order.
        first = find(shared, text, limit=ROWS // 3, exact=True).hits
        by_key = {int(hit.key[0]): hit.similarity for hit in first}
        assert list(found.values()) == pytest.approx([by_key[key] for key in best[:20]], abs=1e-6)
    scans = "SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = 'nearest'"

    def is_scanned() -> bool:
        """Asked again: the index is left out while a transaction of any database is older."""
        find(shared)
        return bool(shared.value(scans))

    until(is_scanned, what="the server to have counted a scan of the index")


def test_an_index_gives_as_many_rows_as_are_asked_for(shared: Workplace) -> None:
    """More rows than HNSW's 40 candidates, and rows that meet a rare condition, come
    back in full and in order.
    """
    with server_setting(shared, enable_seqscan="off", enable_bitmapscan="off"):
        many = find(shared, limit=200)
        rare = find(shared, limit=20, where="views = 7 AND question LIKE '%f%'")
    assert len(many.hits) == 200
    assert len(rare.hits) == 20
    for found in (many, rare):
        similarities = [hit.similarity for hit in found.hits]
        assert similarities == sorted(similarities, reverse=True)
    kept = set(nearest(shared, QUERY, ROWS, "views = 7 AND question LIKE '%%f%%'"))
    assert set(keys(rare)) <= kept


def test_where_an_index_gives_up_every_row_is_compared(shared: Workplace) -> None:
    """A condition that only a far row meets, beyond what HNSW scans: it is found."""
    (farthest,) = nearest(shared, QUERY, ROWS)[-1:]
    with server_setting(
        shared, enable_seqscan="off", enable_bitmapscan="off", hnsw__max_scan_tuples=1
    ):
        assert keys(find(shared, where=f"id + 0 = {farthest}")) == [farthest]


def test_a_condition_can_neither_write_nor_leave_its_brackets(shared: Workplace) -> None:
    """--where is checked as that of a replay is, and runs where nothing can be written."""
    shared.execute(
        "CREATE OR REPLACE FUNCTION spoil(key bigint) RETURNS boolean LANGUAGE plpgsql AS"
        " 'BEGIN UPDATE questions SET views = -1 WHERE id = key; RETURN true; END'"
    )
    for where in (
        "true; DELETE FROM questions",
        "true) OR (true",
        "no_column = 1",
        "views",
        "spoil(id)",
    ):
        with pytest.raises(VectrueError, match=r"--where|read-only"):
            find(shared, where=where)
    assert shared.value("SELECT count(*) FROM questions WHERE views >= 0") == ROWS


def test_what_cannot_be_found_is_said(shared: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of another model are not found; an edited one is found by its old text and
    marked; both are counted.
    """
    assert find(shared).warnings == ()
    shared.execute("UPDATE questions SET embedding_model = 'other@1' WHERE id IN (7, 8)")
    shared.execute("UPDATE questions SET question = 'edited [b]' WHERE id = 9")
    try:
        assert 7 not in keys(find(shared, limit=1000, exact=True))
        (edited,) = find(
            shared, "question 9 of 45c48cce2e2d7fbdea1afc51c7c6ad26", limit=1, exact=True
        ).hits
        assert (edited.text, edited.is_current) == ("edited [b]", False)
        assert edited.age_seconds is not None
        assert edited.age_seconds > 0
        (warning,) = find(shared).warnings
        assert warning == (
            "99.9 % of 3,000 rows of public.questions are covered: 2 are not searched, 1 are "
            "found by an older text; "
            f"{BY_COMMAND}"
        )
        paused = "{} over them is paused: vectrue replay resume {}"
        for state, told in (("running", "{} is filling them"), ("paused", paused)):
            begun = shared.value(RUN, (state,))
            (warning,) = find(shared).warnings
            assert warning.endswith(f"; replay run {told.format(begun, begun)}")
            shared.execute("DELETE FROM vectrue.replays")

        monkeypatch.setattr(search_coverage, "_SAMPLE_BYTES", 8192 * 32)
        shared.execute("UPDATE questions SET embedding_model = 'other@1'")
        (sampled,) = find(shared).searched
        assert not sampled.exact
        assert sampled.share == 0
        assert sampled.warning().startswith("about 0.0 % of ")
    finally:
        monkeypatch.undo()
        shared.execute("UPDATE questions SET question = 'question 9 of ' || md5('9') WHERE id = 9")
        shared.execute("UPDATE questions SET embedding_model = (SELECT model FROM vectrue.targets)")
        # what grew would be sampled in the tests that follow
        shared.execute("VACUUM FULL questions")
    assert find(shared).warnings == ()


def test_the_coverage_is_not_looked_at_for_every_query(shared: Workplace) -> None:
    """Two searches within a minute share one count of the coverage; a minute later it is
    counted again.
    """

    class Clock:
        seconds = 0.0

        def monotonic(self) -> float:
            return self.seconds

    clock: Any = Clock()
    session = Session(shared.settings.postgres.dsn, role="test search")
    searching = Search(shared.settings, session, clock=clock)
    assert searching.find(SearchRequest(QUERY)).warnings == ()
    shared.execute("UPDATE questions SET embedding_hash = NULL WHERE id = 1")
    try:
        assert searching.find(SearchRequest(QUERY)).warnings == ()
        clock.seconds = 61.0
        assert len(searching.find(SearchRequest(QUERY)).warnings) == 1
    finally:
        shared.execute(f"{HASHED} WHERE embedding_hash IS NULL")
        session.close()


def test_a_vector_that_is_none_is_left_out(shared: Workplace) -> None:
    """A zero vector and a vector that is gone have no similarity: neither ends the search,
    and neither is found.
    """
    shared.execute("CREATE TABLE kept AS SELECT id, embedding FROM questions WHERE id IN (1, 2)")
    shared.execute("UPDATE questions SET embedding = array_fill(0, ARRAY[64])::vector WHERE id = 1")
    shared.execute("UPDATE questions SET embedding = NULL WHERE id = 2")
    try:
        found = find(shared, exact=True, limit=1000, where="id < 10")
        assert sorted(keys(found)) == [3, 4, 5, 6, 7, 8, 9]
        assert keys(find(shared, min_similarity=0.99, exact=True)) == [7]
    finally:
        shared.execute(
            "UPDATE questions q SET embedding = kept.embedding FROM kept WHERE kept.id = q.id"
        )
        shared.execute("DROP TABLE kept")


def test_odd_names_are_searched(stack: Endpoints, tmp_path: Any) -> None:
    """The extension outside the search path, a composite key, names with %, a column
    called `key`: found.
    """
    table = {"name": 'public."50% of.f"', "text": '"te%xt" || chr(37)', "column": "vec%tor"}
    with workplaces.workplace(stack, tmp_path, tables=[table]) as place:
        place.execute("CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions")
        place.execute(
            'CREATE TABLE "50% of.f" (key bigint, "a%%b" uuid DEFAULT gen_random_uuid(),'
            ' "te%xt" text, distance int,'
            ' "vec%tor" extensions.vector(64), PRIMARY KEY (key, "a%%b"))'
        )
        place.execute(
            """INSERT INTO "50% of.f" (key, "te%xt")
               SELECT i, 'text ' || i FROM generate_series(1, 5) AS i"""
        )
        setup(place.settings)
        embed_all(place)
        place.execute(
            'CREATE INDEX ON "50% of.f" USING hnsw ("vec%tor" extensions.vector_cosine_ops)'
        )
        found = find(place, "text 3%", where="key % 2 = 1 AND distance IS NULL")
    assert (found.hits[0].key[0], found.hits[0].text) == ("3", "text 3%")
    assert len(found.hits) == 3
    assert found.warnings == ()


def test_the_command(shared: Workplace) -> None:
    """Table and JSON on stdout, notices on stderr, an impossible request is a usage
    error or one sentence.
    """
    shown = shared.vectrue("search", QUERY, "-n", "2", "--exact")
    assert shown.stdout.split("\n")[0].split() == ["SIMILARITY", "TABLE", "KEY", "AGE", "TEXT"]
    assert shown.stdout.split("\n")[1].split()[:3] == ["1.0000", "public.questions", "7"]
    assert shown.stderr.startswith("lexical stand-in")
    shared.execute("UPDATE questions SET embedding_hash = NULL WHERE id = 7")
    try:
        said = shared.vectrue(
            "search",
            QUERY,
            "-n",
            "1",
            "-t",
            "questions",
            "--where",
            "views = 7",
            "--exact",
            "-o",
            "json",
        )
    finally:
        shared.execute(f"{HASHED} WHERE embedding_hash IS NULL")
    report = json.loads(said.stdout)
    assert list(report) == ["query", "model", "hits", "timings", "coverage", "warnings"]
    assert list(report["timings"]) == ["embed_seconds", "database_seconds", "total_seconds"]
    assert report["hits"][0]["key"] == ["7"]
    assert report["hits"][0]["is_current"] is False
    assert report["coverage"][0]["current"] == ROWS - 1
    assert "99.9 % of 3,000 rows" in said.stderr
    assert shared.vectrue("search", "x", "-n", "0", check=False).returncode == 2
    both = shared.vectrue("search", "x", "--exact", "--ef-search", "100", check=False)
    assert (both.returncode, both.stdout) == (1, "")
    assert "an exact search uses none" in both.stderr
