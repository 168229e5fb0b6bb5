"""The local stack as a whole: up, down, status, reset, and single parts for fault
tests.

Hazards:
- Commands on one DIR take turns (DIR/lock). Reading (`status`, `endpoints`) does not
  wait.
- DIR may be a folder with other things in it: only what the stack made is ever deleted.
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
from connectors.local.lifecycle import Lifecycle, Report
from connectors.local.machine import account, certificates, free_ports, secured
from connectors.local.machine.locks import locked
from connectors.local.machine.parts import Part, PartName
from connectors.local.machine.properties import SideDoor
from connectors.local.machine.state import Memory, StackState
from connectors.local.services import jars, java, postgres
from connectors.ports import Clock
from schemas.errors import ConfigurationError, VectrueError

_LOCK_SECONDS = 900.0  # a first `up` on a slow line fetches 61 MB
_FOLDERS = ("postgres", "kafka", "connect", "logs", "tmp", certificates.FOLDER)
_FILES = ("stack.json", "stack.json.new", "lock")


@dataclass(frozen=True)
class Endpoints:
    """Where the stack's services are."""

    postgres_dsn: str
    bootstrap_servers: str
    connect_url: str
    kafka_security: Mapping[str, str] = field(default_factory=dict)
    """`kafka.security` of the user that vectrue connects as; empty unless the stack is
    secure.
    """


@dataclass(frozen=True)
class PartStatus:
    """How one part is.

    Attributes:
        name: postgres, postgres-tls (of a secure stack), kafka or connect.
        state: `running`, `not answering` (the process is there), `stopped`, or `absent`
            (no stack in this DIR).
        pid: process id; None unless there is a process.
        where: its address; None when absent.
        log: its log file.
        version: of what runs.
    """

    name: PartName
    state: Literal["running", "not answering", "stopped", "absent"]
    pid: int | None
    where: str | None
    log: Path
    version: str


def _silent(_line: str) -> None:
    """Report nothing."""


