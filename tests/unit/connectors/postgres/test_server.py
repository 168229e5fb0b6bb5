"""Servers that `init` refuses, and what it says about those it accepts."""

from dataclasses import replace

import pytest

from connectors.postgres.checks import server
from connectors.postgres.checks.server import Server

GOOD = Server(
    180004, "interview", "owner", False, "logical", True, True, "4GB", True, "public", True, True
)


def test_a_good_server_is_accepted_in_silence() -> None:
    """Nothing is refused or noticed where nothing is wrong."""
    assert server.refusal(GOOD, "worker") is None
    assert server.notices(GOOD) == []


@pytest.mark.parametrize(
    ("change", "sentence", "fix"),
    [
        ({"version": 130011}, "PostgreSQL 13 is too old", "14 or newer"),
        ({"standby": True}, "standby", "primary"),
        (
            {"wal_level": "replica"},
            "wal_level is replica",
            "ALTER SYSTEM SET wal_level = 'logical', then restart",
        ),
        (
            {"may_replicate": False},
            "role owner may not read the replication stream",
            'ALTER ROLE "owner" REPLICATION',
        ),
        (
            {"may_create": False},
            "may not create a schema and a publication",
            'GRANT CREATE ON DATABASE "interview"',
        ),
        ({"vector_schema": None}, "no extension vector", "CREATE EXTENSION vector"),
        (
            {"vector_schema": None, "vector_available": False},
            "no extension vector",
            "install pgvector",
        ),
        ({"worker_exists": False}, "there is no role worker", 'CREATE ROLE "worker"'),
    ],
)
def test_refusals_name_the_fix(change: dict[str, object], sentence: str, fix: str) -> None:
    """Each server that cannot work is refused in one sentence with the statement that
    mends it.
    """
    error = server.refusal(replace(GOOD, **change), "worker")  # type: ignore[arg-type]  # the values fit the fields
    assert error is not None
    assert sentence in error.message
    assert fix in (error.fix or "")


def test_notices() -> None:
    """An unlimited slot and a server without origin filter are noticed."""
    notices = server.notices(replace(GOOD, version=150018, slot_limit="-1"))
    assert ["max_slot_wal_keep_size" in notices[0], "PostgreSQL 15" in notices[1]] == [True, True]
