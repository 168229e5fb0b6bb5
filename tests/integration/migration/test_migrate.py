"""A migration of vector columns on real parts: readers never break, every step may be
killed, and nothing is mixed.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from connectors.clock import SystemClock
from connectors.models import open_model
from connectors.postgres import statement
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.search import SearchRequest
from streams.migration.steps import Migrate
from streams.search.search import Search
from tests.support.migrations import fill, set_up
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

FILL = (
    "INSERT INTO questions (question) SELECT 'question ' || i || ' of ' || md5(i::text) FROM "
    "generate_series(1,{}) i"
)
INDEX = (
    "CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops) WITH (m = 8, "
    "ef_construction = 32)"
)
TO = ("--model", "lexical", "--dimensions", "96")


@pytest.fixture
def served(workplace: Workplace) -> Workplace:
    """200 rows with true vectors of 64 numbers, an index, and both workers under their
    supervisor.

    The live worker has written already: one that is still starting has no session for
    `migrate start` to wait for.
    """
    workplace.execute(FILL.format(200))
    workplace.execute(INDEX)
    workplace.vectrue("init")
    workplace.start("worker")
    workplace.vectrue("replay", "run")
    workplace.execute("UPDATE questions SET question = 'edited before everything' WHERE id = 200")
    until(
        lambda: is_true(workplace, 200, "embedding", 64), what="the live worker to follow an edit"
    )
    return workplace


@contextmanager
def readers(place: Workplace) -> Iterator[list[str]]:
    """Someone who searches without a pause; yields what went wrong, which must stay
    empty.
    """
    wrong: list[str] = []
    over = threading.Event()
    counted = [0]

    def search() -> None:
        session = Session(place.settings.postgres.dsn, role="reader")
        searching = Search(place.settings, session)
        while not over.is_set():
            try:
                hits = searching.find(
                    SearchRequest("question 7 of 8f14e45fceea167a5a36dedd4bea2543", limit=3)
                ).hits
                if len(hits) != 3 or hits[0].text.split()[1] != "7" or hits[0].similarity < 0.99:
                    wrong.append(f"found {hits}")
            except VectrueError as error:
                wrong.append(str(error))
            counted[0] += 1
        session.close()

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()
    assert counted[0] > 10


def status(place: Workplace) -> dict[str, Any]:
    """`migrate status` as JSON."""
    found: dict[str, Any] = json.loads(place.vectrue("migrate", "status", "-o", "json").stdout)
    return found


def stored(place: Workplace, key: int, column: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One row's vector."""
    return np.array(
        json.loads(place.value(f"SELECT {column}::text FROM questions WHERE id = %s", (key,))),
        np.float32,
    )


def is_true(place: Workplace, key: int, column: str, dimensions: int) -> bool:
    """Whether a column holds the vector of the row's text by the stand-in of this
    length.
    """
    text = place.value("SELECT question FROM questions WHERE id = %s", (key,))
    model = open_model(place.settings.model.model_copy(update={"dimensions": dimensions}))
    made = place.value(f"SELECT {column} IS NOT NULL FROM questions WHERE id = %s", (key,))
    return bool(made) and bool(
        np.allclose(stored(place, key, column), model.encode_documents([text])[0], atol=1e-6)
    )


def refused(place: Workplace, *arguments: str) -> str:
    """The sentence with which a step is refused; 2 where it asks for --yes."""
    done = place.vectrue("migrate", *arguments, check=False)
    assert done.returncode == (2 if "--yes" in done.stderr else 1), done.stderr
    return done.stderr


@contextmanager
def settings_of_the_new_model(place: Workplace) -> Iterator[None]:
    """Settings that name the new model too early."""
    before = place.settings.model.dimensions
    place.with_settings(model={"dimensions": 96})
    yield
    place.with_settings(model={"dimensions": before})


def test_from_64_to_96_and_back_and_again(served: Workplace) -> None:
    """From start to finish, with a way back: searches find the right row at every
    moment, edits reach both columns.
    """
    with readers(served) as wrong:
        planned = json.loads(served.vectrue("migrate", "plan", *TO, "-o", "json").stdout)
        assert [t["indexes"] for t in planned["tables"]] == [["nearest"]]
        assert "there is no migration to swap" in refused(served, "swap")

        with settings_of_the_new_model(served):
            assert "set [model] back" in refused(served, "start", "-m", "lexical", "-d", "128")
        served.vectrue("migrate", "start", *TO)
        served.vectrue("migrate", "start", *TO)  # again: nothing to do
        assert "200 rows" in refused(served, "swap")
        served.execute("UPDATE questions SET question = 'edited while both are kept' WHERE id = 1")
        until(
            lambda: is_true(served, 1, "embedding_v2", 96),
            what="the growing column to follow an edit",
        )
        until(
            lambda: is_true(served, 1, "embedding", 64), what="the served column to follow it too"
        )

        assert status(served)["next"] == "vectrue replay run"
        served.vectrue("replay", "run")
        assert "indexes" in refused(served, "swap")
        served.vectrue("migrate", "index")
        assert status(served)["next"] == "vectrue migrate swap"
        served.vectrue("migrate", "swap")
        seen = (
            "SELECT null_frac FROM pg_stats WHERE tablename = 'questions' AND attname = "
            "'embedding_model'"
        )
        # else the planner takes the wanted model for one that no row has
        assert served.value(seen) < 0.5
        assert served.value("SELECT vector_dims(embedding) FROM questions WHERE id = 2") == 96
        assert served.value("SELECT vector_dims(embedding_old) FROM questions WHERE id = 2") == 64
        definition = served.value("SELECT pg_get_indexdef('nearest'::regclass)")
        assert "(embedding vector_cosine_ops)" in definition
        assert "m='8'" in definition.replace(" ", "")
        assert "settings name" in refused(served, "finish", "--yes")

        served.execute("UPDATE questions SET question = 'edited after the swap' WHERE id = 2")
        until(lambda: is_true(served, 2, "embedding", 96), what="the new column to follow an edit")
        until(
            lambda: is_true(served, 2, "embedding_old", 64), what="the old column to follow it too"
        )

        served.vectrue("migrate", "rollback")
        assert served.value("SELECT vector_dims(embedding) FROM questions WHERE id = 2") == 64
        served.execute("UPDATE questions SET question = 'edited after going back' WHERE id = 3")
        until(lambda: is_true(served, 3, "embedding", 64), what="the old column to follow an edit")
        until(
            lambda: is_true(served, 3, "embedding_v2", 96), what="the new column to follow it too"
        )

        served.vectrue("migrate", "swap")
        served.with_settings(model={"dimensions": 96})
        served.vectrue("migrate", "finish", "--yes")
    assert wrong == []
    columns = served.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'questions'::regclass AND attnum > 0 "
        "AND NOT attisdropped AND attname LIKE 'embed%' ORDER BY 1"
    )
    names = ["embedded_at", "embedding", "embedding_digest", "embedding_hash", "embedding_model"]
    assert [name for (name,) in columns] == names
    assert status(served) == {"columns": [], "next": None}
    assert served.coverage()["current"] == 200


