"""The application gives a table another key while workers run, or between two starts of
theirs.
"""

import pytest

from tests.conftest import MakeWorkplace
from tests.support.locks import end_offsets, transaction
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

TABLE = "public.posts"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """A table with an integer key, and one row."""
    made = make_workplace(
        tables=[{"name": TABLE, "text": "title"}], kafka={"partitions": 1}, replay={"nice": 0}
    )
    made.execute(
        "CREATE TABLE posts (id int PRIMARY KEY, region text NOT NULL DEFAULT 'kr', title text,"
        " embedding vector(64))"
    )
    made.vectrue("init")
    return made


def alter(place: Workplace, ddl: str) -> None:
    """Do it while the table is out of the publication, which may forbid it with a
    column list.
    """
    name = place.settings.postgres.publication
    place.execute(
        f"ALTER PUBLICATION {name} DROP TABLE posts; {ddl}; ALTER PUBLICATION {name} ADD TABLE "
        "posts"
    )


def dead_letters(place: Workplace) -> int:
    return end_offsets(place, place.settings.dead_letter_topic)


def asked(place: Workplace) -> bool:
    return bool(place.execute("SELECT 1 FROM vectrue.looks WHERE table_name = %s", (TABLE,)))


def wait_current(place: Workplace) -> None:
    """Not by the view, which `init` renews after a key column got another name."""
    stale = (
        "SELECT count(*) FROM posts WHERE embedding_hash IS DISTINCT FROM "
        "sha256(convert_to(title, 'UTF8'))"
    )
    until(lambda: place.value(stale) == 0, what="all rows to be current")


def test_a_running_worker_takes_another_key(place: Workplace) -> None:
    """A wider type with an event of it at once, a new name, one more column, another
    type: no restart (C1).
    """
    worker = place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'x')")
    wait_current(place)
    alter(place, "ALTER TABLE posts ALTER COLUMN id TYPE bigint")
    place.execute("INSERT INTO posts (id, title) VALUES (3000000000, 'beyond the type of before')")
    wait_current(place)
    alter(place, "ALTER TABLE posts RENAME COLUMN id TO number")
    place.execute("UPDATE posts SET title = title || '.'")
    wait_current(place)
    alter(place, "ALTER TABLE posts DROP CONSTRAINT posts_pkey, ADD PRIMARY KEY (region, number)")
    place.execute(
        "INSERT INTO posts (number, region, title) VALUES (1, 'us', 'y'); UPDATE posts SET "
        "title = title || '.'"
    )
    wait_current(place)
    alter(place, "ALTER TABLE posts ALTER COLUMN number TYPE text")
    place.execute(
        "INSERT INTO posts (number, title) VALUES ('no number', 'z'); UPDATE posts SET title = "
        "title || '.'"
    )
    wait_current(place)
    assert worker.poll() is None
    assert dead_letters(place) == 0
    assert not asked(place)


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE posts DROP CONSTRAINT posts_pkey, ADD PRIMARY KEY (region, id)",
        "ALTER TABLE posts ALTER COLUMN id TYPE uuid USING lpad(id::text, 32, '0')::uuid",
    ],
)
def test_what_waits_under_the_old_key_is_looked_for(place: Workplace, ddl: str) -> None:
    """An event, a deferred row and a replay's chunk still name the key from before the
    change: the whole table is checked.

    There is no dead letter, and no worker leaves (C2, F2).
    """
    worker = place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'x'), (2, 'x'), (3, 'x')")
    place.wait_current(TABLE)
    with transaction(place, "UPDATE posts SET title = 'deferred' WHERE id = 1") as application:
        application.connection.commit()
        application.execute("SELECT FROM posts WHERE id = 1 FOR UPDATE")
        until(
            lambda: end_offsets(place, place.settings.deferred_topic) > 0,
            what="the row to be deferred",
        )
        worker.terminate()
        assert worker.wait(120) == 0
    events = end_offsets(place, f"{place.settings.kafka.topic_prefix}.{TABLE}")
    place.execute("UPDATE posts SET title = 'not read yet' WHERE id = 2")
    until(
        lambda: end_offsets(place, f"{place.settings.kafka.topic_prefix}.{TABLE}") > events,
        what="the event",
    )
    place.start("replay", "run", "--only", "all", log="run")
    until(lambda: end_offsets(place, place.settings.replay_topic) > 0, what="the chunk to be sent")
    alter(place, ddl)
    workers = [place.start_worker("live"), place.start_worker("replay")]
    until(lambda: place.value("SELECT state FROM vectrue.replays") == "done", what="the run to end")
    until(
        lambda: place.log("live").count("event is older than the table's key") >= 2,
        what="both rows to be met",
    )
    # The keeper may have looked at the rows already.
    until(
        lambda: asked(place) or place.coverage(TABLE)["stale_text"] == 0,
        what="the rows to be looked for",
    )
    place.execute("UPDATE posts SET title = 'after' WHERE title = 'x'")
    until(
        lambda: place.value(
            "SELECT embedding_hash = sha256('after') FROM posts WHERE title = 'after'"
        ),
        what="the rest",
    )
    assert [one.poll() for one in workers] == [None, None]
    assert dead_letters(place) == 0
