"""What `migrate plan` says to type is typed as printed, and takes every table to the
end, with all that reads it.
"""

import json
import re
from typing import Any

import pytest

from tests.conftest import MakeWorkplace
from tests.support.migrations import TO, fill, migrate, states, status, true_tables
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "public.b"
START = "vectrue migrate start --model lexical --dimensions 96"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables of 20 rows with true vectors of 64 numbers."""
    return true_tables(make_workplace, A, B)


def planned(place: Workplace, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The plan as JSON."""
    done = place.vectrue("migrate", "plan", *arguments, "-o", "json", check=False)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def type_in(place: Workplace, lines: list[str], remade: dict[str, str]) -> None:
    """Type a list as it is printed; `remade` has what a person makes of the definitions
    that were kept.
    """
    for line in lines:
        said = re.sub(
            r"^# \S+: (keep what this prints, which the DROP below takes along: )?", "", line
        )
        if said.startswith("set model.name"):
            place.with_settings(model={"dimensions": 96})
        elif said.startswith("recreate "):
            place.execute(next(text for name, text in remade.items() if name in said))
        elif line.startswith("#"):
            place.execute(said)
        elif "replay run" in line:
            fill(place)
        else:
            done = place.vectrue(*said.split()[1:], *(["--yes"] if "finish" in said else []))
            assert done.returncode == 0


def test_a_list_of_mixed_states_is_typed_to_the_end(place: Workplace) -> None:
    """One table is under way and one is not: neither is left behind, and what reads the
    column is created again.
    """
    migrate(place, "start", *TO, "-t", A)
    place.execute("CREATE ROLE reads_it")
    try:
        place.execute("CREATE VIEW v AS SELECT id, embedding FROM b; GRANT SELECT ON v TO reads_it")
        place.execute(
            "CREATE MATERIALIZED VIEW m AS SELECT id, embedding FROM a; CREATE INDEX of_m ON m (id)"
        )
        commands = planned(place, *TO)["commands"]
        assert [one for one in commands if not one.startswith("#")] == [
            f"{START} -t {B}",
            "vectrue replay run",
            f"vectrue migrate index -t {B}",
            "vectrue migrate swap",
            "vectrue migrate finish",
        ]
        keeps = [place.execute(one.split(": ", 2)[2]) for one in commands if ": keep " in one]
        assert "reads_it=r" in str(keeps)
        assert "CREATE INDEX of_m" in str(keeps)
        type_in(
            place,
            commands,
            {
                "view public.v": (
                    "CREATE VIEW v AS SELECT id, embedding FROM b; GRANT SELECT ON v TO reads_it"
                ),
                "materialized view public.m": (
                    "CREATE MATERIALIZED VIEW m AS SELECT id, embedding FROM a"
                ),
            },
        )
        assert states(place) == {A: "finished", B: "finished"}
        assert place.value("SELECT vector_dims(embedding) FROM v LIMIT 1") == 96
        assert place.value("SELECT vector_dims(embedding) FROM m LIMIT 1") == 96
    finally:
        place.execute("DROP OWNED BY reads_it; DROP ROLE reads_it")


def test_from_the_swap_on_the_old_name_is_told(place: Workplace) -> None:
    """A definition printed after the swap says embedding_old: `plan` and `finish` say what
    to write instead.
    """
    place.execute("CREATE VIEW v AS SELECT id, embedding FROM b")
    (before,) = (
        one for one in planned(place, *TO)["tables"][1]["todo"] if "view public.v" in one["what"]
    )
    assert "from the swap on it reads the old vectors" in before["what"]
    assert "before the swap" in before["what"]
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    place.with_settings(model={"dimensions": 96})
    (after,) = (
        one for one in planned(place, *TO)["tables"][1]["todo"] if "view public.v" in one["what"]
    )
    assert "recreate it, on embedding where it says embedding_old" in after["what"]
    refused = " ".join(place.vectrue("migrate", "finish", "--yes", check=False).stderr.split())
    assert "keep what these print, with the GRANTs and indexes: SELECT pg_get_viewdef" in refused
    assert (
        "recreate what is wanted, on the served column (embedding where it says embedding_old)"
        in refused
    )


def test_a_refusal_is_said_once_and_what_unblocks_it_stands_first(place: Workplace) -> None:
    """An index that cannot hold the new vectors is dropped before the start, in the
    list too.
    """
    place.execute("CREATE INDEX near ON a USING hnsw (embedding vector_cosine_ops)")
    long = ("--model", "lexical", "--dimensions", "3000")
    commands = planned(place, *long, code=1)["commands"]
    assert commands[0] == '# you: DROP INDEX CONCURRENTLY "public"."near";'
    assert commands[1] == "vectrue migrate start --model lexical --dimensions 3000"
    done = place.vectrue("migrate", "plan", *long, check=False)
    assert (done.stdout + done.stderr).count("would have to hold 3,000") == 1
    assert "refused" in done.stderr
    done = place.vectrue("migrate", "plan", "-m", "lexcal", "-d", "96", check=False)
    assert (done.stdout + done.stderr).count("not in the local model cache") == 1
    assert (
        "correct --model, if lexical was meant; else run `vectrue model pull lexcal`" in done.stdout
    )
    assert "type, in this order" not in done.stdout
    done = place.vectrue("migrate", "start", "-m", "BAAI/bge-m3", "-d", "96", check=False)
    assert "give --dimensions 1024" in done.stderr


def test_a_table_by_itself_is_told_of_the_others(place: Workplace) -> None:
    """Settings name one model: nothing is finished before the other tables have followed,
    and `start` says so.
    """
    plan = planned(place, *TO, "-t", A)
    (behind,) = (one for one in plan["todo"] if one["step"] == "finish")
    assert (behind["blocks"], f"{B} is still to follow" in behind["what"]) == (True, True)
    assert behind["statement"].startswith(f"{START} -t {B}")
    assert plan["commands"][-2].startswith(f"# you: {START} -t {B}")
    assert plan["commands"][-1] == f"vectrue migrate finish -t {A}"
    assert planned(place, *TO)["todo"] == []
    said = migrate(place, "start", *TO, "-t", A)
    assert said.count("record the model") == 1
    assert said.count(f"{START} -t {B}") == 1
    assert f"{B} is still to follow" in said
    assert "still to follow" not in migrate(place, "start", *TO, "-t", B)


def test_offline_there_is_no_twin(place: Workplace) -> None:
    """An index that an offline start dropped must be built again."""
    place.execute("CREATE INDEX near ON a USING hnsw (embedding vector_cosine_ops)")
    migrate(place, "start", *TO, "--offline", "--yes", "-t", A)
    shown = place.vectrue("migrate", "status")
    assert "index near of public.a.embedding must be built again" in shown.stderr
    assert "twin" not in shown.stdout + shown.stderr
    assert status(place)["columns"][0]["indexes_lacking"] == ["near"]
    assert planned(place, *TO, "-t", A)["commands"][0] == f"vectrue replay run -t {A}"
