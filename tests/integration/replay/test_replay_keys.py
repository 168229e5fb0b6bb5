"""`replay run --keys` and `replay plan --keys`: which rows a file of keys names, as the
database tells.
"""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace, workplace

pytestmark = pytest.mark.stack


@pytest.fixture
def filled(ready: Workplace) -> Workplace:
    """5,000 rows without a vector; no worker runs."""
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 5000) "
        "AS i"
    )
    ready.with_settings(replay={"chunk_size": 500, "micro_batch": 100})
    return ready


def ask(
    place: Workplace, verb: str, table: str, given: str, *more: str
) -> "subprocess.CompletedProcess[str]":
    """`replay VERB --keys` with these lines."""
    (place.directory / "keys.txt").write_text(given)
    return place.vectrue("replay", verb, "-t", table, "--keys", "keys.txt", *more, check=False)


def test_rows_are_counted_once_and_wrong_keys_are_listed(filled: Workplace) -> None:
    """4,860 good keys, 10 of no row, 200 repeats: plan, run and status say 4,860 rows,
    and name the wrong lines.
    """
    good = [str(number) for number in range(1, 4861)]
    wrong = [str(number) for number in range(9001, 9011)]
    text = "\n".join([*good[:4000], *wrong, *good[4000:], *good[:200]])
    listed = [{"line": 4001 + place, "key": [key]} for place, key in enumerate(wrong)]
    counts = {
        "source": "keys.txt",
        "table": "public.questions",
        "keys": 5070,
        "rows": 4860,
        "repeats": 200,
    }
    named = {**counts, "no_row": 10, "of_no_row": listed}
    plan = json.loads(ask(filled, "plan", "questions", text, "-o", "json").stdout)
    (column,) = plan["columns"]
    assert (column["rows"], column["to_send"], column["to_embed"]) == (4860, 4860, 4860)
    assert plan["keys"] == named
    assert not filled.value("SELECT count(*) FROM vectrue.replays")
    filled.start_worker("replay")
    done = ask(filled, "run", "questions", text, "-o", "json")
    outcome = json.loads(done.stdout)
    (column,) = outcome["columns"]
    assert (done.returncode, column["sent"], column["embedded"], column["gone"]) == (
        0,
        4860,
        4860,
        0,
    )
    assert outcome["keys"] == named
    said = (
        "5,070 keys of keys.txt name 4,860 rows of public.questions, 200 are repeats; 10 match "
        "no row:"
    )
    assert f"{said}\n  line 4001: 9001\n" in done.stderr
    assert "4,860/4,860" in filled.vectrue("replay", "status", outcome["run"]).stdout


@pytest.mark.parametrize(
    ("table", "lines", "counts"),
    [
        ("numbers", ["7", "007", "[7]", "+7", "8", "99", "099"], (2, 4, 1)),
        (
            "ids",
            ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"],
            (1, 1, 0),
        ),
        (
            "times",
            ["2026-01-31T12:00:00Z", "2026-01-31 21:00:00+09", "2026-01-31 12:00:00+09"],
            (1, 1, 1),
        ),
        ("pairs", ['["ko", 7]', '["ko", "07"]', '["ko", 8]', '["en", 7]'], (1, 1, 2)),
        ("words", ["a", "A", " a"], (2, 0, 1)),
    ],
)
def test_the_database_says_which_keys_are_equal(
    spelled: Workplace, table: str, lines: list[str], counts: tuple[int, int, int]
) -> None:
    """Leading zeros, a uuid in either case, a time in two zones, a part of a composite
    key: one row is one row.
    """
    keys = json.loads(ask(spelled, "plan", table, "\n".join(lines), "-o", "json").stdout)["keys"]
    assert (keys["rows"], keys["repeats"], keys["no_row"]) == counts


