"""A role that may only connect cannot take a lock that stops work, and a look that no one
took is reported.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest

from connectors.postgres import locks
from connectors.postgres.health import rounds, witness
from connectors.postgres.health.keeper import KeeperStore
from connectors.postgres.health.topic_notes import TopicNotes
from connectors.postgres.ledger.runs import RunLedger, Scope
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TransientError
from schemas.health.lag_report import witnessed
from schemas.reports.replay import Request
from streams.common import targets
from streams.setup import connection
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, set_up_database, worker_role
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "
    "'%vectrue.locks%'"
)


@pytest.fixture
def roles(stack: Any) -> Iterator[tuple[str, str]]:
    """The workers' role, and one that may connect and nothing else; they are dropped
    after the test's database.
    """
    with worker_role(stack.postgres_dsn) as worker, worker_role(stack.postgres_dsn) as stranger:
        yield worker, stranger


@pytest.fixture
def place(roles: tuple[str, str], make_workplace: MakeWorkplace) -> Workplace:
    """A table and what `init` makes in the database."""
    made = make_workplace()
    made.execute(CREATE_QUESTIONS.format(dimensions=64))
    as_role(made, roles[0])
    set_up_database(made.settings)
    return made


def open_as(
    place: Workplace, stack: ExitStack, role: str | None = None, *, name: str = "keeper"
) -> Session:
    """A connection of the workers' role, or of another one."""
    dsn = place.settings.postgres.dsn
    if role is not None:
        dsn = f"postgresql://{role}:pw@{dsn.split('@', 1)[1]}"
    return stack.enter_context(
        closing(Session(dsn, role=name, prefix=place.settings.kafka.topic_prefix))
    )


def test_a_stranger_keeps_nobody_from_work(place: Workplace, roles: tuple[str, str]) -> None:
    """A role that may only connect holds every advisory lock: keeper, workers, runs and
    `init` go on.
    """
    prefix = place.settings.kafka.topic_prefix
    names = ["init", f"keeper {prefix}", f"topics {prefix} live", f"origin filter {prefix}"]
    with ExitStack() as stack:
        stranger = open_as(place, stack, roles[1], name="psql")
        for name in names:
            stranger.rows("SELECT pg_advisory_lock(hashtextextended('vectrue ' || %s, 0))", (name,))
        stranger.rows("SELECT pg_advisory_lock(hashtext('vectrue.replays'))")
        session = open_as(place, stack)
        session.rows("SET lock_timeout = '5s'")
        assert KeeperStore(session, prefix).is_mine()
        assert TopicNotes(session, prefix).lock("live") is not None
        (target,) = targets.resolve(place.settings, session)
        assert RunLedger(session).create([Scope(target, 1)], Request("all")) is not None
        admin = stack.enter_context(closing(connection.admin(place.settings)))
        with connection.alone(admin):
            pass
        for statement in (
            "UPDATE vectrue.locks SET pid = 1",
            "SELECT FROM vectrue.locks FOR UPDATE",
            "LOCK TABLE vectrue.locks",
            "LOCK TABLE vectrue.rounds IN ACCESS SHARE MODE",
        ):
            with (
                pytest.raises(ConfigurationError, match="permission denied"),
                stranger.transaction() as cursor,
            ):
                cursor.execute(statement)


def test_a_lock_is_one_connections_and_ends_with_it(place: Workplace) -> None:
    """Taken twice by its holder, by no one else until it is given back, or the
    connection has ended.
    """
    with ExitStack() as stack:
        first, second, third = (open_as(place, stack) for _ in range(3))
        assert locks.take(first, "a")
        assert locks.take(first, "a")
        assert not locks.take(second, "a")
        assert locks.take(second, "b")
        before = place.execute("SELECT ctid, xmax FROM vectrue.locks WHERE name = 'a'")
        assert not locks.take(second, "a")
        assert place.execute("SELECT ctid, xmax FROM vectrue.locks WHERE name = 'a'") == before, (
            "nothing is written"
        )
        locks.give_back(second, "a")
        assert not locks.take(second, "a")
        locks.give_back(first, "a")
        assert locks.take(second, "a")
        place.execute("SELECT pg_terminate_backend(%s)", (second.connection().info.backend_pid,))
        until(lambda: locks.take(third, "a"), what="the lock to be free")
        assert not locks.take(first, "a")


