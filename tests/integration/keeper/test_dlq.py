"""Dead letters end to end: the flood guard, a dead-letter topic that is broken, and
`vectrue dlq`.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from typer.testing import CliRunner

from connectors.clock import SystemClock
from connectors.kafka.client import client_config
from connectors.kafka.offsets import KafkaOffsets
from connectors.kafka.outbox import KafkaOutbox
from connectors.postgres.ledger.entering import create_keys
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.rows import quarantine
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, PoisonEvent, VectrueError
from schemas.messages.dead_letter import Failure, row_id
from schemas.messages.record import Record
from streams.cli.main import app
from tests.conftest import MakeWorkplace
from tests.contract.store_worlds import TARGET, PostgresWorld
from tests.integration.worker.test_malformed import good, letters, produce
from tests.support.locks import end_offsets
from tests.support.malformed import Event
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

BAD = Event("bad", b"k", b"\x00 not an event", [("a", b"1"), ("a", b"2")])


def committed(place: Workplace) -> dict[int | None, int]:
    """The live group's committed offset by partition of the change topic; 0 without a
    commit.
    """
    topic = f"{place.settings.kafka.topic_prefix}.public.questions"
    group = KafkaOffsets(place.settings, SystemClock()).read({place.settings.live_group: [topic]})
    return {p.partition: p.current_offset or 0 for p in group[place.settings.live_group].partitions}


def moved(place: Workplace) -> set[tuple[int, int]]:
    """Partition and offset of every event that has a dead letter."""
    return {(d.original.partition, d.original.offset) for d in letters(place) if d.original}


def limit_records(place: Workplace, topic: str, size: int) -> None:
    """Let the broker refuse records of a topic that are larger."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(client_config(place.settings))
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def test_a_flood_stops_the_worker_and_loses_nothing(ready: Workplace) -> None:
    """A wrong topic: exit 70 and one sentence; no offset passes an event that is not
    handled; once fixed, it goes on.
    """
    ready.with_settings(dead_letters={"most_in_a_row": 20}, live={"batch_size": 10})
    ready.execute("INSERT INTO questions (question) VALUES ('x')")
    placed = produce(ready, [BAD] * 90)
    worker = ready.start("worker", "--role", "live", log="live")
    assert worker.wait(120) == 70
    assert "events in a row of topic" in ready.log("live")
    assert "vectrue dlq list" in ready.log("live")
    assert "Traceback" not in ready.log("live")
    there, dead = committed(ready), moved(ready)
    assert len(dead) <= 20
    bad = {(partition, offset) for _, partition, offset in placed}
    assert all(place in dead for place in bad if place[1] < there[place[0]])
    ready.with_settings(dead_letters={"most_in_a_row": 0, "most_share": 0})
    ready.start_worker("live")
    until(lambda: bad <= moved(ready), what="every bad event in the dead letters")
    ready.wait_current()


def test_a_broken_dead_letter_topic_never_loses_an_event(ready: Workplace) -> None:
    """While the broker refuses dead letters the worker tries again, leaves with 70, and
    the offset stays.
    """
    limit_records(ready, ready.settings.dead_letter_topic, 100)
    ready.with_settings(live={"retry_seconds": 1})
    ((_, partition, offset),) = produce(ready, [BAD])
    assert ready.start("worker", "--role", "live", log="live").wait(120) == 70
    assert "retrying" in ready.log("live")
    assert committed(ready)[partition] <= offset
    limit_records(ready, ready.settings.dead_letter_topic, 1_048_588)
    ready.start_worker("live")
    until(lambda: (partition, offset) in moved(ready), what="the dead letter")


def dlq(place: Workplace, *arguments: str, code: int = 0) -> Any:
    """Run `vectrue dlq ... -o json`, in this process: a new one would spend seconds on
    its imports.
    """
    done = CliRunner().invoke(
        app, ["--config", str(place.write_config()), "dlq", *arguments, "-o", "json"]
    )
    assert done.exit_code == code, f"{done.output}{done.exception!r}"
    return json.loads(done.stdout)


def test_a_database_without_init_is_told_what_is_missing(make_workplace: MakeWorkplace) -> None:
    """Every command names `vectrue init`, before it asks anything else of Postgres or
    Kafka.
    """
    config = str(make_workplace().write_config())
    for arguments in (["list"], ["show", "x"], ["redrive", "--all"], ["purge", "--all", "--yes"]):
        done = CliRunner().invoke(app, ["--config", config, "dlq", *arguments])
        assert isinstance(done.exception, ConfigurationError), done.output
        assert done.exception.fix == "run `vectrue init`"


