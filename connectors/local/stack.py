"""The local stack as a whole: up, down, status, reset, and single parts for fault
tests.

Hazard: commands on one DIR run one at a time (DIR/lock). Reading (`status`,
`endpoints`) does not wait.
"""

import json
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from connectors.clock import SystemClock
from connectors.local.lifecycle import Lifecycle, ReportLine
from connectors.local.machine import account, certificates, free_ports, secured
from connectors.local.machine.locks import locked
from connectors.local.machine.parts import Part, PartName
from connectors.local.machine.properties import SecondListener
from connectors.local.machine.state import StackState, StateFile
from connectors.local.services import jars, java, postgres, postgres_programs
from connectors.ports import Clock
from schemas.errors import ConfigurationError, VectrueError

# The first `up` downloads 61 MB, perhaps on a slow line.
_LOCK_SECONDS = 900.0
# DIR may hold other things: only what the stack made is ever deleted.
_FOLDERS = ("postgres", "kafka", "connect", "logs", "tmp", certificates.FOLDER)
_FILES = ("stack.json", "stack.json.new", "lock")

Condition = Literal["running", "not answering", "stopped", "absent"]


@dataclass(frozen=True)
class Endpoints:
    """Where the stack's services are."""

    postgres_dsn: str
    bootstrap_servers: str
    connect_url: str
    kafka_security: Mapping[str, str] = field(default_factory=dict)
    """`kafka.security` of vectrue's user; empty unless the stack is secure."""


@dataclass(frozen=True)
class PartStatus:
    """The status of one part.

    Attributes:
        name: postgres, postgres-tls (of a secure stack), kafka or connect.
        state: `running`, `not answering` (the process runs), `stopped`, or `absent` (no
            stack in this DIR).
        pid: process id; None: there is no process.
        where: its address; None: there is no stack.
        log: its log file.
        version: of the service.
    """

    name: PartName
    state: Condition
    pid: int | None
    where: str | None
    log: Path
    version: str


def _silent(_line: str) -> None:
    """ReportLine nothing."""


