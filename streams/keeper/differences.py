"""What is configured against what exists, for the keeper and `doctor`.

Both the database and the connector's settings are compared.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from connectors.debezium.client import KafkaConnect
from connectors.debezium.config import connector_config, database_of
from connectors.ports import Clock
from connectors.postgres.checks.server import ORIGIN_FILTER_FROM
from connectors.postgres.health import watched
from connectors.postgres.session import Session
from connectors.postgres.setup import capture, installation, origins
from schemas.errors import TransientError
from schemas.health import metrics
from schemas.health.shape import Shape
from schemas.health.witness import Difference
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules

log = structlog.get_logger()

INIT = "vectrue init"
_SECRET = {"database.user", "database.password", "database.sslmode"}
"""Settings of the role that ran `init`, which may not be the one that asks."""
_LOG_AGAIN_SECONDS = 60.0


def differing(
    settings: Settings,
    parameters: Mapping[str, str],
    targets: Sequence[Target],
    major: int,
    there: Mapping[str, str],
) -> list[str]:
    """Find the connector's settings that are not what our settings ask for.

    Args:
        settings: everything.
        parameters: libpq's names and values, of an open connection to the database.
        targets: the configured columns, with their keys as they are.
        major: version of the server.
        there: the connector's configuration.

    Returns:
        the names of those settings, sorted.
    """
    wanted = _wanted(settings, parameters, targets, major)
    has = dict(there)
    # Connect adds the name to what it was given.
    has.pop("name", None)
    # Without the filter a replay comes back as events; nothing is left out of capture.
    if not origins.leaves_out(has):
        wanted = origins.without_filter(wanted)
    names = sorted((wanted.keys() | has.keys()) - _SECRET)
    return [name for name in names if wanted.get(name) != has.get(name)]


def _wanted(
    settings: Settings, parameters: Mapping[str, str], targets: Sequence[Target], major: int
) -> dict[str, str]:
    """Return the configuration that `init` would give the connector."""
    return connector_config(
        settings,
        database_of(settings, parameters, None),
        targets,
        origin_filter=major >= ORIGIN_FILTER_FROM,
        heartbeat_query=capture.HEARTBEAT_QUERY,
    )


class Differences:
    """Reports what differs from what is configured. The keeper calls `tick`."""

    def __init__(self, look: Callable[[], Sequence[Difference]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._logged_at: dict[Difference, float] = {}

    def tick(self) -> None:
        """Look, and log what differs: at once, and again every minute.

        Raises:
            VectrueError: the look could not be finished.
        """
        found = self._look()
        now = self._clock.monotonic()
        metrics.DIFFERENCES.labels("keeper").set(len(found))
        # What is over is logged at once should it come back.
        for one in self._logged_at.keys() - found:
            del self._logged_at[one]
        for one in found:
            if now - self._logged_at.get(one, float("-inf")) >= _LOG_AGAIN_SECONDS:
                self._logged_at[one] = now
                log.warning(
                    "the database differs from what is configured",
                    reason=f"{one.sentence}: {one.fix}",
                )

    def forget(self) -> None:
        """Forget what was logged: another worker is the keeper now."""
        self._logged_at.clear()


def looking(
    settings: Settings, session: Session, connect: KafkaConnect
) -> Callable[[], Sequence[Difference]]:
    """Return the look at the database and at the connector.

    Args:
        settings: everything.
        session: of the database.
        connect: the connector.
    """

    def look() -> list[Difference]:
        shape = watched.read(session, settings)
        found = [one.difference for one in watched.found(shape, settings)]
        found += installation.differences(session, settings)
        try:
            there = connect.config(settings.connector)
        except TransientError:
            # A silent Connect is not a difference: `lag` and `doctor` report it.
            return found
        # Without a table's key the connector's configuration cannot be derived.
        if there is None or not all(table.key for table in shape.tables):
            return found
        names = _of_connector(settings, session, shape, there)
        if names:
            told = f"connector {settings.connector} differs from the settings in {', '.join(names)}"
            found.append(Difference(told, INIT))
        return found

    return look


def _of_connector(
    settings: Settings, session: Session, shape: Shape, there: Mapping[str, str]
) -> list[str]:
    info = session.connection().info
    targets = target_rules.configured(settings, shape)
    # libpq counts as 180004 what is 18.4.
    major = info.server_version // 10_000
    return differing(settings, info.dsn_parameters, targets, major, there)
