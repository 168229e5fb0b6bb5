"""Vectors behind committed offsets outlive a crash of Postgres, whatever the role's
synchronous_commit is.
"""

import signal
from pathlib import Path

import pytest

from connectors.local.stack import LocalStack
from tests.fault.conftest import ready_on
from tests.support.init import as_role, setup, worker_role
from tests.support.server import fill_vectors

pytestmark = pytest.mark.stack


def test_vectors_of_a_role_without_synchronous_commit_outlive_a_crash(
    fragile: LocalStack, tmp_path: Path
) -> None:
    """SIGKILL of the server right behind the write: all 21 vectors are there after its
    restart.
    """
    endpoints = fragile.endpoints()
    with worker_role(endpoints.postgres_dsn) as role, ready_on(endpoints, tmp_path) as place:
        setup(as_role(place, role))
        place.execute(
            "INSERT INTO questions (question) SELECT 'row ' || i FROM generate_series(1, 21) AS i"
        )
        place.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
        # as long as it goes: what is not flushed is lost
        place.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        place.execute("SELECT pg_reload_conf()")
        try:
            place.execute("CHECKPOINT")
            fill_vectors(place)
            fragile.stop("postgres", signal.SIGKILL)
        finally:
            fragile.start("postgres")
        assert place.value("SELECT count(embedding) FROM questions") == 21
        place.execute("ALTER SYSTEM RESET wal_writer_delay")
        place.execute("SELECT pg_reload_conf()")
