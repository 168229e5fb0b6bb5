"""DIR/stack.json: what a stack must remember. Ports, the password, where Postgres
lives, and every process it started.

Hazards:
- The file holds the passwords: mode 0600 from the first byte.
- A process is written down right after it was started and before anything waits for it,
  so that `down` finds it also when the command that started it was killed. Parts start
  in parallel: every change goes through `Memory`.
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
    """A process as it was started: its id, its start (seconds since the epoch), and an
    argument only it has.
    """

    pid: int
    created: float
    mark: str


@dataclass(frozen=True)
class Secure:
    """What only a secure stack has.

    Attributes:
        server_port: of the Postgres server behind TLS, which itself speaks none.
        passwords: of Kafka's users.
    """

    server_port: int
    passwords: dict[str, str]


@dataclass(frozen=True)
class StackState:
    """The content of stack.json; `postgres_port` is the one that clients use."""

    postgres_port: int
    kafka_port: int
    controller_port: int
    connect_port: int
    password: str
    cluster_id: str
    postgres_home: str | None = None
    processes: dict[str, Recorded] = field(default_factory=dict)
    secure: Secure | None = None

    @classmethod
    def new(cls, users: Sequence[str] = ()) -> "StackState":
        """A stack that was never started: free ports, random passwords and a random
        Kafka cluster id.

        Args:
            users: Kafka's, of a secure stack; the stack is not secure when there are
                none.
        """
        postgres, kafka, controller, connect, server = free_ports.choose(5)
        secure = (
            Secure(server, {user: secrets.token_urlsafe(18) for user in users}) if users else None
        )
        return cls(
            postgres,
            kafka,
            controller,
            connect,
            secrets.token_urlsafe(18),
            _cluster_id(),
            secure=secure,
        )

    @property
    def server_port(self) -> int:
        """Where the Postgres server itself listens."""
        return self.secure.server_port if self.secure else self.postgres_port


class Memory:
    """The state of one stack, kept in step with its file. Callable from several
    threads.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()

    def read(self) -> StackState | None:
        """The state; None when there is no stack.

        Raises:
            ConfigurationError: the file cannot be read or understood.
        """
        try:
            data: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise ValueError("another format")
            processes = {
                name: Recorded(**process) for name, process in data.pop("processes").items()
            }
            secure = data.pop("secure", None)
            return StackState(
                **data, processes=processes, secure=Secure(**secure) if secure else None
            )
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
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, for the mode from the start
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._file)

    def record(self, name: str, process: Recorded | None) -> None:
        """Write down the process of a part, or that it has none."""
        with self._guard:
            state = self.read()
            if state is None:
                return
            others = {other: known for other, known in state.processes.items() if other != name}
            self.write(
                replace(state, processes=others if process is None else {**others, name: process})
            )


def _cluster_id() -> str:
    """Kafka's form of a uuid: 22 characters of URL-safe base64. Its tools take a
    leading `-` for an option.
    """
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not made.startswith("-"):
            return made
