"""A connection pooler is refused if it hands sessions on; otherwise nothing is left behind
in its sessions.

pgbouncer 1.18 was tried in the modes transaction, session and statement with pools of 1 and
3, with the same outcome.
"""

import os
import socket
from contextlib import closing

import numpy as np
import psycopg2
import pytest

from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TransientError
from schemas.rows.document import Update
from streams.common import targets
from tests.support.pooler import Pooler, pooler
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

LEFT = """
    SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('session_replication_role'), pg_replication_origin_session_is_setup()
"""
VECTOR = np.array([0.0] * 63 + [1.0], dtype=np.float32)
UNTOUCHED = ("0", "0", "origin", False)


def behind(place: Workplace, pool: Pooler) -> None:
    """The workers' connection leads through the pooler, that of `init` and of the
    connector does not.
    """
    direct = place.settings.postgres.dsn
    place.with_settings(postgres={"dsn": pool.dsn, "admin_dsn": direct})


def as_the_application(pool: Pooler) -> tuple[object, ...]:
    """What a client of the pooler finds in the session that it is given."""
    with closing(psycopg2.connect(pool.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(LEFT)
        found = cursor.fetchone()
    assert found is not None
    return tuple(found)


def test_every_command_refuses_a_pooler_in_transaction_mode(ready: Workplace) -> None:
    """A worker ends with 78 and one sentence that names the setting; so does what
    reads; nothing is left behind.
    """
    with pooler(ready.settings.postgres.dsn, "transaction") as pool:
        behind(ready, pool)
        for command in (["worker", "--role", "live"], ["status"], ["search", "x"]):
            done = ready.vectrue(*command, check=False)
            assert done.returncode == 78, done.stderr
            assert "a pooler in transaction mode answers at" in done.stderr
            assert (
                "name the server itself, or a pooler in session mode, in postgres.dsn"
                in " ".join(done.stderr.split())
            )
        told = " ".join(ready.vectrue("doctor", check=False).stdout.split())
        assert "a pooler in transaction mode" in told
        assert as_the_application(pool) == UNTOUCHED


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("last_first", [True, False])
def test_transaction_mode_is_noticed_in_every_pool(
    ready: Workplace, size: int, last_first: bool
) -> None:
    """Whatever its size, and whichever connection it hands out next."""
    with pooler(
        ready.settings.postgres.dsn, "transaction", size=size, last_first=last_first
    ) as pool:
        session = Session(pool.dsn, role="test")
        with pytest.raises(ConfigurationError, match="a pooler in transaction mode"):
            session.rows("SELECT 1")


def test_a_pooler_in_session_mode_gets_its_connections_back_as_they_were(ready: Workplace) -> None:
    """Workers write through it; when they leave, and when they are killed, the
    application finds nothing of theirs.
    """
    ready.execute(
        "INSERT INTO questions (question) SELECT 'row ' || i FROM generate_series(1, 3) AS i"
    )
    with pooler(ready.settings.postgres.dsn, "session", size=2) as pool:
        behind(ready, pool)
        settings = ready.with_settings(postgres={"fire_triggers": False}).postgres
        session = Session(settings.dsn, role="test")
        (target,) = targets.resolve(ready.settings, session)
        session.close()
        for leaves in (PostgresStore.close, kill):
            store = PostgresStore(settings, role="test")
            documents = store.read(target, [("1",), ("2",), ("3",)]).documents
            updates = [Update(one.key, one.hash, VECTOR) for one in documents]
            store.write(target, updates)
            leaves(store)
            assert as_the_application(pool) == UNTOUCHED
        assert ready.coverage()["current"] == 3
        assert (
            "leads through a pooler in session mode" in ready.vectrue("doctor", check=False).stdout
        )


def test_a_pooler_without_a_second_connection_is_unknown(
    ready: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode cannot be found out, which is an error that passes, and never "session
    mode".
    """
    monkeypatch.setattr("connectors.postgres.pooler._SECONDS", 0.5)
    with pooler(ready.settings.postgres.dsn, "session", size=1) as pool:
        session = Session(pool.dsn, role="test")
        with pytest.raises(TransientError, match=r"had no second connection within 0.5 s"):
            session.rows("SELECT 1")


def kill(store: PostgresStore) -> None:
    """End its connection as SIGKILL does: without a word. The descriptor stays libpq's,
    which closes it later.
    """
    with socket.socket(fileno=os.dup(store._session.connection().fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
