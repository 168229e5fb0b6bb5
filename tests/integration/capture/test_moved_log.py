"""An offset belongs to one log: a moved database, a copy, or a connector that read another
server skips no changes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.kafka.offsets import KafkaOffsets
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings
from streams.keeper import log_watch
from tests.conftest import MakeWorkplace
from tests.support.init import setup
from tests.support.second_server import bring, database, second_server
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Three rows, all with vectors; a live worker had them."""
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    place.vectrue("init")
    worker = place.start_worker()
    place.execute(
        "INSERT INTO questions (question) SELECT 'row ' || i FROM generate_series(1, 3) i"
    )
    place.wait_current()
    worker.terminate()
    worker.wait(120)
    return place


@pytest.fixture
def connect(place: Workplace) -> Iterator[KafkaConnect]:
    client = KafkaConnect(place.settings.connect.url, SystemClock())
    yield client
    client.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    with second_server(tmp_path / "second") as dsn:
        yield dsn


def _create(dsn: str, name: str) -> str:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    connection.cursor().execute(f'CREATE DATABASE "{name}"')
    connection.close()
    return database(dsn, name)


def _patch(place: Workplace, connect: KafkaConnect, lsn: int) -> None:
    """Alter the connector's offset through Connect's REST, as an operator does who
    wants to skip something.
    """
    name = place.settings.connector
    connect.stop(name)
    url = f"{place.settings.connect.url}/connectors/{name}/offsets"
    kept: dict[str, Any] = httpx.get(url).json()["offsets"][0]
    kept["offset"] |= {"lsn": lsn, "lsn_proc": lsn, "lsn_commit": lsn}
    assert httpx.patch(url, json={"offsets": [kept]}, timeout=60).status_code == httpx.codes.OK
    connect.resume(name)


def _wrong(settings: Settings, connect: KafkaConnect) -> list[str]:
    session = Session(settings.postgres.dsn, role="test")
    try:
        return [one.sentence for one in log_watch.differences(session, settings, connect)]
    finally:
        session.close()


def _looked_at(session: Session) -> str:
    lines = session.rows("SELECT reason FROM vectrue.looks WHERE table_name = 'public.questions'")
    return str(lines[0][0]) if lines else ""


def test_a_move_to_a_server_with_a_shorter_log(
    place: Workplace, connect: KafkaConnect, elsewhere: str
) -> None:
    """After a dump and restore elsewhere, changes are captured at once, `init` says
    what it reset and why, and all rows are looked at; the same when the connector read
    another server for a while.
    """
    name, old = place.settings.connector, place.settings
    new_dsn = _create(elsewhere, "moved")
    bring(place.settings.postgres.dsn, new_dsn)
    moved = Session(new_dsn, role="test")
    while (
        place.value("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        < 2 * moved.rows("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0]
    ):
        place.execute("SELECT pg_switch_wal()")
        place.execute("UPDATE questions SET views = views + 1")
    until(lambda: (connect.offset(name) or 0) > 0, what="an offset")
    settings = place.with_settings(postgres={"dsn": new_dsn})
    assert any("is on another server" in said for said in _wrong(settings, connect))

    moved.rows(place.vectrue("init", "--print-sql").stdout)
    moved.close()  # with the search path of the script
    said = place.vectrue("init").stderr
    assert "is reset, because database moved is on another server" in said.replace("\n", " ")
    assert f"the connector read database {old.slot}" in said
    assert "is on another server" in _looked_at(moved)
    assert _wrong(settings, connect) == []
    assert setup(settings).changed == ()

    place.start_worker()
    moved.rows("INSERT INTO questions (question) VALUES ('on the new server')")
    moved.rows("UPDATE questions SET question = 'edited there' WHERE id = 1")
    query = (
        "SELECT count(*) FROM questions WHERE embedding_hash = sha256(convert_to(question, 'UTF8'))"
    )
    until(lambda: moved.rows(query)[0][0] == 4, what="what changed on the new server")

    config = connect.config(name) or {}
    back = {
        "database.port": str(
            old.connect.database_port or psycopg2.extensions.parse_dsn(old.postgres.dsn)["port"]
        )
    }
    connect.register(
        name, {**config, **back, "database.dbname": old.slot, "database.password": _password(old)}
    )
    assert any(f"reads database {old.slot}" in one for one in _wrong(settings, connect))
    moved.rows("DELETE FROM vectrue.looks")
    report = setup(settings)
    assert any("is reset, because the connector read" in notice for notice in report.notices)
    assert "the connector read" in _looked_at(moved)
    moved.rows("INSERT INTO questions (question) VALUES ('after it read elsewhere')")
    until(lambda: moved.rows(query)[0][0] == 5, what="what changed after the connector came back")
    moved.close()
    connect.delete(name)


