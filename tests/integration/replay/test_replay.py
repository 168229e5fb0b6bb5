"""The replay lane on real parts: rows by command, counted once, whatever is killed."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest

from tests.conftest import MakeWorkplace
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

FILL = "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, {}) AS i"


@pytest.fixture
def filled(workplace: Workplace) -> Workplace:
    """3,000 rows that were there before `init`, one of them blank; a replay worker
    runs, no live one.
    """
    workplace.execute(FILL.format(2999))
    workplace.execute("INSERT INTO questions (question) VALUES (NULL)")
    workplace.vectrue("init")
    workplace.with_settings(replay={"chunk_size": 100})
    return workplace


def verdict(place: Workplace, *arguments: str, check: bool = True) -> dict[str, Any]:
    """The JSON verdict of a replay run."""
    done = place.vectrue("replay", "run", "-o", "json", *arguments, check=check)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_rows_that_were_there_before_are_filled_once(filled: Workplace) -> None:
    """One run makes every row current; ledger and coverage agree; the next run finds
    nothing to do.
    """
    filled.start_worker("replay")
    first = verdict(filled)
    (column,) = first["columns"]
    assert (first["ok"], first["state"]) == (True, "done")
    # The blank row is not stale, so `--only stale` does not send it.
    assert (column["sent"], column["done"], column["embedded"]) == (2999, 2999, 2999)
    assert filled.coverage() == {
        "rows": 3000,
        "current": 2999,
        "missing": 0,
        "stale_text": 0,
        "stale_model": 0,
        "blank": 1,
        "quarantined": 0,
    }
    assert verdict(filled)["run"] is None


def test_a_replay_says_when_a_table_wants_a_vacuum(filled: Workplace) -> None:
    """Many dead row versions beside the live ones: the run's last words are the figures
    and the VACUUM to run.
    """
    filled.execute("ALTER TABLE questions SET (autovacuum_enabled = false)")
    with filled.session.transaction() as cursor:
        for _ in range(4):
            cursor.execute("UPDATE questions SET views = views + 1")
    dead = "SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'questions'::regclass"
    until(lambda: filled.value(dead) > 10_000, what="the statistics to know of the dead rows")
    filled.start_worker("replay")
    said = filled.vectrue("replay", "run").stderr
    assert "dead row versions beside 3,000 live ones" in said
    assert 'VACUUM (ANALYZE) "public"."questions"' in said
    filled.execute("VACUUM (ANALYZE) questions")
    assert "VACUUM" not in filled.vectrue("replay", "run", "--only", "all").stderr


def test_all_over_current_rows_encodes_nothing(filled: Workplace) -> None:
    """`--only all` sends every key and finds every row current (I7)."""
    filled.start_worker("replay")
    verdict(filled)
    before = filled.value("SELECT max(embedded_at) FROM questions")
    (column,) = verdict(filled, "--only", "all")["columns"]
    assert (column["sent"], column["current"], column["blank"], column["embedded"]) == (
        3000,
        2999,
        1,
        0,
    )
    assert filled.value("SELECT max(embedded_at) FROM questions") == before


def test_only_missing_leaves_stale_rows_alone(filled: Workplace) -> None:
    """`--only missing` sends rows without a vector; a row whose text changed is
    `stale`'s business.
    """
    filled.start_worker("replay")
    verdict(filled)
    filled.execute("UPDATE questions SET embedding = NULL WHERE id <= 10")
    filled.execute(
        "UPDATE questions SET question = question || ' edited' WHERE id BETWEEN 11 AND 15"
    )
    first = verdict(filled, "--only", "missing", check=False)
    assert (first["ok"], first["columns"][0]["embedded"]) == (False, 10)
    second = verdict(filled)
    assert (second["ok"], second["columns"][0]["embedded"]) == (True, 5)


def test_a_killed_worker_counts_nothing_twice(filled: Workplace) -> None:
    """The replay worker is killed again and again; in the end the ledger has each row
    once.
    """
    worker = filled.start_worker("replay")
    command = filled.start("replay", "run", "-o", "json", log="run")
    for share in (500, 1500):
        until(lambda share=share: filled.coverage()["current"] >= share, what="some progress")  # type: ignore[misc] # bound per round
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = filled.start_worker("replay")
    assert command.wait(120) == 0
    counted = filled.execute(
        "SELECT sum(total_keys), sum(done_keys), sum(embedded), sum(current) FROM "
        "vectrue.replay_chunks"
    )
    assert counted == [(2999, 2999, 2999, 0)]


def test_a_killed_command_is_finished_by_the_next(filled: Workplace) -> None:
    """SIGKILL of the command while it enumerates: called again, it goes on with the
    same run and finishes it.
    """
    command = filled.start("replay", "run", log="run")
    until(
        lambda: filled.value("SELECT count(*) FROM vectrue.replay_chunks") > 0,
        what="the first chunks",
    )
    command.send_signal(signal.SIGKILL)
    command.wait()
    (run,) = filled.execute("SELECT run::text FROM vectrue.replays")[0]
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vectrue replay'"
    until(lambda: filled.value(at_work) == 0, what="the server to let go of the killed command")
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(verdict, filled)
        # A worker that was quicker than the command would leave it nothing to finish.
        until(lambda: filled.value(at_work) > 0, what="the next command to be at work")
        filled.start_worker("replay")
        again = finishing.result()
    assert (again["run"], again["resumed"], again["ok"]) == (run, True, True)
    assert filled.execute("SELECT count(*), sum(embedded) FROM vectrue.replay_chunks") == [
        (30, 2999)
    ]


def test_a_cancelled_run_does_nothing_more(filled: Workplace) -> None:
    """After `replay cancel` the workers skip what is left in the topic, and a new run
    may start.
    """
    command = filled.start("replay", "run", log="run")
    until(
        lambda: filled.value("SELECT bool_and(enumerated) FROM vectrue.replay_scopes"),
        what="the enumeration",
    )
    (run,) = filled.execute("SELECT run::text FROM vectrue.replays")[0]
    filled.vectrue("replay", "cancel", run)
    assert command.wait(120) == 1
    assert filled.vectrue("replay", "cancel", run, check=False).returncode == 1
    filled.start_worker("replay")
    again = verdict(filled)
    assert (again["run"] != run, again["ok"]) == (True, True)
    assert (
        filled.value("SELECT sum(done_keys) FROM vectrue.replay_chunks WHERE run = %s", (run,)) == 0
    )


def test_a_locked_row_is_deferred_to_the_live_lane(filled: Workplace) -> None:
    """A row that someone holds does not hold the run; the live lane writes it when it
    is free.
    """
    filled.execute("DELETE FROM questions WHERE id > 50")
    holder = psycopg2.connect(filled.settings.postgres.dsn)
    with holder.cursor() as cursor:
        cursor.execute("SELECT FROM questions WHERE id = 7 FOR UPDATE")
    filled.start_worker("live")
    filled.start_worker("replay")
    command = filled.start("replay", "run", "-o", "json", log="run")
    until(lambda: filled.coverage()["current"] == 49, what="the neighbours")
    holder.rollback()
    holder.close()
    assert command.wait(120) == 0
    filled.wait_current()
    assert filled.execute("SELECT sum(embedded), sum(deferred) FROM vectrue.replay_chunks") == [
        (49, 1)
    ]


def test_any_primary_key_can_be_replayed(make_workplace: MakeWorkplace) -> None:
    """Composite, text and quoted keys are enumerated page by page, each row once."""
    tables = ["public.two", "public.100% of", "public.words"]
    place = make_workplace(
        tables=[{"name": name, "text": "body"} for name in tables],
        replay={"chunk_size": 3, "micro_batch": 2},
    )
    rest = "body text, embedding vector(64)"
    place.execute(f"CREATE TABLE two (a bigint, b text, {rest}, PRIMARY KEY (b, a))")
    place.session.rows(
        f'CREATE TABLE "100% of" ("%s id" uuid PRIMARY KEY DEFAULT gen_random_uuid(), {rest})'
    )
    place.execute(f"CREATE TABLE words (id text PRIMARY KEY, {rest})")
    place.execute(
        "INSERT INTO two SELECT i / 10, chr(97 + i % 10), 'x' || i FROM generate_series(1, 100) i"
    )
    place.session.rows(
        "INSERT INTO \"100% of\" (body) SELECT 'x' || i FROM generate_series(1, 100) i"
    )
    place.execute(
        "INSERT INTO words SELECT chr(44031 + i) || '\"''\\', 'x' || i FROM generate_series(1, "
        "100) i"
    )
    place.vectrue("init")
    place.start_worker("replay")
    # One page is 20 chunks: 60 keys, so that each table takes two.
    outcome = verdict(place)
    assert outcome["ok"]
    assert [column["embedded"] for column in outcome["columns"]] == [100, 100, 100]
