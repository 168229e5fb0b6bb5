"""If the server closes an idle connection, its user gets no error and nothing is done twice."""

import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.postgres.setup import slot
from schemas.errors import TransientError
from schemas.settings.reading import Settings
from streams.common import targets
from streams.setup import connection
from streams.worker.watches.targets import TargetWatcher
from tests.support.server import running_server
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

Use = Callable[[], object]

END_ALL = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name LIKE 'vectrue%'
"""


def end_all(place: Workplace) -> None:
    """End every connection of vectrue; at least one has to be there."""
    assert place.value(END_ALL) > 0


def uses(settings: Settings, stack: ExitStack) -> Iterator[tuple[str, Use]]:
    """What uses a connection again and again, each with one of its own."""
    sessions = {
        name: stack.enter_context(closing(Session(settings.postgres.dsn, role=name)))
        for name in "abcd"
    }
    store = stack.enter_context(closing(PostgresStore(settings.postgres, role="test")))
    (target,) = targets.resolve(settings, sessions["a"])
    watcher, desk = (
        TargetWatcher(settings, "live"),
        KeeperStore(sessions["c"], settings.kafka.topic_prefix),
    )
    watcher.start()

    def in_a_transaction() -> object:
        with sessions["d"].transaction() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchall()

    yield "a lane that reads rows", lambda: store.read(target, [("1",)]).documents
    yield "a look at the targets", lambda: targets.resolve(settings, sessions["a"])
    yield "a lane that asks whether to start again", lambda: watcher.has_moved() is False
    yield "a report of the lag", lambda: slot.read(sessions["b"], settings.slot)
    yield "the keeper", desk.is_mine
    yield "a search", in_a_transaction


def test_whoever_comes_back_to_a_closed_connection_gets_an_answer(ready: Workplace) -> None:
    """After a close that has arrived, and after one that arrives with the statement."""
    ready.execute("INSERT INTO questions (question) VALUES ('one')")
    with ExitStack() as stack:
        for what, use in uses(ready.settings, stack):
            for _ in range(3):
                assert use(), what
                end_all(ready)


def test_a_search_server_answers_after_its_connections_were_closed(ready: Workplace) -> None:
    """Requests and the readiness check, each after all connections of the server were
    ended.
    """
    ready.execute("INSERT INTO questions (question) VALUES ('one')")
    with running_server(ready) as server:
        for _ in range(2):
            assert server.client.post("/v1/search", json={"query": "one"}).status_code == 200
            end_all(ready)
            assert server.client.get("/readyz").status_code == 200


def test_a_write_is_not_done_twice(ready: Workplace) -> None:
    """A statement that changes something, and a COMMIT, end in an error when the
    connection goes away with them.
    """
    ready.execute("CREATE TABLE done (id int)")
    ready.execute(
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    ready.execute(
        "CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON done DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION leave()"
    )
    with closing(Session(ready.settings.postgres.dsn, role="test")) as session:
        session.rows("SELECT 1")
        with pytest.raises(TransientError):
            session.rows("INSERT INTO done VALUES (1)")
        assert session.rows("SELECT count(*) FROM done") == [(0,)]
        generation = session.generation
        with pytest.raises(TransientError), session.transaction() as cursor:
            cursor.execute("INSERT INTO done VALUES (2)")
        assert session.generation == generation
        assert session.rows("SELECT count(*) FROM done") == [(0,)]


def test_a_write_to_a_closed_connection_is_done_once_and_succeeds(ready: Workplace) -> None:
    """A close that arrived before the statement is sent is noticed first, so that the
    outcome is not in doubt.
    """
    ready.execute("CREATE TABLE done (id int)")
    with closing(Session(ready.settings.postgres.dsn, role="test")) as session:
        opened = session.connection()
        end_all(ready)
        until(lambda: readable(opened.fileno()), what="the end to arrive")
        session.rows("INSERT INTO done VALUES (1)")
        assert session.rows("SELECT count(*) FROM done") == [(1,)]
        assert session.generation == 2


def test_whoever_holds_a_lock_learns_that_it_is_gone(ready: Workplace) -> None:
    """`init` fails rather than going on without its lock; a keeper that asks again
    holds it in its new connection.
    """
    dsn = ready.settings.postgres.dsn
    with (
        closing(Session(dsn, role="init")) as session,
        closing(Session(dsn, role="keeper")) as other,
    ):
        with connection.alone(session):
            end_all(ready)
            with pytest.raises(
                TransientError, match=r"and with it what it held|did not finish the statement"
            ):
                until(lambda: not session.rows("SELECT 1"), what="the end to arrive")
        desk = KeeperStore(other, ready.settings.kafka.topic_prefix)
        assert desk.is_mine()
        end_all(ready)
        with pytest.raises(TransientError):
            until(lambda: not other.rows("SELECT 1"), what="the end to arrive")
        assert desk.is_mine()


def readable(descriptor: int) -> bool:
    """Whether the server has said something that was not read yet."""
    heard = select.poll()
    heard.register(descriptor, select.POLLIN)
    return bool(heard.poll(0))
