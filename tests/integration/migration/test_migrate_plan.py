"""`migrate plan` is the whole to-do, on tables unlike the example's; and indexes
through the command line.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

TO = ("--model", "lexical", "--dimensions", "96")


def planned(place: Workplace, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The plan as JSON."""
    done = place.vectrue("migrate", "plan", *(arguments or TO), "-o", "json", check=False)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def todo(plan: Mapping[str, Any], words: str) -> dict[str, Any]:
    """The one entry of the first table that has these words."""
    found: list[dict[str, Any]] = [one for one in plan["tables"][0]["todo"] if words in one["what"]]
    assert len(found) == 1, plan["tables"][0]["todo"]
    return found[0]


def test_everything_that_reads_the_column_is_named_with_its_statement(ready: Workplace) -> None:
    """Views, functions by number and by text, each with its owner and the step that it
    blocks.
    """
    ready.execute("CREATE VIEW near AS SELECT id, embedding FROM questions")
    ready.execute(
        "CREATE FUNCTION by_text() RETURNS bigint LANGUAGE sql AS 'SELECT count(embedding) FROM "
        "questions'"
    )
    ready.execute(
        "CREATE FUNCTION others() RETURNS text LANGUAGE sql AS 'SELECT ''embedding_model''::text'"
    )
    plan = planned(ready)
    view = todo(plan, "public.near")
    assert (view["step"], view["blocks"], view["statement"]) == (
        "finish",
        True,
        "DROP VIEW public.near",
    )
    assert view["who"] == ready.value("SELECT current_user")
    look = todo(plan, "by_text()")
    assert (look["step"], look["blocks"]) == ("swap", False)
    assert "others()" not in json.dumps(plan)
    assert "view public.near" in plan["tables"][0]["readers"]
    typed = [line for line in plan["commands"] if not line.startswith("#")]
    assert typed == [
        "vectrue migrate start --model lexical --dimensions 96",
        "vectrue replay run",
        "vectrue migrate index",
        "vectrue migrate swap",
        "vectrue migrate finish",
    ]
    drop = next(line for line in plan["commands"] if "DROP VIEW" in line)
    assert plan["commands"].index("vectrue migrate swap") < plan["commands"].index(drop)
    shown = ready.vectrue("migrate", "plan", *TO).stdout
    assert "DROP VIEW public.near;" in shown
    assert "docs/migration.md" in shown


def test_what_start_would_refuse_is_refused_before_it(ready: Workplace) -> None:
    """Indexes that cannot hold the new length, constraints, a taken name: with what to
    do, and nothing is begun.
    """
    ready.execute("CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)")
    long = ("--model", "lexical", "--dimensions", "2001")
    plan = planned(ready, *long, code=1)
    refused = todo(plan, "index nearest")
    assert "2,000" in refused["what"]
    assert refused["statement"] == 'DROP INDEX CONCURRENTLY "public"."nearest"'
    failed = ready.vectrue("migrate", "start", *long, check=False)
    assert failed.returncode == 1
    assert "index nearest" in failed.stderr
    assert ready.value("SELECT count(*) FROM vectrue.column_migrations") == 0
    ready.execute("DROP INDEX nearest")
    ready.execute(
        "CREATE INDEX nearest ON questions USING hnsw ((embedding::halfvec(64)) halfvec_cosine_ops)"
    )
    assert planned(ready, *long)["refused"] == []
    ready.execute("ALTER TABLE questions ADD CONSTRAINT no_twice UNIQUE (id, embedding)")
    assert "DROP CONSTRAINT no_twice" in todo(planned(ready, code=1), "no_twice")["statement"]
    ready.execute(
        "ALTER TABLE questions DROP CONSTRAINT no_twice, ADD embedding_v2 int, ADD "
        "embedding_old int"
    )
    assert todo(planned(ready, code=1), "column embedding_v2")["blocks"]
    assert todo(planned(ready, code=1), "column embedding_old")["step"] == "swap"


def test_a_model_that_is_here_already_or_not_at_all(ready: Workplace) -> None:
    """The model that is wanted already is refused by name; one whose files are not here
    is planned all the same.
    """
    same = planned(ready, "--model", "lexical", "--dimensions", "64", code=1)
    assert "there is nothing to migrate" in same["refused"][0]
    away = planned(ready, "--model", "BAAI/bge-m3", "--dimensions", "1024")
    assert away["todo"][0]["statement"] == "vectrue model pull BAAI/bge-m3"
    assert away["tables"][0]["to_dimensions"] == 1024
    gone = planned(ready, "--model", "/nowhere/model", "--dimensions", "128", code=1)
    assert gone["to_model"] is None
    assert "/nowhere/model" in gone["refused"][0]


