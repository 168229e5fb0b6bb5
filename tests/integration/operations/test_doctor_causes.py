"""`vectrue doctor` says one cause once: what follows from it is shown, and neither
counted nor hidden as well.
"""

import json
from typing import Any

import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, setup
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace, server_owner

pytestmark = pytest.mark.stack

POSTS = {"name": "public.posts", "text": "body"}
TABLES = ({"name": "public.questions", "text": "question"}, POSTS)
CREATE_POSTS = "CREATE TABLE posts (id bigint PRIMARY KEY, body text, embedding vector(64))"
QUICK = {"seconds": 0.5, "late_seconds": 3.0}


def report(place: Workplace) -> dict[str, Any]:
    """What doctor prints as JSON; its exit code goes with the number of problems."""
    said = place.vectrue("doctor", "-o", "json", check=False)
    found: dict[str, Any] = json.loads(said.stdout)
    assert said.returncode == (1 if found["problems"] else 0), said.stderr
    return found


def problems(place: Workplace) -> list[dict[str, Any]]:
    """The lines that are problems."""
    found = report(place)
    lines: list[dict[str, Any]] = [
        line for line in found["findings"] if line["status"] == "problem"
    ]
    assert found["problems"] == len(lines)
    return lines


def only(place: Workplace, check: str, words: str, fix: str) -> dict[str, Any]:
    """Wait until all that follows has shown itself; then one line is a problem, this
    one with this command.
    """
    found = problems(place)
    assert [line["check"] for line in found] == [check], "\n".join(str(line) for line in found)
    assert words in found[0]["sentence"], found[0]
    assert fix in (found[0]["fix"] or ""), found[0]
    return found[0]


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables, before `init`; quick witnesses."""
    made = make_workplace(tables=TABLES, canary=QUICK)
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(CREATE_POSTS)
    return made


@pytest.fixture
def working(place: Workplace) -> Workplace:
    """The same with both workers at work, and nothing wrong."""
    place.vectrue("init")
    for role in ("live", "replay"):
        place.start_worker(role)
    until(lambda: not problems(place), what="doctor to find no problem")
    return place


def end_workers(place: Workplace) -> None:
    """Kill them, and wait until the broker has noticed."""
    for process in place.processes:
        process.kill()
        process.wait()

    def gone() -> bool:
        lines = {line["check"]: line["sentence"] for line in report(place)["findings"]}
        return (
            "none runs" in lines["live workers"] and "canary has not come back" in lines["canary"]
        )

    until(gone, what="the groups to forget the workers, and the canary to be late")


def late(place: Workplace) -> bool:
    """Whether the canary has not come back for a while."""
    line = next(line for line in report(place)["findings"] if line["check"] == "canary")
    return "not come back" in line["sentence"] and "on its way" not in line["sentence"]


def test_a_database_without_init_is_one_problem(place: Workplace) -> None:
    """It is one problem, not 17: tables, rights, publication, slot, heartbeat, topics,
    connector and workers all follow from it.
    """
    only(place, "schema vectrue", "`vectrue init` was not run in database", "vectrue init")


def test_trouble_that_init_would_refuse_is_counted_beside_it(place: Workplace) -> None:
    """What `init` does not fix is a cause of its own, whatever state the database is
    in.
    """
    place.execute("ALTER TABLE posts REPLICA IDENTITY NOTHING")
    assert [line["check"] for line in problems(place)] == ["table public.posts", "schema vectrue"]


def test_a_database_that_does_not_exist(place: Workplace) -> None:
    """The server answers, and names it."""
    place.with_settings(
        postgres={"dsn": place.settings.postgres.dsn.rsplit("/", 1)[0] + "/nowhere"}
    )
    only(place, "Postgres", 'database "nowhere" does not exist', "postgres.dsn")


def test_a_postgres_that_is_away(working: Workplace) -> None:
    """Workers and the connector run on, but nothing of the database was looked at."""
    working.with_settings(postgres={"dsn": "postgresql://nobody@127.0.0.1:1/x"})
    only(working, "Postgres", "refused", "")


def test_a_wrong_password(role: str, place: Workplace) -> None:
    """The server's message is shown, without the password."""
    setup(as_role(place, role))
    wrong = place.settings.postgres.dsn.replace(":pw@", ":hunter2@")
    place.with_settings(postgres={"dsn": wrong})
    line = only(place, "Postgres", "password", "")
    assert "hunter2" not in str(line)