def _password(settings: Settings) -> str:
    return str(psycopg2.extensions.parse_dsn(settings.postgres.dsn).get("password", ""))


def test_an_offset_ahead_of_the_log(place: Workplace, connect: KafkaConnect) -> None:
    """Offsets that were altered skip nothing for long: doctor and the keeper name them,
    the keeper asks for a look, and `init` resets them; a promotion is noticed too.
    """
    end = place.value("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    place.start_worker("replay")
    _patch(place, connect, int(end) + 2**32)
    until(lambda: "changes may be skipped" in place.log("replay"), what="the keeper's word")
    assert "lies ahead of the log of database" in place.log("replay")
    # The look that it asked for is done in the same round.
    until(lambda: "all rows were looked at" in place.log("replay"), what="the look")
    assert "lies ahead of the log of database" in place.vectrue("doctor", check=False).stdout
    place.execute("INSERT INTO questions (question) VALUES ('skipped until init')")
    report = setup(place.settings)
    assert any("is reset, because it lies ahead of the log" in said for said in report.notices)
    assert _wrong(place.settings, connect) == []
    place.execute("UPDATE vectrue.installations SET timeline = timeline + 1")
    assert any("a promotion, or a restore" in said for said in _wrong(place.settings, connect))
    assert any("a promotion, or a restore" in said for said in setup(place.settings).notices)
    place.start_worker()
    place.wait_current()


def test_a_copy_takes_no_connector(place: Workplace, connect: KafkaConnect) -> None:
    """A copy of the database whose settings still name production's connector is
    refused, whatever name its slot has, and the advice leads to a set-up of its own.
    """
    production = place.settings
    copy = f"{production.slot}_copy"
    dsn = _create(production.postgres.dsn, copy)
    bring(production.postgres.dsn, dsn)
    try:
        _refused_copy(place, connect, dsn, copy)
        assert (connect.config(production.connector) or {})["database.dbname"] == production.slot
        prefix = f"{production.slot}.copy"
        own = place.with_settings(
            postgres={"slot": None, "publication": copy},
            kafka={"topic_prefix": prefix},
            connect={"connector": None},
        )
        report = setup(own)
        assert not any("was gone" in notice for notice in report.notices)
        assert (connect.config(own.connector) or {})["database.dbname"] == copy
        connect.delete(own.connector)
    finally:
        _drop(production.postgres.dsn, copy)


def _refused_copy(place: Workplace, connect: KafkaConnect, dsn: str, copy: str) -> None:
    production = place.settings
    settings = place.with_settings(postgres={"dsn": dsn})
    with pytest.raises(
        ConfigurationError, match=r"belongs to database .* a kafka\.topic_prefix of its own"
    ):
        setup(settings)
    settings = place.with_settings(postgres={"slot": copy})
    refused = place.vectrue("init", check=False)
    assert refused.returncode == 2
    for word in (
        "reads database",
        "is active on this server",
        "kafka.topic_prefix of its own",
        "--yes",
    ):
        assert word in refused.stderr.replace("\n", " ")
    assert connect.config(production.connector) is not None
    # Another server would have no slot to show; live workers of the group tell then.
    place.with_settings(postgres={"dsn": production.postgres.dsn, "slot": None})
    place.start_worker()
    offsets, group = KafkaOffsets(production, SystemClock()), production.live_group
    until(
        lambda: offsets.read({group: [production.deferred_topic]})[group].members,
        what="the worker in its group",
    )
    offsets.close()
    connect.stop(production.connector)
    settings = place.with_settings(postgres={"dsn": dsn, "slot": copy})
    with pytest.raises(ConfigurationError, match="1 live worker of this prefix work"):
        setup(settings)
    connect.resume(production.connector)


def _drop(dsn: str, name: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()

    def let_go() -> bool:
        cursor.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE database = %s AND active", (name,)
        )
        return cursor.fetchone() == (0,)

    until(let_go, what="the connector to let go of the copy's slot")
    query = (
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s"
    )
    cursor.execute(query, (name,))
    cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    connection.close()
