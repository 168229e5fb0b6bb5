"""Whether the settings file still says what this worker runs with: looked at every few
seconds.

What counts is what the settings come to, with the environment's variables on top;
another comment is no change.

Hazards:
- An editor writes a file in steps, and Kubernetes swaps a link: what differs is said
  once two looks have seen it.
- No value is told, since it may be a secret: only the names of settings.
"""

import os
import socket
from pathlib import Path

import structlog

from connectors.postgres.health import edits
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, TransientError
from schemas.health.witness import Difference
from schemas.settings import change as settings_change
from schemas.settings.reading import Settings
from schemas.settings.reading import load as load_settings

log = structlog.get_logger()

_Signature = tuple[int, int, int, int] | None


class SettingsWatch:
    """Looks at one worker's file. One thread."""

    def __init__(self, settings: Settings, role: str) -> None:
        """Remember what the worker runs with."""
        self._settings = settings
        self._worker = f"{role} on {socket.gethostname()}, pid {os.getpid()}"
        self._signature: _Signature = (-1, -1, -1, -1)
        self._last: Difference | None = None
        self._changed: list[str] = []
        self._said: Difference | None = None
        self._noted_by: int | None = None
        """Process of the connection that wrote it down, with which the line ends."""

    def is_edited(self) -> bool:
        """Whether a process that starts again would run with other settings, which it
        can read.
        """
        self._look()
        return bool(self._changed)

    def tell(self, session: Session) -> None:
        """Look; log what has differed at two looks in a row, and write it down for
        `status`.

        Args:
            session: of the worker, which keeps it open.

        Raises:
            TransientError: Postgres does not answer.
        """
        before, now = self._last, self._look()
        if now != before or (
            now == self._said and (now is None or _process(session) == self._noted_by)
        ):
            return
        if (
            now is not None
            and settings_change.is_model_alone(self._changed)
            and migration.read(session)
        ):
            return  # `migrate finish` asks for it, and has the workers start anew
        edits.note(session, self._settings.kafka.topic_prefix, self._worker, now)
        self._noted_by, again = _process(session), now == self._said
        self._said = now
        if again:
            return
        if now is None:
            log.info("the settings file says again what this worker runs with")
        else:
            log.warning(
                "the settings file was edited under this worker",
                reason=f"{now.sentence}: {now.fix}",
            )

    def _look(self) -> Difference | None:
        file = self._settings.file
        if file is None:
            return None
        if (signature := _signature(file)) != self._signature:
            self._signature = signature
            self._changed, self._last = self._compare(file)
        return self._last

    def _compare(self, file: Path) -> tuple[list[str], Difference | None]:
        if self._signature is None and self._settings.was_read:
            return [], Difference(
                f"{file} is gone; this worker goes on with what it said", "put it back"
            )
        try:
            now = load_settings(file if self._signature is not None else None)
        except (ConfigurationError, TransientError) as error:
            said = (
                f"{file} cannot be used any more, and this worker goes on with what it said: "
                f"{error.message}"
            )
            return [], Difference(said, error.fix or "correct it")
        changed = settings_change.changes(self._settings, now)
        if not changed:
            return [], None
        said = (
            f"{file} was edited, and this worker runs with what it said before: "
            f"{', '.join(changed)}"
        )
        return changed, Difference(said, settings_change.advice(changed))


def _signature(file: Path) -> _Signature:
    """Of what the name leads to now; None where it leads to no file."""
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size


def _process(session: Session) -> int:
    return session.connection().info.backend_pid
