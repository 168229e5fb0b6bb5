"""A Postgres server of one test's own beside the shared Kafka and Connect: for what
belongs to a whole server.

It is the same PostgreSQL as the shared one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connectors.local.machine.state import StateFile
from connectors.local.stack import LocalStack
from tests.support.workplace import Endpoints


@dataclass(frozen=True)
class Beside:
    """The shared parts, and another server."""

    postgres_dsn: str
    bootstrap_servers: str
    connect_url: str
    kafka_security: dict[str, str] = field(default_factory=dict)


@contextmanager
def own_postgres(shared: Endpoints, directory: Path) -> Iterator[Beside]:
    """Start a server in a folder, and take it away again."""
    with postgres_alone(directory) as dsn:
        yield Beside(dsn, shared.bootstrap_servers, shared.connect_url)


@contextmanager
def postgres_alone(directory: Path) -> Iterator[str]:
    """Start a server in an existing folder, without Kafka and Connect, and take it
    away again; its dsn.
    """
    local = LocalStack(directory)
    # the state alone: Kafka and Connect of this folder are never started
    local._new(secure=False, postgres=shared_postgres())
    try:
        local.start("postgres")
        yield local.endpoints().postgres_dsn
    finally:
        local.reset()


def shared_postgres() -> str | None:
    """The PostgreSQL of the kept stack that the tests share; None for the default."""
    kept = os.environ.get("VECTRUE_TEST_STACK_DIR")
    state = StateFile(Path(kept) / "stack.json").read() if kept else None
    return state.postgres if state else None
