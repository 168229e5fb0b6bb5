"""DIR/stack.json: ports, passwords, the folder of Postgres, and every process that the
stack started.

Hazard: a process is recorded right after its start and before anything waits for it, so
that `down` finds it even if the command that started it was killed. Parts start in
parallel, so every change goes through `StateFile`.
"""

import base64
import json
import os
import secrets
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.local.machine import free_ports
from schemas.errors import ConfigurationError

FORMAT = 1


@dataclass(frozen=True)
class Recorded:
    """A process as it was started.

    Attributes:
        pid: process id.
        created: its start, in seconds since the epoch.
        mark: an argument that only this process has.
    """

    pid: int
    created: float
    mark: str


@dataclass(frozen=True)
class Secure:
    """What only a secure stack has.

    Attributes:
        server_port: of the Postgres server, without TLS; the relay is before it.
        passwords: of Kafka's users.
    """

    server_port: int
    passwords: dict[str, str]


@dataclass(frozen=True)
class StackState:
    """The content of stack.json; `postgres_port` is the one that clients use, and
    `postgres` the PostgreSQL that was chosen (postgres_programs.py).
    """

    postgres_port: int
    kafka_port: int
    controller_port: int
    connect_port: int
    password: str
    cluster_id: str
    postgres_home: str | None = None
    processes: dict[str, Recorded] = field(default_factory=dict)
    secure: Secure | None = None
    postgres: str | None = None

    @classmethod
    def new(cls, users: Sequence[str] = ()) -> "StackState":
        """Return a stack that was never started: free ports, random passwords and a
        random Kafka cluster id.

        Args:
            users: of Kafka in a secure stack; empty: the stack is not secure.
        """
        postgres, kafka, controller, connect, server = free_ports.choose(5)
        passwords = {user: secrets.token_urlsafe(18) for user in users}
        return cls(
            postgres_port=postgres,
            kafka_port=kafka,
            controller_port=controller,
            connect_port=connect,
            password=secrets.token_urlsafe(18),
            cluster_id=_cluster_id(),
            secure=Secure(server, passwords) if users else None,
        )

    @property
    def server_port(self) -> int:
        """Where the Postgres server itself listens."""
        return self.secure.server_port if self.secure else self.postgres_port


class StateFile:
    """The file with the state of one stack. Safe for threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()

    def read(self) -> StackState | None:
        """Return the state; None: there is no stack.

        Raises:
            ConfigurationError: the file cannot be read or understood.
        """
        try:
            data: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise ValueError("another format")
            processes = {}
            for name, process in data.pop("processes").items():
                processes[name] = Recorded(**process)
            secure = data.pop("secure", None)
            if secure:
                secure = Secure(**secure)
            return StackState(**data, processes=processes, secure=secure or None)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise ConfigurationError(
                f"{self._file} belongs to another user",
                fix="run as that user, or choose another --dir",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{self._file} is damaged or of another version ({error})",
                fix=f"vectrue local reset --dir {self._file.parent}",
            ) from error

    def write(self, state: StackState) -> None:
        """Replace the file."""
        text = json.dumps({"format": FORMAT, **asdict(state)}, indent=2) + "\n"
        fresh = self._file.with_suffix(".json.new")
        fresh.unlink(missing_ok=True)
        # The file holds the passwords: mode 0600 from the first byte on.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._file)

    def record(self, name: str, process: Recorded | None) -> None:
        """Record the process of a part, or that it has none."""
        with self._guard:
            state = self.read()
            if state is None:
                return
            processes = dict(state.processes)
            processes.pop(name, None)
            if process is not None:
                processes[name] = process
            self.write(replace(state, processes=processes))


def _cluster_id() -> str:
    """Return a random uuid in Kafka's form: 22 characters of URL-safe base64."""
    # Kafka's tools take a leading `-` for an option.
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not made.startswith("-"):
            return made