@pytest.fixture
def troubled(ready: Workplace) -> Workplace:
    """One event that stays bad, one that is fine by now, one row in quarantine; both
    workers run.
    """
    ready.start_worker("live")
    ready.start_worker("replay")
    ready.execute("INSERT INTO questions (question) VALUES ('one'), ('two')")
    ready.wait_current()
    produce(ready, [BAD])
    until(lambda: moved(ready), what="the dead letter")
    event = good(1)
    topic = f"{ready.settings.kafka.topic_prefix}.public.questions"
    record = Record(topic, 1, 77, event.key, event.value, (("trace", b"7"),))
    KafkaOutbox(ready.settings).send_dead_letters(
        [Failure(record, PoisonEvent("was not understood then"), "decode")]
    )
    hide_in_quarantine(ready, "questions", "embedding", "id = 2")
    assert ready.coverage()["quarantined"] == 1
    return ready


def test_list_show_redrive_and_purge(troubled: Workplace) -> None:
    """Both kinds are listed, shown, sent again once with an outcome each, and given up."""
    topic = f"{troubled.settings.kafka.topic_prefix}.public.questions"
    row = row_id("public.questions", "embedding", ("2",))
    fine = f"{topic}/1/77"
    listed = dlq(troubled, "list")
    bad = listed[0]["id"]
    assert [(e["id"], e["kind"], e["table"]) for e in listed] == [
        (bad, "event", "public.questions"),
        (fine, "event", "public.questions"),
        (row, "row", "public.questions"),
    ]
    assert [e["id"] for e in dlq(troubled, "list", "--reason", "TOO ODD")] == [row]
    assert (
        dlq(troubled, "list", "--older-than", "1h")
        == dlq(troubled, "list", "-t", "public.other")
        == []
    )
    shown = dlq(troubled, "show", bad)
    assert shown["event_value"] == "hex:" + BAD.value.hex() if BAD.value else None
    assert shown["headers"][:2] == [["a", "1"], ["a", "2"]]
    assert {r["outcome"] for r in dlq(troubled, "redrive", "--all", "--dry-run")} == {
        "would be sent"
    }
    results = {r["id"]: r for r in dlq(troubled, "redrive", "--all", code=1)}
    assert {i: r["outcome"] for i, r in results.items()} == {
        bad: "dead-lettered again",
        fine: "current",
        row: "current",
    }
    assert troubled.coverage()["current"] == 2
    (again,) = dlq(troubled, "list")
    assert results[bad]["detail"].startswith(again["id"] + ": ")
    assert dlq(troubled, "redrive", bad)[0]["outcome"] == "already redriven"
    assert dlq(troubled, "redrive", fine, "--again")[0]["outcome"] == "current"
    refused = troubled.vectrue("dlq", "redrive", check=False)
    assert (refused.returncode, "--all" in refused.stderr) == (2, True)
    assert dlq(troubled, "purge", again["id"], "--yes") == {"deleted": 0, "hidden": 1, "rows": 0}
    assert dlq(troubled, "list") == []
    assert len(dlq(troubled, "list", "--handled")) == 3
    assert dlq(troubled, "purge", "--all", "--yes")["deleted"] == 3
    assert dlq(troubled, "list", "--handled") == []
    assert "no dead letters" in troubled.vectrue("dlq", "list").stderr


