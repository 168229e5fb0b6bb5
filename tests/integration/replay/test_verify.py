"""`vectrue verify` on a real database with damage of every kind made by hand: found,
repaired, and then true.
"""

import json
import struct
from typing import Any

import pytest

from tests.conftest import MakeWorkplace
from tests.support.init import as_role, setup
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

ROWS = 40
TRUE = {"rows": ROWS, "current": ROWS - 2, "blank": 1, "quarantined": 1}

FORGED = (
    "UPDATE questions SET (embedding, embedding_digest) = (SELECT embedding, "
    "substring(embedding_digest FOR 8)"
    " || xidsend(pg_current_xact_id()::xid) FROM questions WHERE key = 9) WHERE key = 8"
)
"""A vector of another row, with its digest: as if a worker had written it."""


@pytest.fixture
def filled(role: str, make_workplace: MakeWorkplace) -> Workplace:
    """40 true rows, one of them blank and one in quarantine; pgvector is in a schema
    that is not in the search path.

    Workers and commands connect as a role with the rights of `init` alone. The vector
    column has no declared length, and the key is called `key`, as a column of the
    queries is.
    """
    place = make_workplace(replay={"nice": 0})
    place.execute("CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions")
    place.execute(
        "CREATE TABLE questions (key bigint PRIMARY KEY, question text, embedding "
        "extensions.vector)"
    )
    place.execute(
        "INSERT INTO questions SELECT i, 'question ' || i FROM generate_series(1, 38) AS i"
    )
    place.execute("INSERT INTO questions VALUES (39, NULL), (40, 'poison')")
    setup(as_role(place, role))
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        " SELECT table_name, column_name, '{40}', sha256('poison'), model, 'refused' FROM "
        "vectrue.targets"
    )
    place.start_worker("replay")
    place.vectrue("replay", "run", check=False)
    return place