class LocalStack:
    """PostgreSQL, Kafka and Kafka Connect in one folder."""

    def __init__(
        self, directory: Path, clock: Clock | None = None, side_door: SideDoor | None = None
    ) -> None:
        """Remember the folder; nothing is started.

        Args:
            directory: DIR.
            clock: the system's when None.
            side_door: a second listener of the broker, which fault tests put a proxy in
                front of.
        """
        try:
            self.directory = directory.expanduser().resolve()
        except RuntimeError as error:
            raise ConfigurationError(
                f"--dir is {directory}, and there is no such home directory",
                fix="write the whole path",
            ) from error
        self._clock: Clock = clock or SystemClock()
        self._memory = Memory(self.directory / "stack.json")
        self._lifecycle = Lifecycle(self.directory, self._memory, self._clock, side_door)

    def up(
        self,
        report: Report = _silent,
        fetched: jars.Progress = lambda _arrived, _all: None,
        *,
        secure: bool = False,
    ) -> Endpoints:
        """Start what does not run, and return when every part answers.

        What this call started is stopped again when it fails or is interrupted; what
        ran before is left alone.

        Args:
            report: takes one line per finished step.
            fetched: how many of the missing jars have arrived, and how many there are.
            secure: whether a new stack has TLS, passwords and access control. One that
                is there stays what it is.

        Raises:
            ConfigurationError: a kept port is in use; a package is missing; DIR cannot
                be used; the stack in DIR is not secure and was asked to be.
            VectrueError: a part died or never answered, with the end of its log; a jar
                cannot be fetched.
        """
        with self._turn(report):
            state = self._memory.read() or self._new(secure)
            self._require(state, secure)
            missing = [
                part for part in self._lifecycle.parts(state) if self._lifecycle.find(part) is None
            ]
            if not missing:
                report(f"already running in {self.directory}")
            self._make_way(missing)
            jars.ensure(jars.read_list(), java.folder(), self._clock, fetched)
            self._lifecycle.start_all(state, report)
            return self.endpoints()

    def down(self, report: Report = _silent) -> None:
        """Stop every process of this stack, Connect first; data and ports stay. Does
        nothing when nothing runs.

        Finds them also when DIR was deleted meanwhile.

        Raises:
            VectrueError: a process does not end, or belongs to another user.
        """
        with self._turn(report) if self._was_here() else nullcontext():
            self._lifecycle.end_all(report)

    def status(self) -> list[PartStatus]:
        """How each part is, asked now; takes a few seconds when a part hangs."""
        state = self._memory.read()
        parts = self._lifecycle.parts(state)
        if state is None:
            parts = [part for part in parts if part.name != "postgres-tls"]
            return [
                PartStatus(p.name, "absent", None, None, self._log(p.name), p.version)
                for p in parts
            ]
        with ThreadPoolExecutor(len(parts)) as pool:
            return list(pool.map(self._status, parts))

    def endpoints(self) -> Endpoints:
        """Where the services of this stack are, running or not.

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
        """What the bundled psql connects with.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        return postgres.local_dsn(self._state())

    @property
    def is_secure(self) -> bool:
        """Whether there is a stack in DIR, and it is secure."""
        state = self._memory.read()
        return state is not None and state.secure is not None

    def kafka_admin(self) -> dict[str, str]:
        """`kafka.security` of the superuser of a secure stack's Kafka.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        return secured.client(self._state(), self.directory, secured.ADMIN)

    def environment(self) -> dict[str, str]:
        """The variables that make vectrue use this stack.

        Raises:
            ConfigurationError: there is no stack in DIR.
        """
        ends = self.endpoints()
        return {
            "VECTRUE_POSTGRES__DSN": ends.postgres_dsn,
            "VECTRUE_KAFKA__BOOTSTRAP_SERVERS": ends.bootstrap_servers,
            "VECTRUE_CONNECT__URL": ends.connect_url,
            **(
                {"VECTRUE_KAFKA__SECURITY": json.dumps(ends.kafka_security)}
                if ends.kafka_security
                else {}
            ),
        }

    def reset(self, report: Report = _silent) -> None:
        """Stop the stack and delete its data, logs, password and ports. The jars,
        shared by all stacks, stay.

        DIR itself goes if nothing else is in it.

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
                with suppress(OSError):  # other files are in it
                    self.directory.rmdir()

    def start(self, part: PartName) -> None:
        """Start one part and wait until it answers; only waits when it runs.

        Raises:
            ConfigurationError: there is no stack in DIR, or its port is in use.
            VectrueError: it died, with the end of its log.
        """
        chosen = self._part(part)
        with self._turn(_silent):
            if self._lifecycle.find(chosen) is None:
                self._make_way([chosen])
            self._lifecycle.start(chosen)

    def stop(self, part: PartName, sig: signal.Signals | None = None) -> None:
        """End one part and wait until it and all it started are gone.

        Args:
            part: which.
            sig: what to send; its own signal for an orderly end when None. SIGKILL goes
                to its children too. What has not ended after 30 s is killed.
        """
        chosen = self._part(part)
        with self._turn(_silent):
            self._lifecycle.end(chosen, sig)

    def _make_way(self, missing: list[Part]) -> None:
        self._lifecycle.clear_leftovers(missing)
        for part in missing:
            free_ports.require_free(part.name, part.ports, self.directory)

    def _was_here(self) -> bool:
        return (self.directory / "lock").exists()

    def _part(self, name: PartName) -> Part:
        found = [part for part in self._lifecycle.parts(self._state()) if part.name == name]
        if not found:
            raise ConfigurationError(
                f"the stack in {self.directory} has no {name}", fix="it is not secure"
            )
        return found[0]

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    @contextmanager
    def _turn(self, report: Report) -> Iterator[None]:
        lock = self.directory / "lock"
        try:
            # Others, like the user that Postgres runs as, may pass through but not look
            # around.
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock.touch()
        except OSError as error:
            raise ConfigurationError(
                f"cannot write in {self.directory} ({error.strerror})", fix="choose another --dir"
            ) from error
        waiting = f"waiting for another command on {self.directory}"
        with locked(lock, self._clock, _LOCK_SECONDS, lambda: report(waiting)):
            yield

    def _state(self) -> StackState:
        state = self._memory.read()
        if state is None:
            fix = f"vectrue local up --dir {shlex.quote(str(self.directory))}"
            raise ConfigurationError(f"there is no stack here ({self.directory})", fix=fix)
        return state

    def _require(self, state: StackState, secure: bool) -> None:
        if secure and state.secure is None:
            option = f" --dir {shlex.quote(str(self.directory))}"
            raise ConfigurationError(
                f"the stack in {self.directory} is not secure, and a stack stays what it is",
                fix=f"choose another --dir, or delete its data with `vectrue local reset{option}`",
            )
        if state.secure:
            certificates.make(self.directory, self._clock)

    def _new(self, secure: bool) -> StackState:
        # A stack whose folder was deleted while it ran would keep its data and its
        # process.
        self._lifecycle.end_all(_silent)
        state = StackState.new(secured.USERS if secure else ())
        user = account.for_postgres(self.directory / "postgres" / "data")
        if not account.can_enter(self.directory, user):
            _delete(account.outside_home(self.directory))
            state = replace(state, postgres_home=str(account.outside_home(self.directory)))
        self._memory.write(state)
        return state

    def _status(self, part: Part) -> PartStatus:
        process = self._lifecycle.find(part)
        if process is None:
            return PartStatus(
                part.name, "stopped", None, part.where, self._log(part.name), part.version
            )
        condition: Literal["running", "not answering"] = (
            "running" if part.answers() else "not answering"
        )
        return PartStatus(
            part.name, condition, process.pid, part.where, self._log(part.name), part.version
        )


def _delete(folder: Path) -> None:
    if not folder.is_dir():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise VectrueError(
            f"cannot delete {folder} ({error})", fix="delete it as the user it belongs to"
        ) from error
