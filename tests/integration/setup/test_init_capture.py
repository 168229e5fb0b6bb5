"""Slot, origin, heartbeat and connector that `vectrue init` sets up: nothing is missed,
failures are explained.
"""

from collections.abc import Iterator

import httpx
import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres import statement
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from connectors.twins.memory import MemoryClock
from schemas.errors import TransientError, VectrueError
from streams.setup import init
from tests.support.connect import FakeConnect
from tests.support.init import events, setup
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


@pytest.fixture
def connect(workplace: Workplace) -> Iterator[KafkaConnect]:
    """A client of the stack's Kafka Connect."""
    client = KafkaConnect(workplace.settings.connect.url, SystemClock())
    yield client
    client.close()


def test_changes_between_slot_and_connector_are_not_missed(workplace: Workplace) -> None:
    """The connector starts where the slot starts, also when the change came before it
    was registered.
    """
    with workplace.session.cursor() as cursor:
        cursor.execute(workplace.vectrue("init", "--print-sql").stdout)
    workplace.session.close()  # with the search path of the script
    workplace.execute("INSERT INTO questions (question) VALUES ('between')")
    setup(workplace.settings)
    assert [event.op for event in events(workplace.settings, "public.questions", 1)] == ["c"]


def test_writes_under_an_origin_bring_no_event(workplace: Workplace) -> None:
    """What a worker writes does not come back; what others write does."""
    setup(workplace.settings)
    writer = Session(workplace.settings.postgres.dsn, role="test")
    with writer.cursor() as cursor:
        cursor.execute(
            "SELECT pg_replication_origin_session_setup(%s)",
            (f"{workplace.settings.postgres.origin}_7",),
        )
        cursor.execute("INSERT INTO questions (id, question) VALUES (1, 'labelled')")
    writer.close()
    workplace.execute("INSERT INTO questions (id, question) VALUES (2, 'plain')")
    assert [event.key(["id"]) for event in events(workplace.settings, "public.questions", 1)] == [
        ("2",)
    ]


