"""What is configured against what is there, for the keeper and `doctor`: the database,
and the connector's settings.

Hazard: Kafka Connect that does not answer is not a difference; `lag` and `doctor` say
that.
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
from schemas.health.witness import Difference
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import targets as target_rules

log = structlog.get_logger()

INIT = "vectrue init"
_SECRET = {"database.user", "database.password", "database.sslmode"}
"""Of the role that ran `init`, which need not be the one that asks."""
_SAY_AGAIN_SECONDS = 60.0


def differing(
    settings: Settings,
    parameters: Mapping[str, str],
    targets: Sequence[Target],
    major: int,
    there: Mapping[str, str],
) -> list[str]:
    """The connector's settings that are not what the settings ask for, by their names.

    Args:
        settings: everything.
        parameters: libpq's names and values, of an open connection to the database.
        targets: the configured columns, with their keys as they are.
        major: version of the server.
        there: the connector's configuration.
    """
    wanted = connector_config(
        settings,
        database_of(settings, parameters, None),
        targets,
        origin_filter=major >= ORIGIN_FILTER_FROM,
        heartbeat_query=capture.HEARTBEAT_QUERY,
    )
    has = {key: value for key, value in there.items() if key != "name"}
    # which costs a replay's echo, and leaves nothing out
    if not origins.leaves_out(has):
        wanted = origins.without_filter(wanted)
    found = sorted(key for key in wanted.keys() | has.keys() if wanted.get(key) != has.get(key))
    return [key for key in found if key not in _SECRET]


class Differences:
    """The keeper's look at everything configured; driven from outside by `tick`."""

    def __init__(self, look: Callable[[], Sequence[Difference]], clock: Clock) -> None:
        """Join the parts."""
        self._look = look
        self._clock = clock
        self._said: dict[Difference, float] = {}

    def tick(self) -> None:
        """Look, and say what differs: at once, and again every minute.

        Raises:
            VectrueError: the look could not be finished.
        """
        found, now = self._look(), self._clock.monotonic()
        metrics.DIFFERENCES.labels("keeper").set(len(found))
        self._said = {one: at for one, at in self._said.items() if one in found}
        for one in found:
            if now - self._said.get(one, float("-inf")) >= _SAY_AGAIN_SECONDS:
                self._said[one] = now
                log.warning(
                    "what is configured is not what is there", reason=f"{one.sentence}: {one.fix}"
                )

    def forget(self) -> None:
        """Somebody else is the keeper now."""
        self._said.clear()


def looking(
    settings: Settings, session: Session, connect: KafkaConnect
) -> Callable[[], Sequence[Difference]]:
    """The look at the database and at the connector, over these."""

    def look() -> list[Difference]:
        shape = watched.read(session, settings)
        found = [one.difference for one in watched.found(shape, settings)]
        found += installation.differences(session, settings)
        try:
            there = connect.config(settings.connector)
        except TransientError:
            return found
        if there is not None and all(table.key for table in shape.tables):
            info = session.connection().info
            targets = target_rules.configured(settings, shape)
            major = info.server_version // 10_000
            if other := differing(settings, info.dsn_parameters, targets, major, there):
                said = (
                    f"connector {settings.connector} differs from the settings in "
                    f"{', '.join(other)}"
                )
                found.append(Difference(said, INIT))
        return found

    return look