def test_a_kafka_that_is_away(working: Workplace) -> None:
    """Topics, groups and the canary's way follow."""
    end_workers(working)
    working.with_settings(kafka={"bootstrap_servers": "127.0.0.1:1"})
    only(working, "Kafka", "127.0.0.1:1", "")


def test_a_kafka_connect_that_is_away(working: Workplace) -> None:
    """The connector follows, and a slot that no one reads, and a canary that does not
    come back.
    """
    connect = KafkaConnect(working.settings.connect.url, SystemClock())
    connect.stop(working.settings.connector)
    connect.close()
    working.with_settings(connect={"url": "http://127.0.0.1:1"})
    until(lambda: late(working), what="the canary to be late")
    only(working, "Kafka Connect", "127.0.0.1:1", "")


@pytest.mark.parametrize("how", ["delete", "stop", "pause"])
def test_a_connector_that_does_not_run(working: Workplace, how: str) -> None:
    """Slot, heartbeat and canary follow from it."""
    name = working.settings.connector
    connect = KafkaConnect(working.settings.connect.url, SystemClock())
    getattr(connect, how)(name)
    connect.close()
    working.execute("UPDATE vectrue.heartbeat SET at = now() - interval '1 hour'")
    until(lambda: late(working), what="the canary to be late")
    words = {"delete": "is not known to Kafka Connect", "stop": "STOPPED", "pause": "PAUSED"}[how]
    only(working, f"connector {name}", words, "vectrue init")


def test_a_slot_that_was_dropped(working: Workplace) -> None:
    """The task that fails without it, and the canary, follow."""
    name = working.settings.slot
    end = (
        "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE "
        "slot_name = %s AND active"
    )
    dropped = (
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = "
        "%s AND NOT active"
    )

    def taken() -> bool:
        working.execute(end, (name,))
        return bool(working.execute(dropped, (name,)))

    until(taken, what="the slot to be dropped between two readers")
    until(lambda: late(working), what="the canary to be late")
    only(working, f"slot {name}", "is not there", "vectrue init")


def test_a_publication_that_was_dropped(working: Workplace) -> None:
    """The connector that fails over it follows, and so do the canary and what the
    workers see.
    """
    working.execute("DROP PUBLICATION vectrue")
    working.execute("INSERT INTO questions (question) VALUES ('a')")
    until(lambda: late(working), what="the canary to be late")
    only(working, "publication vectrue", "there is no publication vectrue", "vectrue init")


@pytest.mark.parametrize(
    ("statement", "words", "fix"),
    [
        ("DROP TABLE posts", "no table public.posts", "correct [[tables]] name"),
        (
            "ALTER TABLE posts RENAME TO articles",
            "no table public.posts",
            "correct [[tables]] name",
        ),
        ("ALTER TABLE posts DROP COLUMN body", "body", "correct [[tables]] text"),
        ("ALTER TABLE posts DROP COLUMN embedding", "no column", "ADD COLUMN"),
        ("ALTER TABLE posts DROP COLUMN embedding_hash", "lacks columns", "vectrue init"),
        ("ALTER TABLE posts DROP CONSTRAINT posts_pkey", "no primary key", "ADD PRIMARY KEY"),
    ],
    ids=["dropped", "renamed", "text", "vector", "provenance", "key"],
)
def test_a_table_that_changed(working: Workplace, statement: str, words: str, fix: str) -> None:
    """One line, about this table; the workers that leave over it, and the canary,
    follow.
    """
    working.execute(statement)
    end_workers(working)
    only(working, "table public.posts", words, fix)


def test_trouble_with_one_table_hides_no_other_cause(working: Workplace) -> None:
    """The publication that leaves out the other table, and a publication in other
    hands, are causes of their own.
    """
    working.execute("DROP TABLE posts")
    working.execute("ALTER PUBLICATION vectrue DROP TABLE questions")
    with server_owner(working.endpoints.postgres_dsn) as cursor:
        cursor.execute("CREATE ROLE publication_thief")
    try:
        working.execute(
            "GRANT CREATE ON DATABASE {} TO publication_thief".format(
                working.value("SELECT current_database()")
            )
        )
        working.execute("ALTER PUBLICATION vectrue OWNER TO publication_thief")
        found = problems(working)
        said = " / ".join(line["sentence"] for line in found)
        assert [line["check"] for line in found] == [
            "table public.posts",
            "publication vectrue",
            "configured",
        ], said
        assert "public.questions is not published" in said
        assert "belongs to role publication_thief" in said
    finally:
        working.execute("ALTER PUBLICATION vectrue OWNER TO CURRENT_USER")
        working.execute("DROP OWNED BY publication_thief")
        with server_owner(working.endpoints.postgres_dsn) as cursor:
            cursor.execute("DROP ROLE publication_thief")