def test_an_event_is_followed_in_every_column_by_the_key_of_the_database(
    make_workplace: MakeWorkplace,
) -> None:
    """Keys that Java writes in other words are found, and during a migration both
    columns of a row have to be settled.

    What no worker has handled is `waiting`, which a script tells by the outcome: the
    exit code is 0.
    """
    place = make_workplace(tables=[{"name": "public.days", "text": "body"}])
    place.execute("CREATE TABLE days (id date PRIMARY KEY, body text, embedding vector(64))")
    place.vectrue("init")
    place.vectrue("migrate", "start", "--model", "lexical", "--dimensions", "96")
    place.execute("INSERT INTO days VALUES ('infinity', 'one'), ('0044-03-15 BC', 'two')")
    outbox = KafkaOutbox(place.settings)
    for offset, day in enumerate(("-5877611-06-21Z", "-0043-03-15Z")):
        value = {"op": "u", "source": {"schema": "public", "table": "days"}, "after": {"id": day}}
        topic = f"{place.settings.kafka.topic_prefix}.public.days"
        record = Record(
            topic, 0, 1000 + offset, json.dumps({"id": day}).encode(), json.dumps(value).encode()
        )
        outbox.send_dead_letters(
            [Failure(record, PoisonEvent("was not understood then"), "decode")]
        )
    assert [r["outcome"] for r in dlq(place, "redrive", "--all", "--no-wait")] == [
        "waiting",
        "waiting",
    ]
    place.start_worker("live")
    results = dlq(place, "redrive", "--all", "--again")
    assert [(r["outcome"], r["detail"]) for r in results] == [("current", None)] * 2
    hide_in_quarantine(place, "days", "embedding_v2", "id = '0044-03-15 BC'")
    results = dlq(place, "redrive", "--kind", "event", "--again", code=1)
    assert [(r["outcome"], r["detail"]) for r in results] == [
        ("current", None),
        ("quarantined", "embedding: current, embedding_v2: quarantined; too odd"),
    ]


def hide_in_quarantine(place: Workplace, table: str, column: str, where: str) -> None:
    """Put rows with a vector into quarantine instead; no event reports it."""
    place.execute(
        "SELECT pg_replication_origin_session_setup(%s)", (f"{place.settings.postgres.origin}_7",)
    )
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        f" SELECT 'public.{table}', '{column}', ARRAY[id::text], {column}_hash, {column}_model, "
        "'too odd'"
        f" FROM {table} WHERE {where}"
    )
    place.execute(
        f"UPDATE {table} SET {column} = NULL, {column}_hash = NULL, {column}_model = NULL WHERE "
        f"{where}"
    )
    place.execute("SELECT pg_replication_origin_session_reset()")


def test_a_row_leaves_quarantine_with_its_run_or_not_at_all(make_workplace: MakeWorkplace) -> None:
    """A redrive that fails half-way leaves the row in quarantine and no run: never a
    row that no one looks at.
    """
    place = make_workplace()
    place.execute(
        "CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding vector(64))"
    )
    PostgresWorld(place)
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        " VALUES ('public.questions', 'embedding', '{2}', sha256('two'), 'model-a', 'too odd');"
        "ALTER TABLE vectrue.replay_chunks ADD CONSTRAINT no_chunk CHECK (false)"
    )
    session = Session(place.settings.postgres.dsn, role="test")
    with pytest.raises(VectrueError, match="CheckViolation"):
        quarantine.enter_replay(session, TARGET, [("2",)], 100)
    assert [entry.key for entry in quarantine.read(session)] == [("2",)]
    assert place.value("SELECT count(*) FROM vectrue.replays") == 0
    place.execute("ALTER TABLE vectrue.replay_chunks DROP CONSTRAINT no_chunk")
    run = quarantine.enter_replay(session, TARGET, [("2",)], 100)
    assert run is not None
    assert [
        (c.run, c.keys) for page in RunLedger(session).unsent(run, everything=False) for c in page
    ] == [(run, (("2",),))]
    assert quarantine.read(session) == []
    session.close()


def test_a_redrive_takes_turns_with_other_runs_of_its_column(ready: Workplace) -> None:
    """A run that is being entered is waited for. After that it is in the way: the rows stay
    in quarantine and the run is named.
    """
    place = ready
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        " VALUES ('public.questions', 'embedding', '{2}', sha256('two'), 'model-a', 'too odd')"
    )
    first, second = (Session(place.settings.postgres.dsn, role="test") for _ in range(2))
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype IN ('tuple', 'transactionid') AND NOT "
        "granted AND pid = %s"
    )
    with ThreadPoolExecutor() as pool:
        pid = second.connection().info.backend_pid
        with first.transaction() as cursor:
            run = create_keys(cursor, TARGET, [("1",)], 100)
            asked = pool.submit(quarantine.enter_replay, second, TARGET, [("2",)], 100)
            until(
                lambda: asked.done() or place.value(waiting, (pid,)), what="the other one to wait"
            )
        assert asked.result() is None
    assert [entry.key for entry in quarantine.read(first)] == [("2",)]
    (result,) = dlq(place, "redrive", "--kind", "row", code=1)
    assert result["outcome"] == "not sent"
    assert f"`vectrue replay resume {run}` continues it" in result["detail"]
    assert [entry.key for entry in quarantine.read(first)] == [("2",)]
    first.close()
    second.close()


