"""The application changes its tables while a worker runs: what does not concern the
vectors stops nothing.
"""

import json
import secrets
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer

from connectors.kafka.client import client_config
from schemas.errors import ConfigurationError, VectrueError
from schemas.settings.reading import Settings
from tests.conftest import MakeWorkplace
from tests.support.init import planned, setup
from tests.support.locks import transaction
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

TABLES = ("public.questions", "public.parted", "public.leaving")
PARTED = (
    "(id bigint, region text, body text, embedding vector(64), PRIMARY KEY (region, id)) "
    "PARTITION BY LIST (region)"
)


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A plain table, a partitioned one, and one that will be renamed; a live worker
    runs.
    """
    named = [{"name": name, "text": "body"} for name in TABLES[1:]]
    made = make_workplace(
        tables=[{"name": TABLES[0], "text": "question"}, *named], kafka={"partitions": 1}
    )
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    made.execute(
        f"CREATE TABLE parted {PARTED}; CREATE TABLE parted_kr PARTITION OF parted FOR VALUES "
        "IN ('kr')"
    )
    made.execute("CREATE TABLE leaving (id bigint PRIMARY KEY, body text, embedding vector(64))")
    made.vectrue("init")
    return made


def test_columns_types_partitions_and_names_change_under_a_running_worker(place: Workplace) -> None:
    """New columns, other types, a new partition, a table renamed away: the worker goes
    on with the rest.
    """
    worker = place.start_worker("live")
    place.execute(
        "INSERT INTO questions (id, question) VALUES (1, 'x'); INSERT INTO leaving VALUES (1, 'x')"
    )
    place.execute("INSERT INTO parted VALUES (1, 'kr', 'x')")
    for table in TABLES:
        place.wait_current(table)
    steps = (
        "ALTER TABLE questions ADD note text NOT NULL DEFAULT 'n', DROP views",
        "ALTER TABLE questions ALTER question TYPE varchar(500)",
        "ALTER TABLE questions ALTER question TYPE text",
        # a rewrite
        "ALTER TABLE questions ADD COLUMN later int GENERATED ALWAYS AS (length(question)) STORED",
        "CREATE INDEX ON questions USING hnsw (embedding vector_cosine_ops)",
    )
    for number, step in enumerate(steps, 2):
        place.execute(step)
        place.execute("UPDATE questions SET question = question || '.'")
        place.execute("INSERT INTO questions (id, question) VALUES (%s, 'y')", (number,))
    place.wait_current()
    place.execute("CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')")
    place.execute(
        "CREATE TABLE parted_jp (LIKE parted INCLUDING ALL); INSERT INTO parted_jp VALUES (3, "
        "'jp', 'attached')"
    )
    place.execute("ALTER TABLE parted ATTACH PARTITION parted_jp FOR VALUES IN ('jp')")
    place.execute(
        "INSERT INTO parted VALUES (2, 'us', 'y'); UPDATE parted SET body = body || '.', region "
        "= 'us' WHERE id = 1"
    )
    place.execute("UPDATE parted SET body = body || '.' WHERE region = 'jp'")
    place.wait_current("public.parted")
    # Renamed with nothing of it on the way: no event names it any more, and its
    # neighbours go on.
    place.execute("ALTER TABLE leaving RENAME TO gone")
    place.execute("UPDATE questions SET question = 'after' WHERE id = 1")
    until(lambda: current_question(place), what="the neighbour of the table that went away")
    assert worker.poll() is None
    # Anyone who asks is told which; the worker says so at its next start, and nothing was
    # lost when the name is back.
    assert "there is no table public.leaving" in place.vectrue("status", check=False).stderr
    worker.terminate()
    assert worker.wait(120) == 0
    started = place.start("worker", "--role", "live", log="live")
    assert started.wait(120) == 78
    assert "there is no table public.leaving" in place.log("live")
    place.execute("ALTER TABLE gone RENAME TO leaving")
    place.execute("UPDATE leaving SET body = body")
    place.start_worker("live")
    place.wait_current("public.leaving")


def current_question(place: Workplace) -> bool:
    return bool(place.value("SELECT embedding_hash = sha256('after') FROM questions WHERE id = 1"))


def test_init_never_makes_the_application_wait_behind_it(make_workplace: MakeWorkplace) -> None:
    """A report reads the table for long: `init` asks again and again, queries behind it
    go through, then it is done.
    """
    place = make_workplace(postgres={"lock_timeout_seconds": 0.1})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    done: list[object] = []
    with transaction(place, "SELECT count(*) FROM questions") as report:
        thread = threading.Thread(target=lambda: done.append(setup(place.settings)))
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'questions'::regclass"
        )
        with transaction(place, "SET lock_timeout = '5s'") as application:
            for number in range(3):
                until(lambda: place.value(waiting) > 0, what="the DDL to queue for the table")
                application.execute("INSERT INTO questions (question) VALUES (%s)", (f"{number}",))
                application.connection.commit()
        assert not done
        report.connection.rollback()
    thread.join(60)
    assert len(done) == 1
    assert place.value("SELECT count(*) FROM questions") == 3


POSTS = (
    "(id int PRIMARY KEY, region text DEFAULT 'kr', code text UNIQUE NOT NULL, title text, n "
    "bigint, "
    "embedding vector(64))"
)
INSERT = "INSERT INTO posts (code, n) VALUES (gen_random_uuid()::text, %s)"
WITH_ID = "INSERT INTO posts (id, code, title, n) VALUES (%s, gen_random_uuid()::text, 'secret', 0)"
STEPS: tuple[tuple[str, str, set[str]], ...] = (
    ("SELECT", WITH_ID, {"id"}),
    ("ALTER TABLE posts ALTER id TYPE bigint", WITH_ID, {"id"}),
    (
        "ALTER TABLE posts DROP CONSTRAINT posts_pkey, ADD PRIMARY KEY (region, id)",
        WITH_ID,
        {"region", "id"},
    ),
    ("ALTER TABLE posts REPLICA IDENTITY FULL", WITH_ID, {"region", "id"}),
    ("ALTER TABLE posts REPLICA IDENTITY USING INDEX posts_code_key", WITH_ID, {"region", "id"}),
    ("ALTER TABLE posts REPLICA IDENTITY DEFAULT", WITH_ID, {"region", "id"}),
    ("ALTER TABLE posts RENAME id TO nr", WITH_ID.replace("id,", "nr,", 1), {"region", "nr"}),
    ("ALTER TABLE posts RENAME nr TO id", WITH_ID, {"region", "id"}),
    ("ALTER TABLE posts ALTER title TYPE varchar(500)", WITH_ID, {"region", "id"}),
    (
        (
            "ALTER TABLE posts ADD uid uuid DEFAULT gen_random_uuid(), DROP CONSTRAINT posts_pkey, "
            "ADD PRIMARY KEY (uid)"
        ),
        WITH_ID,
        {"uid"},
    ),
    ("ALTER TABLE posts DROP id", INSERT, {"uid"}),
    ("ALTER TABLE posts DROP title", INSERT, {"uid"}),
    ("ALTER TABLE posts DROP embedding", INSERT, {"uid"}),
    ("TRUNCATE posts", INSERT, {"uid"}),
)
"""DDL of the application, an INSERT that fits afterwards, and the columns of the key
that the events then have.
"""


class Tail:
    """What comes to a topic of one partition, in turn."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        """Begin at the beginning."""
        self._consumer = Consumer(
            client_config(
                settings, **{"group.id": secrets.token_hex(4), "auto.offset.reset": "earliest"}
            )
        )
        self._consumer.subscribe(list(topics))

    def two(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Operation and key of the next two events, in which there is no text."""
        found: list[tuple[str, dict[str, object]]] = []

        def arrived() -> bool:
            for message in self._consumer.consume(2 - len(found), timeout=0.2):
                assert b"secret" not in (message.value() or b"")
                found.append(
                    (json.loads(message.value() or b"")["op"], json.loads(message.key() or b""))
                )
            return len(found) == 2

        until(arrived, what="two events")
        return iter(found)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def test_no_ddl_or_update_of_the_application_fails(make_workplace: MakeWorkplace) -> None:
    """Whatever the application does to its key, columns and partitions succeeds,
    without `init`, and is captured.

    What a publication forbids whatever it lists is refused by Postgres, and named by
    `doctor`.
    """
    named = [{"name": "public.posts", "text": "code"}, {"name": "public.parted", "text": "body"}]
    place = make_workplace(
        tables=named, kafka={"partitions": 1}, postgres={"publication_columns": "keys"}
    )
    place.execute(f"CREATE TABLE posts {POSTS}")
    place.execute(
        f"CREATE TABLE parted {PARTED}; CREATE TABLE parted_kr PARTITION OF parted FOR VALUES "
        "IN ('kr')"
    )
    setup(place.settings)
    with pytest.raises(VectrueError, match="cannot alter type of a column used by a publication"):
        place.execute("ALTER TABLE posts ALTER id TYPE bigint")
    place.with_settings(postgres={"publication_columns": "all"})
    assert any(
        line.startswith("change the publication vectrue") for line in setup(place.settings).changed
    )
    assert planned(place.settings).statements == ()
    prefix = place.settings.kafka.topic_prefix
    posts, parted = (
        Tail(place.settings, f"{prefix}.public.{name}") for name in ("posts", "parted")
    )
    for number, (statement, insert, key) in enumerate(STEPS, 3_000_000_000):
        place.execute(statement)
        place.execute(insert, (number if number > 3_000_000_000 else 1,))
        place.execute("UPDATE posts SET n = 1 WHERE code = (SELECT max(code) FROM posts)")
        assert [(op, set(columns)) for op, columns in posts.two()] == [("c", key), ("u", key)], (
            statement
        )
    partitions(place, parted)
    refused(place, posts)
    place.execute("DROP TABLE posts")
    place.execute(
        "INSERT INTO parted VALUES (9, 'kr', 'secret'); UPDATE parted SET body = 'secret' WHERE "
        "id = 9"
    )
    assert [op for op, _ in parted.two()] == ["c", "u"]
    posts.close()
    parted.close()


