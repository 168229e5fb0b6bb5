"""The keeper on real parts: what was missed heals without a call of replay; a failed
connector runs again.
"""

from collections.abc import Iterator

import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres import statement
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from tests.support.vectors import in_secret
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

QUICK = {"reconcile_seconds": 2, "stale_seconds": 1, "poll_seconds": 0.5}


@pytest.fixture
def kept(ready: Workplace) -> Workplace:
    """A workplace after `init` whose keeper looks every two seconds, at rows that are
    stale for longer than one.
    """
    ready.with_settings(keeper=QUICK)
    return ready


@pytest.fixture
def connect(ready: Workplace) -> Iterator[KafkaConnect]:
    """A client of the stack's Kafka Connect."""
    client = KafkaConnect(ready.settings.connect.url, SystemClock())
    yield client
    client.close()


def test_what_was_missed_heals_by_itself(kept: Workplace, connect: KafkaConnect) -> None:
    """Rows older than `init`, a vector set to NULL by hand, and a lost slot: all become
    true, and no one calls replay.

    One run per finding, marked as the keeper's; rows in quarantine and blank ones ask
    for none.
    """
    place, name = kept, kept.settings.connector
    place.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 20) AS i"
    )
    connect.stop(name)
    place.start_worker("replay")
    place.wait_current()

    in_secret(place, "UPDATE questions SET embedding = NULL WHERE id = 3")
    in_secret(place, "UPDATE questions SET question = 'edited in secret' WHERE id = 4")
    assert place.coverage()["missing"] == 1
    place.wait_current()

    drop = Statement("drop the slot", f"SELECT pg_drop_replication_slot('{place.settings.slot}')")
    statement.run(place.session, drop, lock_seconds=2, clock=SystemClock())
    place.execute("UPDATE questions SET question = 'while there was no slot' WHERE id = 5")
    said = place.vectrue("init").stderr
    assert (
        "was gone and is created again: changes made while there was no slot were not captured"
        in said
    )
    place.wait_current()
    assert place.value(
        "SELECT embedding_hash = sha256(convert_to(question, 'UTF8')) FROM questions WHERE id = 5"
    )

    runs = place.execute(
        "SELECT requested_by, scope, expected FROM vectrue.replays JOIN vectrue.replay_scopes "
        "USING (run)"
    )
    assert {(maker, scope) for maker, scope, _ in runs} == {("keeper", "stale")}
    assert 3 <= len(runs) <= 4
    until(
        lambda: place.value("SELECT count(*) FROM vectrue.replays WHERE state <> 'done'") == 0,
        what="runs to end",
    )
    assert "rows stayed stale and are sent through replay" in place.log("replay")
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason) "
        "SELECT 'public.questions', 'embedding', ARRAY[id::text], "
        "sha256(convert_to(CASE id WHEN 1 THEN question ELSE 'of before' END, 'UTF8')), 'any', "
        "'refused' FROM questions"
    )
    looked = place.value("SELECT reconciled_at FROM vectrue.keeper")
    until(
        lambda: place.value("SELECT reconciled_at FROM vectrue.keeper") > looked,
        what="another look",
    )
    assert place.value("SELECT count(*) FROM vectrue.replays") == len(runs)
    kept_lines = "SELECT array_agg(key) FROM vectrue.quarantine"
    until(
        lambda: place.value(kept_lines) == [["1"]],
        what="quarantine to be swept of all but the text that is there",
    )


def test_what_was_missed_at_a_start_of_capture_heals_soon(
    ready: Workplace, connect: KafkaConnect
) -> None:
    """Looks are an hour apart, but a restart of capture brings the next one forward."""
    ready.with_settings(keeper={**QUICK, "reconcile_seconds": 3600, "stale_seconds": 2})
    ready.execute(
        "INSERT INTO questions (question) SELECT 'question ' || i FROM generate_series(1, 20) AS i"
    )
    ready.start_worker("replay")
    ready.wait_current()
    # The rows may be true before the keeper has noted the look that healed them.
    until(lambda: ready.execute("SELECT 1 FROM vectrue.keeper"), what="the first look")
    looked = ready.value("SELECT reconciled_at FROM vectrue.keeper")
    in_secret(ready, "UPDATE questions SET question = 'edited in secret' WHERE id = 4")
    connect.restart(ready.settings.connector)
    ready.wait_current()
    assert "capture restarted: all rows will be looked at" in ready.log("replay")
    assert ready.value("SELECT reconciled_at FROM vectrue.keeper") > looked


def test_one_keeper_per_database(kept: Workplace) -> None:
    """The lock is free for one of two workers, and free again for the other when the
    first is gone.
    """
    first, second = (Session(kept.settings.postgres.dsn, role="test") for _ in range(2))
    mine, other = (
        KeeperStore(session, kept.settings.kafka.topic_prefix) for session in (first, second)
    )
    assert mine.is_mine()
    assert not other.is_mine()
    assert mine.is_mine()
    pid = first.connection().info.backend_pid
    kept.execute("SELECT pg_terminate_backend(%s)", (pid,))
    until(other.is_mine, what="the other worker to become the keeper")
    second.close()
    first.close()


def test_a_failed_connector_runs_again(kept: Workplace, connect: KafkaConnect) -> None:
    """A task that failed is restarted; when the cause was fixed meanwhile, changes are
    captured again.
    """
    place, name = kept, kept.settings.connector
    connect.stop(name)
    place.execute("ALTER PUBLICATION vectrue RENAME TO elsewhere")
    connect.resume(name)
    until(lambda: (status := connect.status(name)) and status.error, what="the task to fail")
    place.execute("ALTER PUBLICATION elsewhere RENAME TO vectrue")
    place.start_worker("replay")
    until(
        lambda: (status := connect.status(name)) and status.is_running, what="the connector to run"
    )
    assert "connector failed; restarted" in place.log("replay")
    assert "connector failed and is not restarted" not in place.log("replay")


def test_a_connector_that_fails_again_and_again_is_left(
    kept: Workplace, connect: KafkaConnect
) -> None:
    """The same reason after three restarts: said once, with the reason, and visible in
    `vectrue lag`.
    """
    place, name = kept, kept.settings.connector
    connect.stop(name)
    place.execute("ALTER PUBLICATION vectrue RENAME TO elsewhere")
    connect.resume(name)
    place.start_worker("replay")
    until(
        lambda: "connector failed and is not restarted" in place.log("replay"),
        what="the keeper to give up",
    )
    log = place.log("replay")
    assert log.count("connector failed; restarted") == 3
    assert "Publication autocreation is disabled" in log
    assert f"task 0 of connector {name} failed" in place.vectrue("lag").stdout


def test_a_locked_table_does_not_hold_the_keeper_up(kept: Workplace) -> None:
    """It reports that it could not look and retries, instead of a wait during which no
    connector is watched.
    """
    kept.start_worker("replay")
    until(lambda: "this worker is the keeper" in kept.log("replay"), what="a keeper")
    holder = Session(kept.settings.postgres.dsn, role="test")
    with holder.transaction() as cursor:
        cursor.execute("LOCK TABLE questions IN ACCESS EXCLUSIVE MODE")
        until(
            lambda: "keeper duty failed; retrying later" in kept.log("replay"),
            what="the keeper to give way",
        )
    holder.close()
    assert "timed out waiting for a lock" in kept.log("replay")