@pytest.fixture(scope="module")
def spelled(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A table of each kind of key, with a row or two."""
    names = ["numbers", "ids", "times", "pairs", "words"]
    tables = [{"name": f"public.{name}", "text": "body"} for name in names]
    with workplace(stack, tmp_path_factory.mktemp("keys"), tables=tables) as place:
        _make_tables(place)
        yield place


def _make_tables(place: Workplace) -> None:
    rest = "body text, embedding vector(64)"
    for name, kind in (
        ("numbers", "bigint"),
        ("ids", "uuid"),
        ("times", "timestamptz"),
        ("words", "text"),
    ):
        place.execute(f"CREATE TABLE {name} (id {kind} PRIMARY KEY, {rest})")
    place.execute(f"CREATE TABLE pairs (lang text, id bigint, {rest}, PRIMARY KEY (lang, id))")
    place.execute("INSERT INTO numbers (id, body) VALUES (7, 'a'), (8, 'b')")
    place.execute("INSERT INTO ids (id, body) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a')")
    place.execute("INSERT INTO times (id, body) VALUES ('2026-01-31T12:00:00Z', 'a')")
    place.execute("INSERT INTO pairs (lang, id, body) VALUES ('ko', 7, 'a')")
    place.execute("INSERT INTO words (id, body) VALUES ('a', 'a'), ('A', 'b')")
    place.vectrue("init")


def test_keys_that_are_none_of_the_table_end_nothing_well(filled: Workplace) -> None:
    """Not one matches: exit 1 and a sentence, nothing is sent, no run stays in the way.
    A bad one is named by line.
    """
    done = ask(filled, "run", "questions", "9001\n[9002]\n9001\n")
    assert done.returncode == 1
    assert (
        "nothing to do: none of the 3 keys of keys.txt is of a row of public.questions"
        in done.stdout
    )
    done = ask(filled, "run", "questions", "9001\n", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)
    for verb in ("plan", "run"):
        bad = ask(filled, verb, "questions", "1\n2\n3.5\n")
        assert bad.returncode == 1
        assert "line 3 of keys.txt is not a key of public.questions" in bad.stderr
    assert filled.execute("SELECT DISTINCT state FROM vectrue.replays") == [("cancelled",)]
    empty = ask(filled, "run", "questions", "\n", "-o", "json")
    assert (empty.returncode, json.loads(empty.stdout)["keys"]["keys"]) == (0, 0)


def test_rows_deleted_before_their_turn_are_gone(filled: Workplace) -> None:
    """They count as handled, and `status` says how many."""
    lines = "".join(f"{number}\n" for number in range(1, 101))
    started = ask(filled, "run", "questions", lines, "--detach", "-o", "json")
    run = json.loads(started.stdout)["run"]
    filled.execute("DELETE FROM questions WHERE id <= 3")
    filled.start_worker("replay")
    until(
        lambda: "100/100  100%  gone 3" in filled.vectrue("replay", "status", run).stdout,
        what="the run's end",
    )


def test_a_table_with_two_columns_is_one_table(filled: Workplace) -> None:
    """During a migration the keys are sent for the column that is served and for the
    one beside it.
    """
    filled.vectrue("migrate", "start", "-m", "lexical", "-d", "32")
    done = ask(filled, "run", "questions", "1\n2\n02\n", "--detach")
    assert done.returncode == 0, done.stderr
    chunks = "SELECT column_name, sum(total_keys) FROM vectrue.replay_chunks GROUP BY 1"
    assert sorted(int(keys) for _, keys in filled.execute(chunks)) == [2, 2]


def test_a_column_that_has_not_begun_has_no_rate(make_workplace: MakeWorkplace) -> None:
    """What the first column does says nothing of the second: `replay status` gives it
    no rate and no ETA.
    """
    place = make_workplace(
        tables=[{"name": f"public.{name}", "text": "body"} for name in ("first", "second")]
    )
    for name in ("first", "second"):
        place.execute(
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, body text, embedding vector(64))"
        )
        place.execute(f"INSERT INTO {name} SELECT i, 'x' || i FROM generate_series(1, 100) i")
    place.vectrue("init")
    place.vectrue("replay", "run", "--chunk", "50", "--detach")
    handled = "SELECT min(chunk) FROM vectrue.replay_chunks WHERE table_name = 'public.first'"
    place.execute(
        "UPDATE vectrue.replay_chunks SET done_keys = 50, embedded = 50, done_at = now() WHERE "
        f"chunk = ({handled})"
    )
    shown = place.vectrue("replay", "status").stdout.splitlines()
    first, second = (next(line for line in shown if name in line) for name in ("first", "second"))
    assert "50/100  50%" in first
    assert "rows/s" in first
    assert "ETA" in first
    assert "0/100  0%" in second
    assert "rows/s" not in second
    assert "ETA" not in second
    (status,) = json.loads(place.vectrue("replay", "status", "-o", "json").stdout)
    assert status["rows_per_second"] > 0