def partitions(place: Workplace, tail: Tail) -> None:
    """Partitions come and go, whatever identity they have."""
    place.execute(
        "CREATE TABLE parted_us (LIKE parted INCLUDING ALL); ALTER TABLE parted_us REPLICA "
        "IDENTITY FULL"
    )
    place.execute("ALTER TABLE parted ATTACH PARTITION parted_us FOR VALUES IN ('us')")
    place.execute(
        "INSERT INTO parted VALUES (1, 'us', 'secret'); UPDATE parted SET body = 'secret' WHERE "
        "id = 1"
    )
    assert [op for op, _ in tail.two()] == ["c", "u"]
    place.execute("ALTER TABLE parted DETACH PARTITION parted_us CONCURRENTLY")
    place.execute(
        "INSERT INTO parted_us VALUES (2, 'us', 'secret'); UPDATE parted_us SET body = 'x'; "
        "DROP TABLE parted_us"
    )
    place.execute(
        "INSERT INTO parted VALUES (3, 'kr', 'secret'); UPDATE parted SET body = 'secret' WHERE "
        "id = 3"
    )
    assert [(op, key) for op, key in tail.two()] == [
        (op, {"region": "kr", "id": 3}) for op in ("c", "u")
    ]


def refused(place: Workplace, tail: Tail) -> None:
    """What Postgres itself refuses of a published table: named, with the way out, which
    works.
    """
    with pytest.raises(ConfigurationError, match="to unlogged because it is part of a publication"):
        place.execute("ALTER TABLE posts SET UNLOGGED")
    place.execute(
        "ALTER TABLE parted_kr REPLICA IDENTITY NOTHING; ALTER TABLE posts DROP CONSTRAINT "
        "posts_pkey"
    )
    for update in ("UPDATE posts SET n = 2", "UPDATE parted SET body = 'x'"):
        with pytest.raises(
            ConfigurationError, match="does not have a replica identity and publishes updates"
        ):
            place.execute(update)
    found = " ".join(place.vectrue("doctor", "-o", "json", check=False).stdout.split())
    for table in ("public.posts", "public.parted_kr"):
        assert f"Postgres refuses every UPDATE of {table}, which is published" in found
    place.execute(
        "ALTER TABLE parted_kr REPLICA IDENTITY DEFAULT; ALTER TABLE posts REPLICA IDENTITY FULL"
    )
    place.execute(INSERT, (5,))
    place.execute("UPDATE posts SET n = 6 WHERE n = 5")
    assert [op for op, _ in tail.two()] == ["c", "u"]