def test_an_extension_that_is_not_there(place: Workplace) -> None:
    """Columns of its type are gone with it."""
    place.vectrue("init")
    place.execute("DROP EXTENSION vector CASCADE")
    only(place, "Postgres", "no extension vector", "CREATE EXTENSION vector")


def test_topics_that_were_deleted(working: Workplace) -> None:
    """One line for all of them; the workers that leave over it follow."""
    from confluent_kafka.admin import AdminClient

    from connectors.kafka.client import client_config

    for process in working.processes:
        process.kill()
        process.wait()
    connect = KafkaConnect(working.settings.connect.url, SystemClock())
    connect.stop(working.settings.connector)
    prefix = working.settings.kafka.topic_prefix
    client = AdminClient(
        client_config(working.own, **getattr(working.endpoints, "kafka_admin", {}))
    )
    for gone in client.delete_topics([f"{prefix}.public.posts", f"{prefix}.replay"]).values():
        gone.result()
    connect.resume(working.settings.connector)
    connect.wait_running(working.settings.connector)
    connect.close()
    end_workers(working)
    only(working, "topics", f"{prefix}.public.posts", "vectrue init")


@pytest.mark.parametrize(
    ("revoked", "check", "words"),
    [
        (
            "SELECT (question), UPDATE (embedding) ON questions",
            "table public.questions",
            "permission denied for table",
        ),
        ("ALL ON ALL TABLES IN SCHEMA vectrue", "rights", "missing: let role"),
        ("USAGE ON SCHEMA vectrue", "rights", "missing: let role"),
    ],
    ids=["table", "tables of vectrue", "schema"],
)
def test_rights_that_were_revoked(
    role: str, place: Workplace, revoked: str, check: str, words: str
) -> None:
    """One line, whatever cannot be read without them; the workers that leave over it
    follow.
    """
    setup(as_role(place, role))
    place.execute(f'REVOKE {revoked} FROM "{role}"')
    only(place, check, words, "as an owner of the tables")


def test_a_model_that_is_not_here(working: Workplace) -> None:
    """A worker cannot start without its files, which is why none runs."""
    working.with_settings(model={"name": "acme/embedder"})
    end_workers(working)
    only(working, "model", "the weights of acme/embedder are not", "vectrue model pull")


def test_workers_that_never_ran(place: Workplace) -> None:
    """The canary, which they write, follows."""
    place.vectrue("init")
    only(place, "live workers", "none runs", "vectrue worker --role live")


def test_a_schema_of_an_older_version(place: Workplace) -> None:
    """One line for all that it lacks; rights, witnesses and workers follow."""
    place.vectrue("init")
    place.execute("DROP TABLE vectrue.locks, vectrue.rounds")
    place.execute("DELETE FROM vectrue.migrations")
    only(place, "schema vectrue", "apply migration 001", "vectrue init")


@pytest.mark.parametrize("verbs", [("start",), ("start", "swap")], ids=["started", "swapped"])
def test_a_migration_that_is_half_way(working: Workplace, verbs: tuple[str, ...]) -> None:
    """It is not a problem: two models are wanted and served by the workers, which restart
    on their own.
    """
    for verb in verbs:
        if verb == "swap":
            until(
                lambda: not problems(working), what="the workers to have started with both models"
            )
            working.vectrue("replay", "run", "--only", "stale", "--follow")
        more = ["--model", "lexical", "--dimensions", "96"] if verb == "start" else ["--yes"]
        working.vectrue("migrate", verb, *more)
    for role in ("live", "replay"):
        working.start_worker(role)
    until(lambda: not problems(working), what="doctor to find no problem")


@pytest.mark.parametrize("command", [["status"], ["verify"], ["search", "a"]])
def test_other_commands_say_it_in_one_sentence(place: Workplace, command: list[str]) -> None:
    """In a database where `init` was not run: what is missing, and the command that
    makes it.
    """
    said = place.vectrue(*command, check=False)
    assert said.returncode != 0
    everything = said.stdout + said.stderr
    assert everything.count("vectrue init") == 1, everything
