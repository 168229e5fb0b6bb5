"""Nothing that others write is left out of capture.

The connector's origin filter is removed when others may write under an origin. `init`
asks Postgres to leave out all writes that have a replication origin, which are the
workers' own where no one else uses one. A subscription that is created later, or a tool
that labels its writes, would be left out too. So each worker looks every few seconds,
removes the filter, and has all rows looked at for what was left out meanwhile. From
then on the live lane leaves out what carries one of our labels.

Hazards:
- A worker may be killed at any point, or lose Connect: before it stops the connector it
  notes that in vectrue.rounds, and the next look goes on until the connector runs again.
- A connector that was stopped or paused on purpose stays so.
- Session and client of Connect are its own: the lane's are used by another thread, and
  Connect may take long.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from connectors.debezium.client import KafkaConnect
from connectors.ports import Clock
from connectors.postgres import locks
from connectors.postgres.health import rounds
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session, limit_waits
from connectors.postgres.setup import origins
from schemas.errors import Stopping, VectrueError
from schemas.health.rounds import Change
from schemas.settings.reading import Settings

log = structlog.get_logger()

SECONDS = 3.0
"""Between two looks: one small query, and one request to Connect where others use an
origin.
"""
_LOG_AGAIN_SECONDS = 30.0
"""Between two log lines while Postgres or Connect is away, which others report too."""
_CHANGE: Change = "origin filter"
_REASON = "writes with a replication origin were left out of capture"

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""


class OriginWatch:
    """Looks for others who label their writes."""

    def __init__(self, settings: Settings, session: Session, connect: KafkaConnect) -> None:
        """Take the parts; no one else may use session and client."""
        self._settings = settings
        self._session = session
        self._connect = connect
        self._prefix = settings.kafka.topic_prefix
        self._arrivals = origins.OriginCensus()
        self._missed = False
        """Whether an origin came and went, and the rows were not looked at yet."""

    def look(self) -> bool:
        """Remove the filter if others may write under an origin, and end what another
        worker has begun of that.

        Returns:
            whether the connector was changed, or let run again.

        Raises:
            VectrueError: Postgres or Connect does not answer, or refuses; a later look
                goes on.
        """
        others = origins.foreign(self._session, self._settings)
        self._missed |= self._arrivals.missed(*origins.census(self._session))
        if not others and not self._missed and not self._is_begun():
            return False
        config = self._connect.config(self._settings.connector)
        if self._missed and config is not None and origins.leaves_out(config):
            ask(self._session, self._settings)
            log.warning("replication origin came and went; all rows will be looked at")
        self._missed = False
        if not self._is_due(others, config):
            return False
        # Each worker looks, and one of them changes the connector.
        name = f"origin filter {self._prefix}"
        if not locks.take(self._session, name):
            return False
        try:
            # Another worker may have ended it since this one looked.
            config = self._connect.config(self._settings.connector)
            if config is None or not self._is_due(others, config):
                return False
            self._change(others, config)
        finally:
            locks.give_back(self._session, name)
        return True

    def _is_begun(self) -> bool:
        """Whether a worker has stopped the connector, and not let it run again."""
        return rounds.begun(self._session, self._prefix, _CHANGE)

    def _is_due(self, others: Sequence[str], config: Mapping[str, str] | None) -> bool:
        """Whether there is a filter to remove, or a change to end."""
        if config is None:
            return False
        return bool(others and origins.leaves_out(config)) or self._is_begun()

    def _change(self, others: Sequence[str], config: Mapping[str, str]) -> None:
        """Remove the filter if others may write, and let the connector run again."""
        name = self._settings.connector
        removes = bool(others) and origins.leaves_out(config)
        log.warning(
            "connector is changed, since writes with a replication origin may be left out",
            connector=name,
            others=others,
        )
        runs = self._should_run()
        # Before the connector changes: afterwards nothing would tell what it left out.
        ask(self._session, self._settings)
        if runs:
            doing = f"a change of connector {name}, which is stopped for it"
            rounds.note(self._session, self._prefix, _CHANGE, None, doing)
            self._connect.stop(name)
            # The keeper may have looked while a task with the filter still ran.
            ask(self._session, self._settings)
        if removes:
            self._connect.reconfigure(name, origins.without_filter(config))
        if runs:
            self._connect.resume(name)
        rounds.note(self._session, self._prefix, _CHANGE, None)
        log.warning(
            "connector is changed; all rows will be looked at",
            connector=name,
            filter_removed=removes,
            runs=runs,
        )

    def _should_run(self) -> bool:
        """Whether the connector runs, or was stopped by this module."""
        status = self._connect.status(self._settings.connector)
        if status is None or status.state not in ("STOPPED", "PAUSED"):
            return True
        # One that was stopped or paused on purpose stays so.
        return status.state == "STOPPED" and self._is_begun()

    def keep(self, clock: Clock, leave: Leave) -> None:
        """Look every few seconds until the process is asked to stop.

        Args:
            clock: waits.
            leave: called on a bug.
        """
        logged_at = float("-inf")
        try:
            while True:
                try:
                    self.look()
                except Stopping:
                    raise
                except VectrueError as error:
                    if clock.monotonic() - logged_at >= _LOG_AGAIN_SECONDS:
                        logged_at = clock.monotonic()
                        log.warning(
                            "replication origins could not be looked at; retrying",
                            reason=str(error),
                        )
                # No longer after an error: nothing else notices what is written
                # meanwhile.
                clock.wait(SECONDS)
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - not swallowed: the process ends
            leave(f"a bug in the watch of origins ({bug!r})", bug)


def ask(session: Session, settings: Settings) -> None:
    """Have all rows looked at, since writes with an origin may have been left out.

    Args:
        session: of the database.
        settings: the tables.

    Raises:
        TransientError: Postgres does not answer.
    """
    tables = [table.table for table in settings.tables]
    looks.ask(session, settings.kafka.topic_prefix, tables, _REASON)


@contextmanager
def looked_at(
    settings: Settings,
    session: Session,
    before: Mapping[str, str] | None,
    wanted: Mapping[str, str],
) -> Iterator[None]:
    """Have all rows looked at where `init` adds or removes the filter; wraps the change.

    Args:
        settings: the tables.
        session: of the database.
        before: the connector's configuration; None: it does not exist.
        wanted: what it becomes.
    """
    # Also where the filter is added: what others had written last may not have been
    # read yet.
    changes = before is not None and origins.leaves_out(before) != origins.leaves_out(wanted)
    if changes:
        ask(session, settings)
    yield
    if changes:
        ask(session, settings)


def start(settings: Settings, clock: Clock, leave: Leave) -> None:
    """Start the thread. It ends with the process, or when the clock is stopped.

    Args:
        settings: everything.
        clock: waits.
        leave: called on a bug.

    Raises:
        ConfigurationError: connect.url is not a valid URL.
    """
    session = Session(
        settings.postgres.dsn, role="origins", prefix=settings.kafka.topic_prefix, setup=limit_waits
    )
    watch = OriginWatch(settings, session, KafkaConnect(settings.connect.url, clock))
    threading.Thread(target=watch.keep, args=(clock, leave), name="origins", daemon=True).start()