def test_the_workers_role_may_plan(ready: Workplace) -> None:
    """A role that owns nothing gets the same plan, told what it cannot see and who may
    start.
    """
    ready.execute(f"CREATE ROLE planner_{ready.own.kafka.topic_prefix} LOGIN PASSWORD 'p'")
    role = f"planner_{ready.own.kafka.topic_prefix}"
    try:
        ready.execute(f"GRANT USAGE ON SCHEMA vectrue TO {role}")
        ready.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public, vectrue TO {role}")
        before, host = ready.settings.postgres.dsn.split("//", 1)[1].split("@", 1)
        ready.with_settings(postgres={"dsn": f"postgresql://{role}:p@{host}"})
        plan = planned(ready, code=1)
        assert plan["tables"][0]["free_bytes"] is None
        assert role in plan["refused"][0]
        shown = ready.vectrue("migrate", "plan", *TO, check=False).stdout
        assert "FREE is -" in shown
        assert before.split(":", 1)[0] in plan["refused"][0]
    finally:
        ready.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_partitions_are_added_up_and_what_is_unknown_is_a_dash(workplace: Workplace) -> None:
    """Sizes and rows of a table with partitions are its partitions'; never 0.0 MB for
    what is there.
    """
    workplace.execute("""
        DROP TABLE questions;
        CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding vector(64))
            PARTITION BY HASH (id);
        CREATE TABLE questions_0 PARTITION OF questions FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE questions_1 PARTITION OF questions FOR VALUES WITH (MODULUS 2, REMAINDER 1)""")
    workplace.execute("ALTER TABLE questions_0 SET (autovacuum_enabled = off)")
    workplace.execute("ALTER TABLE questions_1 SET (autovacuum_enabled = off)")
    workplace.vectrue("init")
    workplace.execute(
        "INSERT INTO questions (id, question) SELECT i, 'question ' || i FROM "
        "generate_series(1, 500) i"
    )
    workplace.execute("CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)")
    table = planned(workplace)["tables"][0]
    assert table["rows"] is None
    assert table["more_bytes"] is None
    assert table["table_bytes"] > 8192
    assert table["partitions"] == 2
    assert table["indexes"] == ["nearest"]
    assert len(table["index_parts"]) == 2
    assert "-" in workplace.vectrue("migrate", "plan", *TO).stdout.splitlines()[1].split()
    workplace.execute("ANALYZE questions_0")
    workplace.execute("ANALYZE questions_1")
    assert planned(workplace)["tables"][0]["rows"] == 500


def test_an_index_made_after_the_start_is_asked_about(ready: Workplace) -> None:
    """It is counted by status and by plan, named by swap before anything changes, built
    by index, named by finish.
    """
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 20) i"
    )
    ready.start("worker")
    ready.vectrue("replay", "run")
    ready.vectrue("migrate", "start", *TO)
    ready.vectrue("replay", "run")
    ready.execute("CREATE INDEX late ON questions USING hnsw (embedding vector_cosine_ops)")
    status = json.loads(ready.vectrue("migrate", "status", "-o", "json").stdout)["columns"][0]
    assert (status["indexes"], status["indexes_built"], status["indexes_lacking"]) == (
        1,
        0,
        ["late"],
    )
    assert "vectrue migrate index" in planned(ready)["under_way"]
    refused = ready.vectrue("migrate", "swap", check=False)
    assert refused.returncode == 2
    assert "late of public.questions.embedding" in refused.stderr
    assert "--yes" in refused.stderr
    typed = ready.vectrue("migrate", "index", "--print-sql").stdout
    assert 'CREATE INDEX CONCURRENTLY "late_v2"' in typed
    ready.vectrue("migrate", "index")
    ready.vectrue("migrate", "swap")
    assert "(embedding vector" in ready.value("SELECT pg_get_indexdef('late'::regclass)")
    ready.execute("CREATE INDEX later ON questions USING hnsw (embedding_old vector_l2_ops)")
    ready.with_settings(model={"dimensions": 96})
    rest = planned(ready)
    assert "swapped" in rest["under_way"]
    assert rest["commands"][-1] == "vectrue migrate finish"
    assert not any("migrate swap" in line for line in rest["commands"])
    done = ready.vectrue("migrate", "finish", "--yes")
    assert "later of public.questions.embedding" in done.stderr
