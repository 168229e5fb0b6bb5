"""Restarts of a connector that failed.

The first failure is often the last effect of a database that went away. A failure that
comes back for the same reason is left after three restarts, and
reported. Another reason has restarts of its own, and a connector that ran for a minute
has recovered. Pauses grow with all restarts, so that two reasons that alternate do not
make an endless loop. A reason that says that a service is away is never left: the
connector is restarted for as long as it lasts, at most once a minute.

Hazard: a connector that was paused or stopped on purpose is left alone. One that is
missing is reported, and created by `vectrue init` only.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from connectors.debezium.answers import ConnectorStatus
from connectors.ports import Clock
from schemas.health import metrics
from schemas.settings.sections import KeeperSettings

log = structlog.get_logger()

_FIRST_PAUSE = 1.0
"""Seconds, doubled each time."""
_LONGEST_PAUSE = 60.0
_SOUND_SECONDS = 60.0
"""A connector that has run for this long has recovered; what comes after is a new
failure.
"""
_MOST_RESTARTS = 3
"""For the same reason."""
_MISSING_SECONDS = 30.0
"""After its start, Connect does not know its connectors for a moment."""
# Positions in the log, ids in hex, and all other numbers.
_CHANGING = re.compile(r"\b[0-9A-F]+/[0-9A-F]+\b|0x[0-9a-fA-F]+|\d+")
# In the words of Postgres, of its JDBC driver and of Java's network classes.
_AWAY = re.compile(
    r"connection (to \S+ )?(refused|reset|attempt failed|has been closed|timed out)|"
    r"could not connect|unknown ?host|"
    r"starting up|shutting down|recovery mode|terminating connection|i/o error|"
    r"timed? ?out|broken pipe|"
    r"is active for pid|too many clients|failed to (start|create|obtain).* connection",
    re.IGNORECASE,
)


class Connector(Protocol):
    """The part of `connectors.debezium.client.KafkaConnect` that is used here.

    May raise TransientError.
    """

    def status(self, name: str) -> ConnectorStatus | None:
        """Return the state of a connector and its tasks; None when it does not exist."""
        ...

    def restart(self, name: str) -> None:
        """Restart a connector and its tasks."""
        ...


@dataclass(slots=True)
class _ConnectorFailure:
    """What happened since the connector last ran for a minute."""

    restarts: Counter[str] = field(default_factory=Counter)
    """By kind of reason."""
    restarted: float = float("-inf")
    """When it was last restarted, in monotonic seconds."""
    left: str | None = None
    """The kind of reason for which it was left."""


def kind_of(reason: str) -> str:
    """Return a reason without what differs each time: positions and ids."""
    return _CHANGING.sub("#", reason)


def is_away(reason: str) -> bool:
    """Whether a reason says that a service is away, not that something is wrong."""
    return _AWAY.search(reason) is not None


class Restarts:
    """Restarts one connector. The keeper calls `tick`."""

    def __init__(
        self,
        settings: KeeperSettings,
        connect: Connector,
        name: str,
        clock: Clock,
        explain: Callable[[str], str] = lambda reason: reason,
    ) -> None:
        """Join the parts.

        Args:
            settings: whether to restart.
            connect: Kafka Connect.
            name: of the connector.
            clock: tells the time.
            explain: returns a reason with its fix.
        """
        self._explain = explain
        self._settings = settings
        self._connect = connect
        self._name = name
        self._clock = clock
        self._failure: _ConnectorFailure | None = None
        self._missing_since: float | None = None
        self._is_missing_logged = False

    def tick(self) -> None:
        """Read the connector's state, and restart it if it failed and a restart is due.

        Raises:
            TransientError: Kafka Connect does not answer.
        """
        status = self._connect.status(self._name)
        now = self._clock.monotonic()
        if status is None:
            self._missing(now)
            return
        self._missing_since = None
        self._is_missing_logged = False
        if status.error is not None:
            self._failed(status.error, now)
        elif status.is_running:
            self._runs(now)

    def forget(self) -> None:
        """Forget the failure: another worker is the keeper now."""
        self._failure = None

    def _missing(self, now: float) -> None:
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since >= _MISSING_SECONDS and not self._is_missing_logged:
            self._is_missing_logged = True
            log.critical(
                "Kafka Connect does not know the connector: run `vectrue init`",
                connector=self._name,
            )

    def _failed(self, reason: str, now: float) -> None:
        kind = kind_of(reason)
        failure = self._failure = self._failure or _ConnectorFailure()
        # What was left for this reason has been reported already.
        if failure.left == kind or now < failure.restarted + _pause(failure.restarts.total()):
            return
        attempts = failure.restarts[kind]
        is_hopeless = attempts >= _MOST_RESTARTS and not is_away(reason)
        failure.left = kind if is_hopeless or not self._settings.restart_connector else None
        metrics.CONNECTOR_LEFT.labels(self._name).set(0 if failure.left is None else 1)
        if failure.left is not None:
            log.critical(
                "connector failed and is not restarted: fix the cause, then run `vectrue init`",
                connector=self._name,
                reason=self._explain(reason),
                restarts=attempts,
            )
            return
        # Counted once Connect has taken it: what fails here is tried again.
        self._connect.restart(self._name)
        failure.restarts[kind] += 1
        failure.restarted = now
        metrics.CONNECTOR_RESTARTS.labels(self._name).inc()
        log.warning(
            "connector failed; restarted",
            connector=self._name,
            reason=self._explain(reason),
            attempt=attempts + 1,
        )

    def _runs(self, now: float) -> None:
        failure = self._failure
        if failure is None:
            return
        if failure.left is not None or now - failure.restarted >= _SOUND_SECONDS:
            log.info(
                "connector runs again", connector=self._name, restarts=failure.restarts.total()
            )
            metrics.CONNECTOR_LEFT.labels(self._name).set(0)
            self._failure = None


def _pause(restarts: int) -> float:
    """Return the seconds before the next restart; none before the first."""
    if restarts == 0:
        return 0.0
    # The exponent is limited too: a database that is away for a day would raise
    # OverflowError.
    return min(_FIRST_PAUSE * 2.0 ** min(restarts - 1, 32), _LONGEST_PAUSE)