def test_what_another_server_or_role_left_is_told_apart(place: Workplace) -> None:
    """A line of a copied database, whose process is someone else's by now, holds
    nothing; a holder of another role, of whose connection no start is shown, does.
    """
    with ExitStack() as stack:
        mine, other = open_as(place, stack), open_as(place, stack, name="live")
        pid = other.connection().info.backend_pid
        line = (
            "INSERT INTO vectrue.locks (name, pid, started_at, application) VALUES (%s, %s, %s, %s)"
        )
        place.execute(line, ("an older start", pid, "2020-01-01", "vectrue live"))
        place.execute(line, ("another name", pid, None, "vectrue keeper"))
        place.execute(line, ("no process", 2**31 - 1, None, "vectrue keeper"))
        for name in ("an older start", "another name", "no process"):
            assert locks.take(mine, name), name
        owner = stack.enter_context(closing(Session(place.settings.postgres.admin, role="init")))
        assert locks.take(owner, "the owner's")
        assert not locks.take(mine, "the owner's")
        late = open_as(place, stack, name="init")
        refused = pytest.raises(
            TransientError, match=f"another command changes this database: pid {owner.pid},"
        )
        with connection.alone(owner), refused, connection.alone(late):
            pass


def test_two_that_find_a_lock_free(place: Workplace) -> None:
    """Only the first of them gets it, whatever the second one saw."""
    with ExitStack() as stack:
        first, second = open_as(place, stack), open_as(place, stack)
        place.execute("INSERT INTO vectrue.locks (name) VALUES ('a')")
        with psycopg2.connect(place.settings.postgres.dsn) as waiting, waiting.cursor() as cursor:
            cursor.execute("SELECT FROM vectrue.locks WHERE name = 'a' FOR UPDATE")
            pool = stack.enter_context(ThreadPoolExecutor())
            asked = [pool.submit(locks.take, session, "a") for session in (first, second)]
            until(lambda: place.value(WAITING) == 2, what="both to wait for the line")
        waiting.close()
        assert sorted(one.result(30) for one in asked) == [False, True]


def test_nobody_having_looked_is_said(place: Workplace) -> None:
    """The ages of the keeper's rounds, of the watch and of looks at all rows, from the
    last time, the last start of a worker, or `init`; without a live worker nothing of
    it is said.
    """
    settings, prefix = place.settings, place.settings.kafka.topic_prefix
    with ExitStack() as stack:
        session = open_as(place, stack)
        fresh = rounds.read(session, settings)
        assert [one.what for one in fresh] == ["keeper", "rows", "watch"]
        assert not any(one.is_late for one in fresh)
        place.execute("UPDATE vectrue.installations SET set_up_at = now() - interval '1 day'")
        place.execute("UPDATE vectrue.migrations SET applied_at = now() - interval '1 day'")
        assert all(
            one.is_late and one.age_seconds > 80_000 for one in rounds.read(session, settings)
        )
        assert witness.read(session, settings, compare=False).neglected == ()
        place.execute(
            "INSERT INTO vectrue.canary (prefix, beat, sent_at) VALUES (%s, 1, now())", (prefix,)
        )
        said = [one.sentence for one in witnessed(witness.read(session, settings, compare=False))]
        for words in ("the keeper's work", "compared what is configured", "looked at all rows"):
            assert sum(words in sentence for sentence in said) == 1
        desk = KeeperStore(session, prefix)
        desk.begin()
        desk.note_reconcile(0)
        rounds.note(session, prefix, "watch", 15.0)
        assert witness.read(session, settings, compare=False).neglected == ()
        place.execute("UPDATE vectrue.rounds SET begun_at = now() - interval '2 minutes'")
        (late,) = witness.read(session, settings, compare=False).neglected
        assert late.what == "keeper"
        assert desk.is_mine()
        desk.note_round(5.0)
        assert witness.read(session, settings, compare=False).neglected == ()
        desk.stale(targets.resolve(settings, session)[0], 10)
        (busy,) = [one for one in rounds.read(session, settings) if one.what == "keeper"]
        assert (busy.doing, busy.every_seconds) == ("looking at all rows of public.questions", 5.0)
        never = place.with_settings(keeper={"reconcile_seconds": 0})
        assert [one.what for one in rounds.read(session, never)] == ["keeper", "watch"]
