"""Whether the settings file still says what this worker runs with.

It is looked at every few seconds. The resulting settings are compared, with the
environment's variables on top: a changed comment is not a difference.

Hazard: a value may be a secret: only the names of settings are reported.
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
    """Watches one worker's file. One thread."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._worker = f"{role} on {socket.gethostname()}, pid {os.getpid()}"
        # No file has it, so the first look compares.
        self._signature: _Signature = (-1, -1, -1, -1)
        self._last: Difference | None = None
        self._changed: list[str] = []
        self._reported: Difference | None = None
        self._noted_by: int | None = None
        """Server process of the connection that noted it; the note ends with the
        connection.
        """

    def is_edited(self) -> bool:
        """Whether a restarted process would run with other settings that it can read."""
        self._look()
        return bool(self._changed)

    def report(self, session: Session) -> None:
        """Look, and report a difference that two looks in a row have seen.

        It is logged, and noted for `vectrue status`.

        Args:
            session: of the worker, which keeps it open.

        Raises:
            TransientError: Postgres does not answer.
        """
        before = self._last
        now = self._look()
        # An editor writes a file in steps, and Kubernetes swaps a link.
        if now != before or self._is_reported(now, session):
            return
        if now is not None and self._is_expected(session):
            return
        edits.note(session, self._settings.kafka.topic_prefix, self._worker, now)
        self._noted_by = _process(session)
        if now != self._reported:
            self._reported = now
            _log(now)

    def _is_reported(self, now: Difference | None, session: Session) -> bool:
        """Whether this was reported, and its note is still in the database."""
        if now != self._reported:
            return False
        return now is None or _process(session) == self._noted_by

    def _is_expected(self, session: Session) -> bool:
        """Whether `migrate finish` asks for the edit, and will restart the workers."""
        if not settings_change.is_model_alone(self._changed):
            return False
        return bool(migration.read(session))

    def _look(self) -> Difference | None:
        file = self._settings.file
        if file is None:
            return None
        signature = _signature(file)
        if signature != self._signature:
            self._signature = signature
            self._changed, self._last = self._compare(file)
        return self._last

    def _compare(self, file: Path) -> tuple[list[str], Difference | None]:
        """Return the names of the settings that differ, and what to report."""
        if self._signature is None and self._settings.was_read:
            gone = f"{file} is gone; this worker goes on with what it said"
            return [], Difference(gone, "put it back")
        try:
            now = load_settings(file if self._signature is not None else None)
        except (ConfigurationError, TransientError) as error:
            unusable = (
                f"{file} can no longer be used, and this worker goes on with what it said: "
                f"{error.message}"
            )
            return [], Difference(unusable, error.fix or "correct it")
        changed = settings_change.changes(self._settings, now)
        if not changed:
            return [], None
        edited = (
            f"{file} was edited, and this worker runs with what it said before: "
            f"{', '.join(changed)}"
        )
        return changed, Difference(edited, settings_change.advice(changed))


def _log(now: Difference | None) -> None:
    if now is None:
        log.info("settings file again says what this worker runs with")
    else:
        log.warning(
            "settings file was edited under this worker",
            reason=f"{now.sentence}: {now.fix}",
        )


def _signature(file: Path) -> _Signature:
    """Identify the version of a file; None where it does not exist."""
    try:
        seen = file.stat()
    except OSError:
        return None
    # A replaced file may keep its time and size, and one written in place its inode.
    return seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size


def _process(session: Session) -> int:
    return session.connection().info.backend_pid
