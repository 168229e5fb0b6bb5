"""A second Postgres server on a free port, with a log of its own, and databases brought
from one server to another.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from urllib.parse import urlsplit

from connectors.clock import SystemClock
from connectors.local.machine import account, processes
from connectors.local.machine.parts import StackContext
from connectors.local.machine.state import StackState, StateFile
from connectors.local.services.postgres import Postgres, local_dsn, psql
from connectors.local.services.postgres_programs import DEFAULT, Programs
from schemas.settings.reading import child_environment
from tests.support.own_postgres import shared_postgres
from tests.support.waiting import until

_STOP_SECONDS = 20.0


@contextmanager
def second_server(directory: Path) -> Iterator[str]:
    """Start one; yields a superuser's connection string to its database `postgres`."""
    state, clock = replace(StackState.new(), postgres=shared_postgres()), SystemClock()
    (directory / "logs").mkdir(parents=True)
    home = directory / "postgres"
    if not account.can_enter(directory, account.for_postgres(home / "data")):
        home = account.outside_home(directory)
        state = replace(state, postgres_home=str(home))
    part = Postgres(
        StackContext(directory, state, StateFile(directory / "stack.json"), clock, lambda: None)
    )
    try:
        part.prepare()
        process = processes.spawn(part.command(), lambda _: None)
        try:
            until(part.answers, what="the second server to answer")
            yield local_dsn(state, "postgres")
        finally:
            processes.end(process, part.stop_signal, _STOP_SECONDS, clock)
    finally:
        rmtree(home, ignore_errors=True)


def bring(source: str, target: str) -> None:
    """Dump a database and restore it into another one, which exists, as an operator who
    moves it does.
    """
    copying, environment = _program("pg_dump", source)
    dump = subprocess.run(copying, env=environment, capture_output=True, check=True).stdout
    restoring, environment = _program("psql", target)
    restoring += ["-X", "-q", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(restoring, env=environment, input=dump, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def database(dsn: str, name: str) -> str:
    """The connection string to another database of the same server."""
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


def _program(name: str, dsn: str) -> tuple[list[str], dict[str, str]]:
    _, environment = psql(dsn, [])
    # a newer pg_dump writes settings that an older server does not know
    folder = Programs(shared_postgres() or DEFAULT).folder
    return [str(folder / name)], child_environment(**environment)