def test_a_letter_is_sent_nowhere_that_is_not_read(ready: Workplace) -> None:
    """If a header names a topic that no lane reads, the topic is named, nothing is sent to
    it, and the letter stays open (F3).
    """
    foreign = f"payments.{ready.settings.kafka.topic_prefix}"
    admin = AdminClient(client_config(ready.settings))
    for created in admin.create_topics([NewTopic(foreign, 1, 1)]).values():
        created.result()
    record = Record(foreign, 0, 5, b"k", b"v")
    KafkaOutbox(ready.settings).send_dead_letters([Failure(record, PoisonEvent("no"), "decode")])
    for options in (["--dry-run"], [], ["--again"]):
        (result,) = dlq(ready, "redrive", "--all", *options, code=1)
        assert result["outcome"] == "not sent"
        assert f"names topic {foreign}, which nothing reads" in result["detail"]
    assert end_offsets(ready, foreign) == 0
    assert [entry["state"] for entry in dlq(ready, "list")] == ["open"]
    for deleted in admin.delete_topics([foreign]).values():
        deleted.result()


def named_command(said: str, run: str) -> list[str]:
    """The command that a refusal names."""
    (found,) = set[str](re.findall(r"`vectrue (replay resume [0-9a-f-]+)`", " ".join(said.split())))
    assert found == f"replay resume {run}"
    return found.split()


def finish(place: Workplace, run: str, said: str) -> None:
    """Repair Kafka and call the command that a refusal names, until the run is done."""
    limit_records(place, place.settings.replay_topic, 1_048_588)
    place.vectrue(*named_command(said, run))
    state = "SELECT state FROM vectrue.replays WHERE run = %s"
    until(lambda: place.value(state, (run,)) == "done", what="the run to be done")


def test_an_interrupted_redrive_is_finished_by_the_command_it_names(ready: Workplace) -> None:
    """Kafka goes away, then SIGKILL, between the run and its sending: `replay resume`
    handles every row once.

    Until then, whenever the run is in the way it is named: `replay run` and `verify
    --repair` name that command too.
    """
    ready.with_settings(replay={"chunk_size": 2}, keeper={"reconcile_seconds": 0})
    ready.execute(
        "INSERT INTO questions (question) SELECT 'text ' || i FROM generate_series(1, 8) AS i"
    )
    ready.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        " SELECT table_name, column_name, ARRAY[id::text], sha256(convert_to(question, "
        "'UTF8')), model, 'too odd'"
        " FROM questions, vectrue.targets"
    )
    ids = [row_id("public.questions", "embedding", (str(i),)) for i in range(1, 9)]
    ready.start_worker("replay")
    newest = "SELECT run::text FROM vectrue.replays ORDER BY created_at DESC LIMIT 1"
    limit_records(ready, ready.settings.replay_topic, 10)

    ready.with_settings(live={"retry_seconds": 1})
    failed = ready.vectrue("dlq", "redrive", *ids[:3], check=False)
    assert "retrying" in failed.stderr
    finish(ready, ready.value(newest), failed.stderr)

    ready.with_settings(live={"retry_seconds": 120})
    limit_records(ready, ready.settings.replay_topic, 10)
    killed = ready.start("dlq", "redrive", *ids[3:], log="redrive")
    until(lambda: ready.value("SELECT count(*) FROM vectrue.replays") == 2, what="the run")
    killed.kill()
    killed.wait()
    # The broker that lost what it had acknowledged: no chunk counts as unsent, and none
    # will come.
    ready.execute("UPDATE vectrue.replay_chunks SET sent_at = now() WHERE sent_at IS NULL")
    run = ready.value(newest)
    for refused in (
        ("replay", "run"),
        ("replay", "run", "--keys", "/dev/null"),
        ("verify", "--repair"),
    ):
        said = ready.vectrue(*refused, check=False)
        assert said.returncode == 1
        named_command(said.stderr, run)
    finish(ready, run, said.stderr)
    assert ready.execute(
        "SELECT sum(total_keys), sum(done_keys), sum(embedded) FROM vectrue.replay_chunks GROUP "
        "BY run ORDER BY 1"
    ) == [(3, 3, 3), (5, 5, 5)]
    assert ready.coverage()["current"] == 8
