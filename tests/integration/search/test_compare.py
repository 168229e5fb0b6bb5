"""`vectrue compare --columns` on a real migration, and on a table: nothing is written,
every state is said.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

INDEX = "CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)"
ROWS = 60


@pytest.fixture
def judged(workplace: Workplace) -> Path:
    """Rows, and two queries that are parts of two of them."""
    workplace.execute(
        "INSERT INTO questions (question) SELECT md5(i::text) || ' ' || i FROM "
        f"generate_series(1, {ROWS}) i"
    )
    workplace.execute("INSERT INTO questions (question) VALUES (' ')")
    file = workplace.directory / "queries.jsonl"
    lines = []
    for key in (7, 42):
        text = workplace.value("SELECT left(question, 20) FROM questions WHERE id = %s", (key,))
        lines.append(json.dumps({"query": text, "relevant": [key]}))
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def compared(place: Workplace, file: Path, *arguments: str) -> dict[str, Any]:
    """The report as JSON."""
    done = place.vectrue("compare", "-q", str(file), *arguments, "-o", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(place: Workplace, file: Path, *arguments: str) -> str:
    """The one sentence."""
    done = place.vectrue("compare", "-q", str(file), *arguments, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def recall(report: dict[str, Any], way: str, one: str) -> float:
    """recall@10 over all queries."""
    line = next(
        line
        for line in report["quality"][way]
        if (line["group"], line["measure"]) == ("all", "recall@10")
    )
    return float(line[one]["mean"])


def test_the_columns_of_a_migration(workplace: Workplace, judged: Path) -> None:
    """Before the fill, after it, and after the swap: A is the old model, B the new one,
    and what is missing is said.

    pgvector is outside the search path, as on some hosted servers.
    """
    place = workplace
    place.execute(INDEX)
    place.execute("CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions")
    place.vectrue("init")
    assert "no migration of public.questions.embedding is under way" in refused(
        place, judged, "--columns"
    )

    place.vectrue("migrate", "start", "--model", "lexical", "--dimensions", "96")
    place.start_worker("replay")
    empty = compared(place, judged, "--columns")
    assert [empty[side]["name"] for side in "ab"] == [
        "public.questions.embedding",
        "public.questions.embedding_v2",
    ]
    assert [recall(empty, "exact", side) for side in "ab"] == [0, 0]
    said = "\n".join(empty["notes"])
    assert f"embedding_v2 holds vectors of 0 of {ROWS} texts" in said
    assert "not searched by index: public.questions.embedding_v2" in said

    place.vectrue("replay", "run")
    place.vectrue("migrate", "index")
    before = place.execute("SELECT xmin::text, ctid::text FROM questions ORDER BY id")
    filled = compared(place, judged, "--columns", "-k", "10")
    assert place.execute("SELECT xmin::text, ctid::text FROM questions ORDER BY id") == before
    assert filled["corpus"] == f"{ROWS} texts of public.questions"
    assert list(filled["quality"]) == ["exact", "index"]
    assert [recall(filled, way, side) for way in ("exact", "index") for side in "ab"] == [
        1,
        1,
        1,
        1,
    ]
    assert [filled[side]["dimensions"] for side in "ab"] == [64, 96]
    for side, dimensions in (("a", 64), ("b", 96)):
        assert filled[side]["vectors"] == ROWS
        assert filled[side]["vector_bytes"] >= ROWS * dimensions * 4
        assert filled[side]["index_bytes"] > 0
        assert filled[side]["memory_peak"] > filled[side]["memory_start"] > 0
        assert (
            filled[side]["latency"]["index"]["total"]["p95"]
            >= filled[side]["latency"]["index"]["total"]["p50"]
            > 0
        )
    assert any("hnsw.ef_search = 40" in note for note in filled["notes"])

    place.vectrue("migrate", "swap")
    swapped = compared(place, judged, "--columns")
    assert [swapped[side]["name"] for side in "ab"] == [
        "public.questions.embedding_old",
        "public.questions.embedding",
    ]
    assert [swapped[side]["model"] for side in "ab"] == [filled[side]["model"] for side in "ab"]


def test_two_models_on_a_table(workplace: Workplace, judged: Path) -> None:
    """The texts of the table as they are, before `init`; a judged row that is blank or
    no number is named.
    """
    page = workplace.directory / "report.html"
    found = compared(workplace, judged, "lexical:64", "lexical:128", "--html", str(page))
    assert found["corpus"] == f"{ROWS} texts of public.questions"
    assert [recall(found, "exact", side) for side in "ab"] == [1, 1]
    assert "lexical:128" in page.read_text(encoding="utf-8")
    for key in (ROWS + 1, "x"):
        other = workplace.directory / "other.jsonl"
        other.write_text(json.dumps({"query": "q", "relevant": [7, key]}), encoding="utf-8")
        said = refused(workplace, other, "lexical:64", "lexical:128")
        assert (
            f"line 1 of {other} judges id {key} as relevant, which has no text in public.questions"
            in said
        )
    assert "A and B are both lexical@1" in refused(workplace, judged, "lexical:64", "lexical")
