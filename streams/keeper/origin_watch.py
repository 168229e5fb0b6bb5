"""Nothing that others write is left out of capture: the connector's origin filter goes
when somebody else may write.

`init` asks Postgres to leave out all writes that have a replication origin, which are
the workers' own, where no one else uses one. A subscription that is created later, or a
tool that labels its writes, would be left out with them. So each worker looks every few
seconds, takes the filter away, and has all rows looked at for what was left out
meanwhile. The live lane then leaves out what carries a label of ours.

Hazards:
- The rows are asked to be looked at before the connector changes: a worker may be
  killed at any point, and the next one goes on where the filter is still there. They
  are asked again when no task with the filter is left, since the keeper may have been
  quick.
- A connector that somebody stopped or paused stays so; one that this module stopped is
  known by the look it asked for.
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
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session, limit_waits
from connectors.postgres.setup import origins
from schemas.errors import Stopping, VectrueError
from schemas.settings.reading import Settings

log = structlog.get_logger()

SECONDS = 3.0
"""Between two looks: one small query, and one request to Connect where there is a
foreign origin.
"""
_SAY_AGAIN_SECONDS = 30.0
"""While Postgres or Connect is away, which others report, too many lines would help
nobody.
"""
_REASON = "writes with a replication origin were left out of capture"

Leave = Callable[[str, BaseException], None]
"""Ends the process, with the reason and the bug."""


class OriginWatch:
    """Looks for others who label their writes; driven from outside by `look`."""

    def __init__(self, settings: Settings, session: Session, connect: KafkaConnect) -> None:
        """Join the parts, which nobody else may use."""
        self._settings = settings
        self._session = session
        self._connect = connect

        self._arrivals = origins.OriginCensus()
        self._missed = False
        """Whether an origin came and went, and nothing was done about it yet."""

    def look(self) -> bool:
        """Take the filter away if somebody else may write under an origin; returns
        whether it was taken away now.

        Raises:
            VectrueError: Postgres or Connect does not answer, or refuses; a later look
                goes on.
        """
        others = origins.foreign(self._session, self._settings)
        self._missed |= self._arrivals.missed(*origins.census(self._session))
        if not others and not self._missed:
            return False
        config = self._connect.config(self._settings.connector)
        filtered = config is not None and origins.leaves_out(config)
        if self._missed and filtered:
            ask(self._session, self._settings)
            log.warning("a replication origin came and went; all rows will be looked at")
        self._missed = False
        if config is None or not filtered or not others:
            return False
        name = f"origin filter {self._settings.kafka.topic_prefix}"
        if not locks.take(self._session, name):
            return False
        try:
            self._take_away(others, config)
        finally:
            locks.give_back(self._session, name)
        return True

    def _take_away(self, others: Sequence[str], config: Mapping[str, str]) -> None:
        name, prefix = self._settings.connector, self._settings.kafka.topic_prefix
        log.warning(
            "the connector is changed: it left out everything that has a replication origin",
            connector=name,
            others=others,
        )
        status = self._connect.status(name)
        begun = any(look.reason == _REASON for look in looks.pending(self._session, prefix))
        runs = (
            status is None
            or status.state not in ("STOPPED", "PAUSED")
            or (status.state == "STOPPED" and begun)
        )
        ask(self._session, self._settings)
        if runs:
            self._connect.stop(name)
            ask(self._session, self._settings)
        self._connect.reconfigure(name, origins.without_filter(config))
        if runs:
            self._connect.resume(name)
        log.warning(
            "the connector passes on what others write; all rows will be looked at",
            connector=name,
            runs=runs,
        )

    def keep(self, clock: Clock, leave: Leave) -> None:
        """Look every few seconds until the process is asked to stop; `leave` is told of
        a bug.
        """
        said = float("-inf")
        try:
            while True:
                try:
                    self.look()
                except Stopping:
                    raise
                except VectrueError as error:
                    if clock.monotonic() - said >= _SAY_AGAIN_SECONDS:
                        said = clock.monotonic()
                        log.warning(
                            "replication origins of others were not looked for; later again",
                            reason=str(error),
                        )
                # after an error as well: what is written meanwhile has no other witness
                clock.wait(SECONDS)
        except Stopping:
            return
        except Exception as bug:  # noqa: BLE001 - a thread that ended in silence would notice nothing, for ever
            leave(f"a bug in the watch of origins ({bug!r})", bug)


def ask(session: Session, settings: Settings) -> None:
    """Have all rows looked at, since writes with an origin may have been left out.
    Raises TransientError.
    """
    looks.ask(
        session, settings.kafka.topic_prefix, (table.table for table in settings.tables), _REASON
    )


@contextmanager
def looked_at(
    settings: Settings,
    session: Session,
    before: Mapping[str, str] | None,
    wanted: Mapping[str, str],
) -> Iterator[None]:
    """Around a change of the connector by `init`: where the filter comes or goes, all
    rows are looked at.

    Also where it comes: what others had written last may not have been read yet.
    """
    changes = before is not None and origins.leaves_out(before) != origins.leaves_out(wanted)
    if changes:
        ask(session, settings)
    yield
    if changes:
        ask(session, settings)


def start(settings: Settings, clock: Clock, leave: Leave) -> None:
    """Begin, in a thread that ends with the process or when the clock is stopped.

    Raises:
        ConfigurationError: connect.url is no URL.
    """
    session = Session(
        settings.postgres.dsn, role="origins", prefix=settings.kafka.topic_prefix, setup=limit_waits
    )
    watch = OriginWatch(settings, session, KafkaConnect(settings.connect.url, clock))
    threading.Thread(target=watch.keep, args=(clock, leave), name="origins", daemon=True).start()
