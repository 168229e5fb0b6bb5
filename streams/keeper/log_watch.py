"""A duty of the keeper: is the connector's offset one of this database's log? What is
not is logged, and has all rows looked at, once when it is noticed and once when it is
over.

Hazard: an offset that was read in another log may lie within this one, and then nothing
tells but that the connector was seen to read that other log. So the rows are looked at
again when it reads this one again.
"""

import structlog

from connectors.postgres.health import log_watch
from connectors.postgres.health.log_watch import Capture
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from schemas.health.witness import Difference
from schemas.settings.reading import Settings

log = structlog.get_logger()


def differences(session: Session, settings: Settings, connect: Capture) -> list[Difference]:
    """Everything that is wrong about the log, the connector's database and its offset.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    return [*log_watch.differences(session, settings), *of_connector(session, settings, connect)]


def of_connector(session: Session, settings: Settings, connect: Capture) -> list[Difference]:
    """What is wrong about the database that the connector reads, and its offset. Raises
    as `differences`.
    """
    return log_watch.of_connector(session, settings, log_watch.ask(session, settings, connect))


class LogWatch:
    """Driven from outside by `tick`."""

    def __init__(self, settings: Settings, session: Session, connect: Capture) -> None:
        """Join the parts; nothing is asked yet."""
        self._settings = settings
        self._session = session
        self._connect = connect
        self._known: dict[str, Difference] = {}

    def tick(self) -> None:
        """Look once.

        Raises:
            TransientError: Postgres or Kafka Connect does not answer.
        """
        found = {
            _kind(one): one for one in differences(self._session, self._settings, self._connect)
        }
        fresh = [one for kind, one in found.items() if kind not in self._known]
        over = [one for kind, one in self._known.items() if kind not in found]
        if fresh or over:
            reason = "; ".join(
                [*(one.sentence for one in fresh), *(f"until now {one.sentence}" for one in over)]
            )
            tables = [table.table for table in self._settings.tables]
            looks.ask(self._session, self._settings.kafka.topic_prefix, tables, reason)
        for one in fresh:
            log.error("changes may be skipped", reason=one.sentence, fix=one.fix)
        for one in over:
            log.info("changes are no longer skipped", reason=one.sentence)
        self._known = found

    def forget(self) -> None:
        """Somebody else is the keeper now."""
        self._known = {}


def _kind(difference: Difference) -> str:
    """A sentence without the positions, which move."""
    return "".join(part for part in difference.sentence.split(" ") if "/" not in part)