def verify(place: Workplace, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The report; the command must end with this code."""
    done = place.vectrue("verify", "-o", "json", *arguments, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["true"] is (code == 0)
    return report


def counts(report: dict[str, Any]) -> dict[str, int]:
    """Every count of the one table that is not zero."""
    return {
        name: value
        for name, value in report["tables"][0].items()
        if isinstance(value, int) and value
    }


def damage(place: Workplace) -> None:
    """One row of each kind, in the order of the findings."""
    functions = "SET search_path = public, extensions; "
    nan = struct.pack("<HH64f", 64, 0, float("nan"), *[0.1] * 63).hex()
    place.execute(
        f"{functions}"
        "UPDATE questions SET embedding = '[0.6,0.8]' WHERE key = 1;"
        "CREATE CAST (bytea AS vector) WITHOUT FUNCTION;"
        f"UPDATE questions SET embedding = decode('{nan}', 'hex')::vector"
        " WHERE key = 2;"
        "DROP CAST (bytea AS vector);"
        "UPDATE questions SET embedding = (SELECT array_agg(x * 1.01) FROM "
        "unnest(embedding::real[]) AS x)::vector"
        " WHERE key = 3;"
        "UPDATE questions SET embedding_model = 'nobody@1+00000000' WHERE key = 4;"
        "UPDATE questions SET embedding_model = NULL, embedding_hash = NULL WHERE key = 5;"
        "UPDATE questions SET embedding = NULL WHERE key = 6;"
        "UPDATE questions SET embedding_hash = sha256('another text') WHERE key = 7;"
        f"{FORGED};"
        "UPDATE questions SET embedding = array_fill(0, ARRAY[64])::vector WHERE key = 10;"
        "UPDATE questions SET embedding = array_fill(9, ARRAY[64])::vector, embedding_hash = "
        "sha256('older'),"
        " embedding_model = (SELECT model FROM vectrue.targets) WHERE key = 40;"
        "RESET search_path"
    )


def test_damage_of_every_kind_is_found_and_repaired(filled: Workplace) -> None:
    """Each is counted and named; --repair renews it all, as the worker's role, and what
    is left is true.
    """
    assert counts(verify(filled)) == TRUE
    damage(filled)
    found = verify(filled, "--deep", "all", code=1)
    assert counts(found) == {
        "rows": ROWS,
        "current": ROWS - 10,
        "blank": 1,
        "quarantined": 1,
        "missing": 1,
        "stale_text": 5,
        "stale_model": 2,
        "foreign_vector": 4,
        "wrong_dimension": 1,
        "not_finite": 1,
        "not_unit_length": 3,
        "unknown_model": 1,
        "no_provenance": 1,
        "no_vector": 1,
    }
    (table,) = found["tables"]
    assert table["samples"] == {
        "wrong_dimension": [["1"]],
        "not_finite": [["2"]],
        "not_unit_length": [["10"], ["3"], ["40"]],
        "stale_model": [["4"], ["5"]],
        "unknown_model": [["4"]],
        "no_provenance": [["5"]],
        "missing": [["6"]],
        "no_vector": [["6"]],
        "stale_text": [["1"], ["10"], ["2"], ["3"], ["7"]],
        "foreign_vector": [["1"], ["10"], ["2"], ["3"]],
    }
    assert table["deep"]["checked"] == ROWS - 10
    assert {row["key"][0] for row in table["deep"]["untrue"]} == {"8"}

    before = filled.execute("SELECT embedding::text, embedding_hash FROM questions ORDER BY key")
    planned = verify(filled, "--deep", "all", "--repair", "--dry-run", code=1)
    assert planned["repair"]["to_replay"] > 0
    assert (
        filled.execute("SELECT embedding::text, embedding_hash FROM questions ORDER BY key")
        == before
    )

    repaired = verify(filled, "--deep", "all", "--repair")
    assert counts(repaired) == TRUE
    assert repaired["tables"][0]["deep"]["untrue"] == []
    assert repaired["tables"][0]["deep"]["checked"] == 1
    assert counts(verify(filled, "--deep", "all")) == TRUE
    assert filled.execute(
        "SELECT embedding IS NULL, embedding_model FROM questions WHERE key = 40"
    ) == [(False, None)]


def test_only_deep_finds_a_vector_of_another_text(filled: Workplace) -> None:
    """One that was written with its digest looks right; a sample is uniform, bounded
    and repeatable by its seed.
    """
    filled.execute(FORGED)
    assert counts(verify(filled, "--repair")) == TRUE
    untrue = verify(filled, "--deep", "all", code=1)["tables"][0]["deep"]
    assert [row["key"] for row in untrue["untrue"]] == [["8"]]
    assert untrue["untrue"][0]["cosine"] == untrue["lowest_cosine"] < 0.999
    seeds = [
        filled.vectrue(
            "verify", "--deep", "12", "--seed", str(seed), "-o", "json", check=False
        ).stdout
        for seed in (1, 1, 2)
    ]
    assert seeds[0] == seeds[1]
    assert all(json.loads(report)["tables"][0]["deep"]["checked"] == 12 for report in seeds)
    shown = filled.vectrue("verify", "--deep", "all", "--repair")
    assert "row 8 has another vector than its text makes" in shown.stdout
    assert "nothing untrue in 40 rows (1 of them in quarantine)" in shown.stdout


def test_what_stands_in_the_way_is_said(filled: Workplace) -> None:
    """An unfinished replay, another model, a table that is not configured: one
    sentence, and nothing is changed.
    """
    filled.execute("UPDATE questions SET embedding = NULL WHERE key = 8")
    filled.execute(
        "WITH run AS (INSERT INTO vectrue.replays (run, scope, state) VALUES "
        "(gen_random_uuid(), 'all', 'running')"
        " RETURNING run) INSERT INTO vectrue.replay_scopes (run, table_name, column_name, "
        "model, expected)"
        " SELECT run, 'public.questions', 'embedding', 'm', 1 FROM run"
    )
    refused = filled.vectrue("verify", "--repair", check=False)
    assert refused.returncode == 1
    assert "is not finished: nothing was repaired" in " ".join(refused.stderr.split())
    assert filled.vectrue("verify", "-t", "public.nothing", check=False).returncode == 78
    assert filled.vectrue("verify", "--dry-run", check=False).returncode == 2
    assert filled.vectrue("verify", "--deep", "some", check=False).returncode == 2
    filled.with_settings(model={"dimensions": 32})
    other = filled.vectrue("verify", "--deep", "3", check=False)
    assert (other.returncode, "vectrue init" in other.stderr) == (78, True)
    assert filled.value("SELECT count(*) FROM questions WHERE embedding_hash IS NULL") == 2