def test_rows_that_went_stale_while_frozen_are_known_and_healed(served: Workplace) -> None:
    """Frozen vectors stand still; after a rollback `status` counts the stale ones and a
    replay heals.
    """
    served.vectrue("migrate", "start", *TO, "--freeze-old")
    before = stored(served, 5, "embedding")
    served.execute("UPDATE questions SET question = 'edited while the old is frozen' WHERE id = 5")
    until(
        lambda: is_true(served, 5, "embedding_v2", 96), what="the growing column to follow an edit"
    )
    assert np.array_equal(stored(served, 5, "embedding"), before)
    served.vectrue("replay", "run")
    served.vectrue("migrate", "index")
    served.vectrue("migrate", "swap")
    served.vectrue("migrate", "rollback")
    assert served.coverage()["stale_text"] == 1
    served.vectrue("replay", "run")
    assert is_true(served, 5, "embedding", 64)
    served.vectrue("migrate", "rollback", "--yes")
    assert (
        served.execute(
            "SELECT 1 FROM pg_attribute WHERE attname = 'embedding_v2' AND NOT attisdropped"
        )
        == []
    )
    assert status(served)["next"] is None


def test_offline_in_an_order_that_works_on_populated_tables(served: Workplace) -> None:
    """--offline empties and changes the column, a replay fills it, `index` builds the
    index again, `finish` ends it.
    """
    assert "--yes" in refused(served, "start", *TO, "--offline")
    served.vectrue("migrate", "start", *TO, "--offline", "--yes")
    assert served.coverage()["missing"] == 200
    served.vectrue("replay", "run")
    assert "settings name" in refused(served, "finish")
    served.with_settings(model={"dimensions": 96})
    assert "index" in refused(served, "finish")
    served.vectrue("migrate", "index")
    served.vectrue("migrate", "finish")
    assert served.coverage()["current"] == 200
    assert served.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'nearest'::regclass")


class Killed(BaseException):
    """A process that ends here, between two statements."""


def test_every_step_may_be_killed_between_any_two_statements(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is cut off after every one of its statements in turn, and ends well
    when it is called again.
    """
    workplace.execute(FILL.format(20))
    workplace.execute(INDEX)
    set_up(workplace)
    fill(workplace)
    model = workplace.settings.model.model_copy(update={"dimensions": 96})
    run = statement.run
    left = [0]

    def cut(*arguments: Any, **more: Any) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        run(*arguments, **more)

    def is_gone() -> bool:
        return not workplace.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'vectrue killed' "
            "AND datname = current_database()"
        )

    def killed_everywhere(step: str, *arguments: Any) -> None:
        for allowed in range(50):
            # each life gets one statement further than the last
            left[0] = min(allowed, 1)
            session = Session(workplace.settings.postgres.dsn, role="killed")
            try:
                getattr(Migrate(workplace.settings, session, SystemClock(), print), step)(
                    *arguments
                )
            except Killed:
                continue
            finally:
                session.close()
                until(is_gone, what="the server to notice that the session has ended")
            assert allowed > 0
            return
        raise AssertionError(f"{step} came to no end")

    monkeypatch.setattr(statement, "run", cut)
    killed_everywhere("start", model)
    fill(workplace)
    workplace.vectrue("migrate", "index")
    killed_everywhere("swap")
    killed_everywhere("rollback")
    killed_everywhere("swap")
    killed_everywhere("finish", open_model(model).model_id)
    assert workplace.coverage()["current"] == 20
    assert workplace.value("SELECT state FROM vectrue.column_migrations") == "finished"


def test_a_leftover_of_a_killed_build_is_replaced(served: Workplace) -> None:
    """An INVALID index by the name of the new one is dropped and built again."""
    served.vectrue("migrate", "start", *TO)
    served.vectrue("replay", "run")
    served.execute(
        "CREATE INDEX nearest_v2 ON questions USING hnsw (embedding_v2 vector_cosine_ops)"
    )
    served.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'nearest_v2'::regclass"
    )
    served.vectrue("migrate", "index")
    assert served.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'nearest_v2'::regclass")
