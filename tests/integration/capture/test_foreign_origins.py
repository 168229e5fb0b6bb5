"""Writes of others under a replication origin are captured, and rows that were left out
before are checked.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from connectors.postgres.setup import origins
from schemas.errors import TransientError
from schemas.health.witness import Look
from schemas.rows.table import TableName
from streams.keeper.origin_watch import OriginWatch
from tests.support import workplace as workplaces
from tests.support.init import as_role, events, setup, worker_role
from tests.support.own_postgres import Beside, own_postgres
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

pytestmark = pytest.mark.stack

POSTS = {"name": "public.posts", "text": "title"}
CREATE = "CREATE TABLE posts (id bigint PRIMARY KEY, title text)"
COUNT_CURRENT = (
    "SELECT count(*) FROM posts WHERE embedding_hash = sha256(convert_to(title, 'UTF8'))"
)


@contextmanager
def subscription(place: Workplace, source: Workplace) -> Iterator[None]:
    """A subscription in one database to all tables of another one of the same server,
    and its end.
    """
    name = place.settings.kafka.topic_prefix
    source.execute("CREATE PUBLICATION everything FOR TABLE posts")
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (f"{name}_sub",))
    place.execute(
        f"CREATE SUBSCRIPTION {name} CONNECTION '{source.settings.postgres.dsn}' PUBLICATION "
        "everything "
        f"WITH (create_slot = false, slot_name = '{name}_sub')"
    )
    try:
        yield
    finally:
        place.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        place.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
        place.execute(f"DROP SUBSCRIPTION {name}")


@pytest.fixture
def server(stack: Endpoints, tmp_path: Path) -> Iterator[Beside]:
    """A server of its own, where an origin that comes and goes disturbs no other test."""
    folder = tmp_path / "server"
    folder.mkdir()
    with own_postgres(stack, folder) as endpoints:
        yield endpoints


@pytest.fixture
def role(server: Beside) -> Iterator[str]:
    """A role that owns nothing, for the worker; it outlives the databases that grant it
    rights.
    """
    with worker_role(server.postgres_dsn) as name:
        yield name


@pytest.fixture
def source(server: Beside, tmp_path: Path) -> Iterator[Workplace]:
    """Another database of that server, from which rows are replicated."""
    with workplaces.workplace(server, tmp_path, tables=[POSTS]) as place:
        yield place


def test_rows_of_a_subscription_are_captured(
    role: str, alone: Workplace, source: Workplace
) -> None:
    """One that is made while a live worker runs: the connector is changed, and what it
    left out is to be looked at.
    """
    place = alone
    source.execute(f"{CREATE}; INSERT INTO posts VALUES (1, 'copied')")
    setup(as_role(place, role))
    place.start_worker("live")
    with subscription(place, source):
        until(
            lambda: place.value("SELECT count(*) FROM posts") == 1, what="the subscription's copy"
        )
        place.execute("INSERT INTO posts VALUES (3, 'local')")
        until(
            lambda: not leaves_out(place), what="the connector to pass on the subscription's rows"
        )
        assert [look.table for look in pending(place)] == [TableName("public", "posts")]
        source.execute("INSERT INTO posts VALUES (2, 'replicated')")
        until(
            lambda: place.value(COUNT_CURRENT + " AND id IN (2, 3)") == 2, what="rows of both sides"
        )
        assert "subscription t" in place.log("live")
        assert "is what the settings ask for" in place.vectrue("doctor", check=False).stdout


@pytest.fixture
def alone(server: Beside, tmp_path: Path) -> Iterator[Workplace]:
    """A table on that server; `init` was run."""
    with workplaces.workplace(server, tmp_path, tables=[POSTS], kafka={"partitions": 1}) as place:
        place.execute(f"{CREATE}; ALTER TABLE posts ADD embedding vector(64)")
        setup(place.settings)
        yield place


def test_only_labels_of_ours_are_left_out(alone: Workplace) -> None:
    """Labels of this and of another installation are ours; a name that only resembles one
    is foreign, and captured.
    """
    place, ours = alone, alone.settings.postgres.origin
    for name in origins.made("oth"):
        place.execute("SELECT pg_replication_origin_create(%s)", (name,))
    with closing(KafkaConnect(place.settings.connect.url, SystemClock())) as connect:
        watch = OriginWatch(place.settings, place.session, connect)
        assert not any(watch.look() for _ in range(origins.OriginCensus.SETTLING))
        # One that comes and goes between two looks is noticed too.
        place.execute("SELECT pg_replication_origin_create('brief')")
        write(place, 10, "brief")
        place.execute("SELECT pg_replication_origin_drop('brief')")
        until(lambda: watch.look() or pending(place), what="the origin that is gone to be noticed")
        assert leaves_out(place)
        place.execute("DELETE FROM vectrue.looks")
        write(place, 1, f"{ours}_7")
        place.execute("SELECT pg_replication_origin_create(%s)", (f"{ours}_8",))
        write(place, 2, f"{ours}_8")
        assert (
            f"replication origin {ours}_8 may write" in place.vectrue("doctor", check=False).stdout
        )
        assert watch.look()
        assert not watch.look()
        assert [look.table for look in pending(place)] == [TableName("public", "posts")]
        # The label tells them apart now: the live lane leaves out the first, and no
        # event carries another one's.
        write(place, 3, f"{ours}_7")
        write(place, 4, f"{ours}_8")
        place.execute("INSERT INTO posts VALUES (5, 'plain')")
        labels = {
            event.key(["id"])[0]: event.origin
            for event in events(place.settings, "public.posts", 3)
        }
        assert {number: labels[number] for number in "345"} == {
            "3": f"{ours}_7",
            "4": f"{ours}_8",
            "5": None,
        }
        # Where no one else is left, `init` leaves all labels out again, and has looked
        # at what may not have been read.
        place.execute("SELECT pg_replication_origin_drop(%s)", (f"{ours}_8",))
        place.execute("DELETE FROM vectrue.looks")
        setup(place.settings)
        assert leaves_out(place)
        assert pending(place)
        # The person who paused the connector finds it paused.
        connect.pause(place.settings.connector)
        place.execute("SELECT pg_replication_origin_create('tool')")
        until(lambda: state(place, connect) == "PAUSED", what="the connector to pause")
        assert watch.look()
        assert not leaves_out(place)
        assert state(place, connect) == "PAUSED"


class Failing(KafkaConnect):
    """Kafka Connect that is killed in the middle of a change: it has done its part of
    one step, and does not answer.
    """

    step = ""

    def stop(self, name: str) -> None:
        super().stop(name)
        self._fail("stop")

    def reconfigure(self, name: str, config: Mapping[str, str]) -> None:
        super().reconfigure(name, config)
        self._fail("reconfigure")

    def resume(self, name: str) -> None:
        super().resume(name)
        self._fail("resume")

    def _fail(self, step: str) -> None:
        if step == self.step:
            raise TransientError("Kafka Connect does not answer", fix="start it")


@pytest.mark.parametrize("step", ["stop", "reconfigure", "resume"])
@pytest.mark.parametrize("origin_stays", [True, False])
def test_a_change_that_was_cut_short_is_ended(
    alone: Workplace, step: str, origin_stays: bool
) -> None:
    """By the next look, of any worker, though the keeper has looked at the rows meanwhile
    and whether or not the origin is still there: no connector stays stopped.
    """
    place = alone
    place.execute("SELECT pg_replication_origin_create('tool')")
    with closing(Failing(place.settings.connect.url, SystemClock())) as connect:
        connect.step = step
        with pytest.raises(TransientError):
            OriginWatch(place.settings, place.session, connect).look()
        # What the keeper does once it has looked at the rows.
        place.execute("DELETE FROM vectrue.looks")
        if not origin_stays:
            place.execute("SELECT pg_replication_origin_drop('tool')")
        connect.step = ""
        watch = OriginWatch(place.settings, place.session, connect)
        assert watch.look()
        connect.wait_running(place.settings.connector)
        assert leaves_out(place) == (step == "stop" and not origin_stays)
        assert pending(place)
        assert not watch.look()


def write(place: Workplace, number: int, origin: str) -> None:
    """Insert a row under an origin, and give the origin back."""
    with (
        closing(psycopg2.connect(place.settings.postgres.dsn)) as connection,
        connection.cursor() as cursor,
    ):
        connection.autocommit = True
        cursor.execute("SELECT pg_replication_origin_session_setup(%s)", (origin,))
        cursor.execute("INSERT INTO posts VALUES (%s, 'labelled')", (number,))
        cursor.execute("SELECT pg_replication_origin_session_reset()")


def leaves_out(place: Workplace) -> bool:
    """Whether the connector leaves out everything with an origin."""
    with closing(KafkaConnect(place.settings.connect.url, SystemClock())) as connect:
        return origins.leaves_out(connect.config(place.settings.connector))


def state(place: Workplace, connect: KafkaConnect) -> str | None:
    """The connector's."""
    status = connect.status(place.settings.connector)
    return status.state if status else None


def pending(place: Workplace) -> list[Look]:
    """What is to be looked at."""
    with closing(Session(place.settings.postgres.admin, role="test")) as session:
        return looks.pending(session, place.settings.kafka.topic_prefix)