class LocalStack:
    """PostgreSQL, Kafka and Kafka Connect in one folder.

    Args:
        directory: DIR.
        clock: None: the system's.
        second_listener: of the broker, which fault tests put a proxy in front of.

    Raises:
        ConfigurationError: DIR begins with the home directory of an unknown user.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock | None = None,
        second_listener: SecondListener | None = None,
    ) -> None:
        try:
            self.directory = directory.expanduser().resolve()
        except RuntimeError as error:
            raise ConfigurationError(
                f"--dir is {directory}, and there is no such home directory",
                fix="write the whole path",
            ) from error
        self._clock: Clock = clock or SystemClock()
        self._state_file = StateFile(self.directory / "stack.json")
        self._lifecycle = Lifecycle(self.directory, self._state_file, self._clock, second_listener)

    def up(
        self,
        report: ReportLine = _silent,
        fetched: jars.OnProgress = lambda _arrived, _all: None,
        *,
        secure: bool = False,
        postgres: str | None = None,
    ) -> Endpoints:
        """Start the parts that do not run, and return when every part answers.

        If it fails or is interrupted, the parts that it started are stopped. Parts that
        ran before keep running.

        Args:
            report: takes one line per finished step.
            fetched: takes the number of missing jars that have arrived, and of all
                missing ones.
            secure: whether a new stack has TLS, passwords and access control. An
                existing one stays as it is.
            postgres: which PostgreSQL a new stack runs: a bundled major version, or the
                folder of an installation; 18 if None. An existing one stays as it is.

        Raises:
            ConfigurationError: a port of the stack is in use; a package is missing; DIR
                cannot be used; a secure stack or another PostgreSQL is wanted than the
                one in DIR.
            VectrueError: a part died or never answered, with the end of its log; a jar
                cannot be fetched.
        """
        with self._turn(report):
            state = self._state_file.read() or self._new(secure, postgres)
            self._require(state, secure)
            self._require_postgres(state, postgres)
            missing = self._lifecycle.not_running(self._lifecycle.parts(state))
            if not missing:
                report(f"already running in {self.directory}")
            self._clear_ports(missing)
            jars.ensure(jars.read_list(), java.folder(), self._clock, fetched)
            self._lifecycle.start_all(state, report)
            return self.endpoints()

    def down(self, report: ReportLine = _silent) -> None:
        """Stop every process of this stack, Connect first; data and ports stay.

        Args:
            report: takes one line per stopped part.

        Raises:
            VectrueError: a process does not end, or belongs to another user.
        """
        # Without a DIR, perhaps deleted while the stack ran, there is nothing to lock.
        with self._turn(report) if self._was_here() else nullcontext():
            self._lifecycle.end_all(report)

    def status(self) -> list[PartStatus]:
        """Return the status of each part now; takes a few seconds if a part hangs."""
        state = self._state_file.read()
        parts = self._lifecycle.parts(state)
        if state is None:
            absent = []
            for part in parts:
                if part.name != "postgres-tls":
                    absent.append(self._as_status(part, "absent"))
            return absent
        with ThreadPoolExecutor(len(parts)) as pool:
            return list(pool.map(self._status, parts))

    def endpoints(self) -> Endpoints:
        """Return where the services of this stack are, running or not.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        state = self._state()
        return Endpoints(
            postgres_dsn=postgres.dsn(state, self.directory),
            bootstrap_servers=f"127.0.0.1:{state.kafka_port}",
            connect_url=f"http://127.0.0.1:{state.connect_port}",
            kafka_security=secured.client(state, self.directory, secured.WORKER),
        )

    def psql_dsn(self) -> str:
        """Return the connection string for the bundled psql.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        return postgres.local_dsn(self._state())

    @property
    def is_secure(self) -> bool:
        """Whether the stack in DIR is secure; false if there is none."""
        state = self._state_file.read()
        return state is not None and state.secure is not None

    def kafka_admin(self) -> dict[str, str]:
        """Return `kafka.security` of the superuser of a secure stack's Kafka.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        return secured.client(self._state(), self.directory, secured.ADMIN)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make vectrue use this stack.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        ends = self.endpoints()
        variables = {
            "VECTRUE_POSTGRES__DSN": ends.postgres_dsn,
            "VECTRUE_KAFKA__BOOTSTRAP_SERVERS": ends.bootstrap_servers,
            "VECTRUE_CONNECT__URL": ends.connect_url,
        }
        if ends.kafka_security:
            variables["VECTRUE_KAFKA__SECURITY"] = json.dumps(ends.kafka_security)
        return variables

    def reset(self, report: ReportLine = _silent) -> None:
        """Stop the stack and delete its data, logs, password and ports.

        DIR itself is deleted if nothing else is in it. The jars, shared by all stacks,
        stay.

        Args:
            report: takes one line per stopped part.

        Raises:
            VectrueError: a process does not end, or something cannot be deleted.
        """
        with self._turn(report) if self._was_here() else nullcontext():
            self._lifecycle.end_all(report)
            if account.is_ours(account.outside(self.directory)):
                _delete(account.outside(self.directory))
            if self._was_here():
                for name in _FOLDERS:
                    _delete(self.directory / name)
                for name in _FILES:
                    (self.directory / name).unlink(missing_ok=True)
                # It stays if other files are in it.
                with suppress(OSError):
                    self.directory.rmdir()

    def start(self, part: PartName) -> None:
        """Start one part if it does not run, and wait until it answers.

        Args:
            part: which.

        Raises:
            ConfigurationError: there is no stack in DIR, or its port is in use.
            VectrueError: it died, with the end of its log.
        """
        chosen = self._part(part)
        with self._turn(_silent):
            if self._lifecycle.find(chosen) is None:
                self._clear_ports([chosen])
            self._lifecycle.start(chosen)

    def stop(self, part: PartName, sig: signal.Signals | None = None) -> None:
        """End one part, and wait until it and all that it started have ended.

        What has not ended after 30 s is killed.

        Args:
            part: which.
            sig: the signal; None: the one for an orderly shutdown. SIGKILL goes to its
                children too.

        Raises:
            ConfigurationError: there is no stack in DIR, or it has no such part.
            VectrueError: it does not end, or belongs to another user.
        """
        chosen = self._part(part)
        with self._turn(_silent):
            self._lifecycle.end(chosen, sig)

    def _clear_ports(self, missing: list[Part]) -> None:
        self._lifecycle.clear_leftovers(missing)
        for part in missing:
            free_ports.require_free(part.name, part.ports, self.directory)

    def _was_here(self) -> bool:
        return (self.directory / "lock").exists()

    def _part(self, name: PartName) -> Part:
        for part in self._lifecycle.parts(self._state()):
            if part.name == name:
                return part
        raise ConfigurationError(
            f"the stack in {self.directory} has no {name}, which only a secure one has",
            fix="choose another --dir for a secure stack",
        )

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    @contextmanager
    def _turn(self, report: ReportLine) -> Iterator[None]:
        lock = self.directory / "lock"
        try:
            # Other users, as the one that Postgres runs as, may enter but not list it.
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock.touch()
        except OSError as error:
            raise ConfigurationError(
                f"cannot write in {self.directory} ({error.strerror})",
                fix="choose another --dir",
            ) from error
        waiting = f"waiting for another command on {self.directory}"
        with locked(lock, self._clock, _LOCK_SECONDS, lambda: report(waiting)):
            yield

    def _state(self) -> StackState:
        state = self._state_file.read()
        if state is None:
            fix = f"vectrue local up --dir {shlex.quote(str(self.directory))}"
            raise ConfigurationError(f"there is no stack here ({self.directory})", fix=fix)
        return state

    def _require(self, state: StackState, secure: bool) -> None:
        if secure and state.secure is None:
            reset = f"vectrue local reset --dir {shlex.quote(str(self.directory))}"
            raise ConfigurationError(
                f"the stack in {self.directory} is not secure, and cannot become secure",
                fix=f"choose another --dir, or delete its data with `{reset}`",
            )
        if state.secure:
            certificates.make(self.directory, self._clock)

    def _require_postgres(self, state: StackState, wanted: str | None) -> None:
        if wanted is None:
            return
        runs = postgres_programs.Programs(state.postgres or postgres_programs.DEFAULT)
        if postgres_programs.choose(wanted) == runs:
            return
        option = f" --dir {shlex.quote(str(self.directory))}"
        raise ConfigurationError(
            f"the stack in {self.directory} runs PostgreSQL {runs.chosen}, and a stack stays "
            "what it is",
            fix=f"choose another --dir, or delete its data with `vectrue local reset{option}`",
        )

    def _new(self, secure: bool, postgres: str | None = None) -> StackState:
        chosen = postgres_programs.choose(postgres)
        # A stack whose folder was deleted while it ran would keep its data and its
        # process.
        self._lifecycle.end_all(_silent)
        state = StackState.new(secured.USERS if secure else ())
        state = replace(state, postgres=chosen.chosen)
        user = account.for_postgres(self.directory / "postgres" / "data")
        if not account.can_enter(self.directory, user):
            _delete(account.outside_home(self.directory))
            home = account.outside_home(self.directory)
            state = replace(state, postgres_home=str(home))
        self._state_file.write(state)
        return state

    def _status(self, part: Part) -> PartStatus:
        process = self._lifecycle.find(part)
        if process is None:
            return self._as_status(part, "stopped")
        condition: Condition = "running" if part.answers() else "not answering"
        return self._as_status(part, condition, process.pid)

    def _as_status(self, part: Part, state: Condition, pid: int | None = None) -> PartStatus:
        return PartStatus(
            name=part.name,
            state=state,
            pid=pid,
            where=None if state == "absent" else part.where,
            log=self._log(part.name),
            version=part.version,
        )


def _delete(folder: Path) -> None:
    if not folder.is_dir():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise VectrueError(
            f"cannot delete {folder} ({error})",
            fix="delete it as the user it belongs to",
        ) from error
