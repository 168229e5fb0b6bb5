"""A duty of the keeper: whether the connector's offset is one of this database's log.

One that is not is logged, and all rows are looked at: once when it is noticed, and once
when it is over.

Hazard: an offset that was read in another log may lie within this one. Then the only
sign is that the connector was seen to read that other log. So the rows are looked at
again when it reads this one again.
"""

from collections.abc import Mapping

import structlog

from connectors.postgres.health import log_watch
from connectors.postgres.health.log_watch import Capture
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from schemas.health.witness import Difference
from schemas.settings.reading import Settings

log = structlog.get_logger()


def differences(session: Session, settings: Settings, connect: Capture) -> list[Difference]:
    """Find what is wrong about the log, the connector's database and its offset.

    Args:
        session: of the database.
        settings: everything.
        connect: what the connector says.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    found = list(log_watch.differences(session, settings))
    return found + of_connector(session, settings, connect)


def of_connector(session: Session, settings: Settings, connect: Capture) -> list[Difference]:
    """Find what is wrong about the database that the connector reads, and its offset.

    Args:
        session: of the database.
        settings: everything.
        connect: what the connector says.

    Raises:
        TransientError: Postgres or Kafka Connect does not answer.
    """
    return log_watch.of_connector(session, settings, log_watch.ask(session, settings, connect))


class LogWatch:
    """Watches the connector's offset. The keeper calls `tick`."""

    def __init__(self, settings: Settings, session: Session, connect: Capture) -> None:
        self._settings = settings
        self._session = session
        self._connect = connect
        self._known: dict[str, Difference] = {}

    def tick(self) -> None:
        """Look once.

        Raises:
            TransientError: Postgres or Kafka Connect does not answer.
        """
        found: dict[str, Difference] = {}
        for one in differences(self._session, self._settings, self._connect):
            found[_kind(one)] = one
        fresh = _missing_from(self._known, found)
        over = _missing_from(found, self._known)
        reasons = [one.sentence for one in fresh]
        for one in over:
            reasons.append(f"until now {one.sentence}")
        # Before it is remembered: a keeper that ends here notices it again.
        if reasons:
            tables = [table.table for table in self._settings.tables]
            prefix = self._settings.kafka.topic_prefix
            looks.ask(self._session, prefix, tables, "; ".join(reasons))
        for one in fresh:
            log.error("changes may be skipped", reason=one.sentence, fix=one.fix)
        for one in over:
            log.info("changes are no longer skipped", reason=one.sentence)
        self._known = found

    def forget(self) -> None:
        """Forget what was found: another worker is the keeper now."""
        self._known = {}


def _missing_from(
    some: Mapping[str, Difference], all_: Mapping[str, Difference]
) -> list[Difference]:
    return [one for kind, one in all_.items() if kind not in some]


def _kind(difference: Difference) -> str:
    """Return the sentence without the positions, which move."""
    words: list[str] = []
    for word in difference.sentence.split(" "):
        # Postgres writes a position with a slash: 0/16B3748.
        if "/" not in word:
            words.append(word)
    return "".join(words)