def test_the_slot_moves_while_the_tables_are_quiet(workplace: Workplace) -> None:
    """The heartbeat moves the slot past what capture leaves out."""
    setup(workplace.settings)
    workplace.execute("CREATE TABLE other (x int)")
    workplace.execute("INSERT INTO other SELECT * FROM generate_series(1, 1000)")
    position = workplace.value("SELECT pg_current_wal_lsn()")
    query = (
        "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    )
    until(
        lambda: workplace.value(query, (position, workplace.settings.slot)), what="the slot to move"
    )


def test_a_slot_that_was_dropped_is_made_anew(workplace: Workplace, connect: KafkaConnect) -> None:
    """After its slot went away the connector streams again, and the operator is told
    how the gap is filled.
    """
    setup(workplace.settings)
    workplace.execute("INSERT INTO questions (question) VALUES ('before')")
    events(workplace.settings, "public.questions", 1)
    connect.stop(workplace.settings.connector)
    drop = Statement(
        "drop the slot", f"SELECT pg_drop_replication_slot('{workplace.settings.slot}')"
    )
    statement.run(workplace.session, drop, lock_seconds=2, clock=SystemClock())
    workplace.execute("INSERT INTO questions (question) VALUES ('lost')")
    report = setup(workplace.settings)
    assert len(report.changed) == 3
    assert any(
        "was gone and is created again" in notice and "replay run --only stale" in notice
        for notice in report.notices
    )
    workplace.execute("INSERT INTO questions (question) VALUES ('after')")
    found = events(workplace.settings, "public.questions", 2)
    assert {event.key(["id"]) for event in found} == {("1",), ("3",)}


def test_a_slot_made_anew_by_somebody_else_is_noticed(
    workplace: Workplace, connect: KafkaConnect
) -> None:
    """A slot that starts after the connector's last position fails its task; `init`
    fixes that and reports the gap.
    """
    setup(workplace.settings)
    workplace.execute("INSERT INTO questions (question) VALUES ('before')")
    events(workplace.settings, "public.questions", 1)
    until(
        lambda: connect.offset(workplace.settings.connector),
        what="the connector to note its position",
    )
    connect.stop(workplace.settings.connector)
    slot = workplace.settings.slot
    workplace.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    workplace.execute("INSERT INTO questions (question) VALUES ('lost')")
    workplace.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    connect.resume(workplace.settings.connector)
    until(
        lambda: (s := connect.status(workplace.settings.connector)) and s.error,
        what="the task to fail",
    )
    report = setup(workplace.settings)
    assert any(
        "another slot than was read" in said and "all tables are looked at" in said
        for said in report.notices
    )
    workplace.execute("INSERT INTO questions (question) VALUES ('after')")
    found = events(workplace.settings, "public.questions", 2)
    assert {event.key(["id"]) for event in found} == {("1",), ("3",)}
    assert setup(workplace.settings).changed == ()


def test_a_deleted_connector_comes_back_without_a_gap(
    workplace: Workplace, connect: KafkaConnect
) -> None:
    """While the connector is gone its slot keeps the changes, and a second `init`
    brings both together again.
    """
    setup(workplace.settings)
    connect.delete(workplace.settings.connector)
    workplace.execute("INSERT INTO questions (question) VALUES ('meanwhile')")
    report = setup(workplace.settings)
    assert report.changed == (f"start the connector {workplace.settings.connector}",)
    assert events(workplace.settings, "public.questions", 1)[0].key(["id"]) == ("1",)


def test_a_publication_that_was_dropped_takes_its_slot_along(workplace: Workplace) -> None:
    """A slot cannot be read across the absence of its publication, so both are made
    again, and `init` says so.
    """
    setup(workplace.settings)
    workplace.execute("DROP PUBLICATION vectrue")
    workplace.execute("INSERT INTO questions (question) VALUES ('lost')")
    report = setup(workplace.settings)
    assert any("is created again" in notice and "replay run" in notice for notice in report.notices)
    workplace.execute("INSERT INTO questions (question) VALUES ('after')")
    assert events(workplace.settings, "public.questions", 1)[0].key(["id"]) == ("2",)


def test_a_refused_connector_is_explained(workplace: Workplace) -> None:
    """A connector that cannot reach the database is reported in the words of its own
    error.
    """
    settings = workplace.with_settings(connect={"database_port": 1})
    with pytest.raises(
        VectrueError, match=r"Kafka Connect at .* refuses POST .*Connection to .*:1 refused"
    ) as caught:
        setup(settings)
    assert "\n" not in caught.value.message


def test_a_failing_task_is_explained(workplace: Workplace, connect: KafkaConnect) -> None:
    """A connector whose task fails is reported by the task's own message, and fixed by
    the next run.
    """
    setup(workplace.settings)
    config = connect.config(workplace.settings.connector)
    assert config is not None
    connect.register(workplace.settings.connector, {**config, "publication.name": "nosuch"})
    with pytest.raises(
        VectrueError, match=r"connector t\w+-postgres failed: Publication autocreation is disabled"
    ) as caught:
        connect.wait_running(workplace.settings.connector, also=lambda: False)
    assert "\tat " not in caught.value.message
    assert setup(workplace.settings).changed == (
        f"start the connector {workplace.settings.connector}",
    )


def test_init_waits_until_the_slot_is_read(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connector that says RUNNING while no one reads the slot does not capture: `init`
    does not report success.
    """
    transport = httpx.MockTransport(FakeConnect().answer)
    monkeypatch.setattr(
        init, "KafkaConnect", lambda url, _: KafkaConnect(url, MemoryClock(), transport=transport)
    )
    with pytest.raises(TransientError, match="does not stream"):
        setup(workplace.settings)
    assert (
        workplace.value(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND NOT active",
            (workplace.settings.slot,),
        )
        == 1
    )
