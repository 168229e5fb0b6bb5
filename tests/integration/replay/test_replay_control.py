"""Replay runs that are planned, narrowed, limited, paused and killed, on real parts."""

import json
import random
import signal
import subprocess
from typing import Any

import psycopg2
import pytest

from tests.support.prefork import Process
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

FILL = "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, {}) AS i"
LEDGER = (
    "SELECT count(*), sum(total_keys), sum(done_keys), sum(embedded + cleared + current + blank "
    "+ gone + changed"
    " + deferred + quarantined + failed + obsolete), sum(embedded) FROM vectrue.replay_chunks "
    "WHERE run::text = %s"
)


@pytest.fixture
def filled(workplace: Workplace) -> Workplace:
    """2,000 rows without a vector, chunks of 50 keys; no worker runs."""
    workplace.execute(FILL.format(2000))
    workplace.vectrue("init")
    workplace.with_settings(replay={"chunk_size": 50, "micro_batch": 25})
    return workplace


def answer(place: Workplace, *arguments: str) -> Any:
    """What a replay command says as JSON."""
    return json.loads(place.vectrue("replay", *arguments, "-o", "json", check=False).stdout)


def refusal(place: Workplace, *arguments: str, given: str | None = None) -> str:
    """What a replay command says when it refuses."""
    command = place.command("replay", *arguments)
    done = subprocess.run(
        command,
        cwd=place.directory,
        env=place.environment(),
        text=True,
        input=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def done_keys(place: Workplace) -> int:
    return int(place.value("SELECT coalesce(sum(done_keys), 0) FROM vectrue.replay_chunks"))


def _further(place: Workplace, command: Process, goal: int) -> None:
    what = "some progress"
    until(lambda: done_keys(place) >= min(goal, 2000) or command.poll() is not None, what=what)


def test_a_run_is_planned_narrowed_paused_limited_and_finished(filled: Workplace) -> None:
    """The life of one run: each command does its part from another process, and the
    ledger is right in the end.
    """
    (planned,) = answer(filled, "plan", "--where", "id % 2 = 0")["columns"]
    assert (
        planned["rows"],
        planned["to_embed"],
        planned["chunks"],
        planned["rows_per_second"],
    ) == (
        1000,
        1000,
        20,
        None,
    )
    assert not filled.value("SELECT count(*) FROM vectrue.replays")
    started = answer(filled, "run", "--where", "id % 2 = 0", "--rate", "20/s", "--detach")
    run = started["run"]
    # the one that holds the table is named
    assert run in refusal(filled, "run", "--only", "all")
    filled.start_worker("replay")
    until(lambda: done_keys(filled) > 0, what="the first rows")
    filled.vectrue("replay", "pause")
    returned = "SELECT bool_and(returned OR done_keys = total_keys) FROM vectrue.replay_chunks"
    until(lambda: filled.value(returned), what="all chunks to be given back")
    stood = done_keys(filled)
    assert 0 < stood < 1000
    (status,) = answer(filled, "status", run[:8])
    assert (status["state"], status["rate"], status["columns"][0]["done"]) == (
        "paused",
        20.0,
        stood,
    )
    for options in (("--where", "id % 2 = 0"), ("--only", "all")):
        said = refusal(filled, "run", *options)
        assert "is paused" in said
        assert f"replay resume {run}" in said
        assert "replay run --only" not in said
    filled.vectrue("replay", "set", run[:8], "rate=none", "max-live-lag=30s")
    filled.vectrue("replay", "resume")
    outcome = answer(filled, "run", "--where", "id % 2 = 0")
    if outcome["run"] is not None:  # it was still running: the command followed it
        assert (outcome["run"], outcome["state"]) == (run, "done")
    assert outcome["ok"]
    assert filled.execute(LEDGER, (run,)) == [(20, 1000, 1000, 1000, 1000)]
    assert filled.coverage()["current"] == 1000
    measured = [
        answer(filled, "plan")["columns"][0][name]
        for name in ("rows_per_second", "measured_in_run")
    ]
    assert measured == [None, None], "a run that had a limit, if only for a while, measures nothing"
    free = answer(filled, "run", "--where", "id % 4 = 1")["run"]
    filled.execute(
        "UPDATE vectrue.replay_chunks SET busy_seconds = 3600 WHERE run = %s AND chunk = 1", (free,)
    )
    (planned,) = answer(filled, "plan")["columns"]
    assert planned["measured_in_run"] == free
    assert planned["rows_per_second"] > 10, "what one of five chunks waited for counts"


def test_a_run_of_the_keeper_gives_way_to_a_person(filled: Workplace) -> None:
    """Everyone who asks is served, with whatever rows; what the keeper's run leaves undone
    is looked at again. A paused one was paused on purpose, and stays.
    """
    place = filled
    begin = (
        "WITH run AS (INSERT INTO vectrue.replays (run, scope, state, requested_by)"
        " VALUES (gen_random_uuid(), 'stale', 'running', 'keeper') RETURNING run), scoped AS ("
        "INSERT INTO vectrue.replay_scopes (run, table_name, column_name, model, expected)"
        " SELECT run, 'public.questions', 'embedding', 'm', 2000 FROM run) SELECT run::text "
        "FROM run"
    )
    state = "SELECT state FROM vectrue.replays WHERE run::text = %s"
    looks = "SELECT table_name FROM vectrue.looks"
    for options, asked in (
        (("--where", "id < 9"), [("public.questions",)]),
        (("--only", "stale"), []),
    ):
        place.execute("DELETE FROM vectrue.looks")
        kept = str(place.value(begin))
        assert answer(place, "plan", *options)["columns"], "a plan changes nothing"
        assert place.value(state, (kept,)) == "running"
        mine = answer(place, "run", *options, "--detach")["run"]
        assert (place.value(state, (kept,)), place.value(state, (mine,))) == (
            "cancelled",
            "running",
        )
        assert place.execute(looks) == asked
        place.vectrue("replay", "cancel", mine)
    place.execute("UPDATE questions SET question = ''")
    kept = str(place.value(begin))
    assert answer(place, "run")["run"] is None, "nothing is left to do, for the keeper neither"
    assert place.value(state, (kept,)) == "cancelled"
    kept = str(place.value(begin))
    place.vectrue("replay", "pause", kept)
    assert f"replay cancel {kept}" in refusal(place, "run", "--only", "all")
    assert place.value(state, (kept,)) == "paused"


def test_conditions_and_keys_that_could_do_harm_are_refused(filled: Workplace) -> None:
    """`--where` can only read and is one condition; a bad key is named by its line;
    nothing was sent.
    """
    for where in (
        "true; DELETE FROM questions",
        "true) OR (true",
        "nosuch = 1",
        "nextval('questions_id_seq') > 0",
        "1",
    ):
        assert "error" in refusal(filled, "run", "--where", where)
    assert not filled.value("SELECT count(*) FROM vectrue.replays")
    assert "line 3 of" in refusal(filled, "run", "--keys", "-", given="1\n2\nthree\n")
    assert filled.execute("SELECT state, count(*) FROM vectrue.replays GROUP BY 1") == [
        ("cancelled", 1)
    ]
    assert filled.value("SELECT count(*) FROM vectrue.replay_chunks WHERE sent_at IS NOT NULL") == 0
    assert filled.value("SELECT count(*) FROM questions") == 2000
    file = filled.directory / "keys.txt"
    file.write_text("".join(f"{i}\n" for i in range(1, 121)) + "[99999]\n")
    filled.start_worker("replay")
    outcome = answer(filled, "run", "--keys", str(file))
    (column,) = outcome["columns"]
    assert outcome["keys"]["of_no_row"] == [{"line": 121, "key": ["99999"]}]
    assert (outcome["ok"], column["sent"], column["embedded"], column["gone"]) == (
        True,
        120,
        120,
        0,
    )
    before = filled.value("SELECT max(embedded_at) FROM questions")
    outcome = answer(filled, "run", "--only", "all", "--force", "--since", before.isoformat())
    assert (outcome["columns"][0]["embedded"], outcome["columns"][0]["current"]) == (119, 0)
    assert outcome["handled"] == 119
    written = (
        "--where",
        f"embedded_at < '{filled.value('SELECT max(embedded_at) FROM questions').isoformat()}'",
    )
    said = filled.vectrue("replay", "run", "--only", "all", "--force", *written).stdout
    assert "119 rows handled; 120 of 2,000 rows of public.questions are current or blank" in said


def test_the_replay_waits_for_the_live_lane_and_says_why(filled: Workplace) -> None:
    """While changes wait the run stands still and `status` has the reason; when they
    are handled it goes on (I6).
    """
    # the stopped worker stays a member for that long
    filled.with_settings(kafka={"session_timeout_seconds": 90})
    live = filled.start_worker("live")
    filled.start_worker("replay")
    run = answer(filled, "run", "--rate", "20/s", "--max-live-lag", "1.5s", "--detach")["run"]
    filled.execute("UPDATE questions SET question = 'warm' WHERE id = 2000")
    embedded = "SELECT embedding IS NOT NULL FROM questions WHERE id = 2000"
    until(lambda: filled.value(embedded) and done_keys(filled) > 0, what="both lanes to work")
    live.send_signal(signal.SIGSTOP)
    filled.execute("UPDATE questions SET question = 'new' WHERE id = 1999")
    until(lambda: filled.value("SELECT max(waiting) FROM vectrue.replays"), what="the reason")
    (status,) = answer(filled, "status", run)
    assert status["waiting"].startswith("live lag ")
    assert status["waiting"].endswith(" > 1.5s")
    live.send_signal(signal.SIGCONT)
    filled.vectrue("replay", "set", "rate=none")
    assert answer(filled, "run")["ok"]
    assert "replay waits" in filled.log("replay")
    assert "replay resumed" in filled.log("replay")


def test_kills_at_random_points_count_every_row_once(filled: Workplace) -> None:
    """The command and the worker are killed twenty times in all; the ledger ends exact,
    and so do the vectors.
    """
    chance = random.Random(20)
    worker = filled.start_worker("replay")
    command = filled.start("replay", "run", "--rate", "150/s", "--chunk", "10", log="run")
    for round_ in range(20):
        goal = done_keys(filled) + chance.randrange(1, 40)
        _further(filled, command, goal)
        if round_ % 4 == 3:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            worker = filled.start_worker("replay")
        else:
            command.send_signal(signal.SIGKILL)
            command.wait()
            command = filled.start("replay", "run", log="run")
    command.wait(120)
    run = filled.value("SELECT run::text FROM vectrue.replays ORDER BY created_at LIMIT 1")
    filled.vectrue("replay", "run", timeout=200)
    assert filled.execute(LEDGER, (run,)) == [(200, 2000, 2000, 2000, 2000)]
    assert filled.coverage()["current"] == 2000


def test_enumeration_goes_on_exactly_where_it_was_killed(filled: Workplace) -> None:
    """SIGKILL in the middle of the keys: the next command enters the rest, each key
    once.
    """
    holder = psycopg2.connect(filled.settings.postgres.dsn)
    filled.with_settings(replay={"chunk_size": 5})
    command = filled.start("replay", "run", log="run")
    until(
        lambda: filled.value("SELECT count(*) FROM vectrue.replay_chunks") > 0,
        what="the first page",
    )
    with holder.cursor() as cursor:
        # the next page cannot be entered
        cursor.execute("LOCK vectrue.replay_scopes IN SHARE MODE")
        command.send_signal(signal.SIGKILL)
        command.wait()
    holder.rollback()
    holder.close()
    filled.vectrue("replay", "run", "--detach")
    keys = (
        "SELECT count(*), count(DISTINCT k) FROM vectrue.replay_chunks, "
        "jsonb_array_elements(keys) AS k"
    )
    assert filled.execute(keys) == [(2000, 2000)]
    assert filled.value("SELECT count(*) FROM vectrue.replays") == 1
