"""Whether the database still is what this worker works for.

It is looked at every few seconds, and whenever a lane fails over it. Other models or
columns: the process restarts. Another key: the lane takes it. Something that hides rows
or takes our columns away: the process ends with the reason. Changes that are not
captured: logged, and the rows looked at.

Hazard: a difference counts once two looks in a row have seen it.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import structlog
from typing_extensions import override

from connectors.clock import SystemClock
from connectors.ports import Clock
from connectors.postgres import locks, queries
from connectors.postgres.health import rounds, watched
from connectors.postgres.ledger import looks
from connectors.postgres.session import Connection, Session, limit_waits
from connectors.postgres.setup import schema
from schemas.errors import ConfigurationError, TargetMismatch, TransientError, VectrueError
from schemas.health import metrics
from schemas.health.shape import Effect, Shape, ShapeDifference
from schemas.rows.snapshot import is_before
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.common import embedders
from streams.common import targets as target_rules
from streams.common.embedders import Embedders
from streams.worker.watches.settings import SettingsWatch
from streams.worker.watches.shapes import Shapes

log = structlog.get_logger()

_LOG_AGAIN_SECONDS = 60.0
"""A difference that stays is logged once a minute: rare enough to read, often enough to
be found.
"""

_NEVER = float("-inf")


class TargetWatcher(Shapes):
    """Looks at everything configured, for one worker. One thread, the lane's."""

    def __init__(self, settings: Settings, role: str, clock: Clock | None = None) -> None:
        """Open nothing yet.

        Args:
            settings: what is configured.
            role: of the worker.
            clock: the system's when left out.
        """
        self._settings = settings
        self._role = role
        self._clock = clock or SystemClock()
        self._has_started = False
        self._session = Session(
            settings.postgres.dsn,
            role=f"{role} targets",
            prefix=settings.kafka.topic_prefix,
            setup=self._limit,
        )
        self._seen: list[tuple[Any, ...]] = []
        self._targets: list[Target] = []
        self._shape: Shape | None = None
        self._found: list[ShapeDifference] = []
        """Of the last look."""
        self._logged_at: dict[ShapeDifference, float] = {}
        """When a difference was last logged."""
        self._noted_at = _NEVER
        """When it was last noted that this worker looks."""
        self._file = SettingsWatch(settings, role)
        self._asked_at: dict[ShapeDifference, float] = {}
        """When a look at the rows that a difference hides was last asked for."""

    def start(self) -> tuple[list[Target], Embedders]:
        """Find the targets and their models.

        Returns:
            the columns that are kept true; the models, opened but not loaded.

        Raises:
            ConfigurationError: it cannot work like this (tables, columns, model,
                dimensions, `init` not run).
            TransientError: Postgres does not answer.
        """
        try:
            while True:
                # First: a migration's step during the start must be noticed later.
                self._seen = self._now()
                try:
                    self._targets = target_rules.resolve(self._settings, self._session)
                    if schema.exists(self._session, "vectrue.rounds"):
                        rounds.begin(self._session, self._settings.kafka.topic_prefix, "watch")
                    return self._targets, embedders.for_targets(
                        self._settings, self._session, self._targets
                    )
                # Where a migration took a step meanwhile, its next state is looked at.
                except ConfigurationError:
                    if self._now() == self._seen:
                        raise
        finally:
            # The next connection gets the short timeouts of a lane (`_limit`).
            self._session.close()
            self._has_started = True

    def has_moved(self) -> bool:
        """Whether to restart, since other columns or models are wanted now.

        Raises:
            ConfigurationError: with what is wanted now this worker would not start.
        """
        try:
            if self._now() == self._seen:
                return False
            targets = target_rules.resolve(self._settings, self._session)
            embedders.for_targets(self._settings, self._session, targets)
        except TransientError:
            # A later look, or the lane itself, will find out.
            self._session.close()
            return False
        return True

    def look(self) -> Sequence[Target] | None:
        """Compare everything with the database, and report what differs.

        Looks are asked for at rows whose changes are missed.

        Returns:
            all targets, when a table's key has changed; else None.

        Raises:
            ConfigurationError: two looks in a row have found rows hidden, or columns of
                ours gone.
        """
        try:
            shape = watched.read(self._session, self._settings)
            found = watched.found(shape, self._settings)
            # A migration or an `init` passes through states that look broken.
            stayed = [difference for difference in found if difference in self._found]
            self._report(stayed)
            self._file.report(self._session)
        except TransientError as error:
            log.debug("what is configured could not be looked at", reason=str(error))
            self._session.close()
            return None
        self._found, self._shape = found, shape
        self._note()
        for difference in stayed:
            if difference.effect is Effect.STOP:
                told = difference.difference
                raise ConfigurationError(told.sentence, fix=told.fix)
        return self._changed(shape)

    def is_edited(self) -> bool:
        """Whether a restarted process would run with other settings."""
        return self._file.is_edited()

    def is_set_up_now(self) -> bool:
        """Whether `vectrue init` is running: it may be about to make what is missing."""
        return is_set_up_now(self._session)

    @override
    def renewed(self) -> Sequence[Target] | None:
        if self.has_moved():
            raise TargetMismatch(
                "vectrue.targets has changed",
                fix="no action needed: the worker restarts with what it wants now",
            )
        try:
            self._shape = watched.read(self._session, self._settings)
        except TransientError:
            self._session.close()
            raise
        return self._changed(self._shape)

    @override
    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        shape = None if self._shape is None else self._shape.of(target.table)
        # A key written by hand names no transaction, and says nothing of its age.
        if shape is None or not txids:
            return False
        return all(is_before(xid, shape.changed_by) for xid in txids)

    @override
    def ask(self, table: TableName, reason: str) -> None:
        self._ask([table], reason)

    def _limit(self, connection: Connection) -> None:
        # Once started, a lane must not wait here for a table that is locked.
        if self._has_started:
            watched.impatient(connection)
        else:
            limit_waits(connection)

    def _changed(self, shape: Shape) -> Sequence[Target] | None:
        """Take the tables' keys; return the targets if a key has changed, else None.

        Columns and models are `has_moved`'s business.
        """
        targets = [_with_key(target, shape) for target in self._targets]
        if targets == self._targets:
            return None
        changed: dict[TableName, Target] = {}
        for target in targets:
            if target not in self._targets:
                changed.setdefault(target.table, target)
        for table, target in sorted(changed.items()):
            log.warning(
                "the table's key has changed: the worker takes the new one",
                table=str(table),
                key=", ".join(f"{column.name} {column.type}" for column in target.key),
            )
        self._targets = targets
        return targets

    def _report(self, stayed: Sequence[ShapeDifference]) -> None:
        metrics.DIFFERENCES.labels(self._role).set(len(stayed))
        now = self._clock.monotonic()
        for one in stayed:
            if now - self._logged_at.get(one, _NEVER) >= _LOG_AGAIN_SECONDS:
                self._logged_at[one] = now
                log.warning(
                    "the database differs from what is configured",
                    reason=f"{one.difference.sentence}: {one.difference.fix}",
                )
            if one.effect is Effect.MISSED and self._is_ask_due(one, now):
                self._ask_about(one, one.difference.sentence)
                self._asked_at[one] = now
        for one in list(self._logged_at):
            if one not in stayed:
                self._end(one)

    def _is_ask_due(self, one: ShapeDifference, now: float) -> bool:
        asked_at = self._asked_at.get(one, _NEVER)
        return now - asked_at >= self._settings.keeper.stale_seconds

    def _end(self, one: ShapeDifference) -> None:
        """Report that a difference is over."""
        del self._logged_at[one]
        log.info("the database is as configured again", before=one.difference.sentence)
        if one in self._asked_at:
            self._ask_about(one, f"changes were missed while {one.difference.sentence}")
            del self._asked_at[one]

    def _note(self) -> None:
        now = self._clock.monotonic()
        if now - self._noted_at < rounds.WATCH_SECONDS:
            return
        try:
            # An older `init` did not make it.
            if schema.exists(self._session, "vectrue.rounds"):
                rounds.note(
                    self._session, self._settings.kafka.topic_prefix, "watch", rounds.WATCH_SECONDS
                )
            self._noted_at = now
        except TransientError as error:
            log.debug("the look could not be noted", reason=str(error))
            self._session.close()

    def _ask_about(self, one: ShapeDifference, reason: str) -> None:
        if one.table is not None:
            self._ask([one.table], reason)
        else:
            self._ask([table.table for table in self._settings.tables], reason)

    def _ask(self, tables: Sequence[TableName], reason: str) -> None:
        if schema.exists(self._session, "vectrue.looks"):
            looks.ask(self._session, self._settings.kafka.topic_prefix, tables, reason)
        else:
            log.warning(
                "rows should be looked at, which is not recorded until `vectrue init` is run",
                tables=[str(table) for table in tables],
                reason=reason,
            )

    def _now(self) -> list[tuple[Any, ...]]:
        if not schema.exists(self._session, "vectrue.targets"):
            return []
        # Another search path may give a text another meaning, and a session takes it
        # when it is opened.
        prefix = self._settings.kafka.topic_prefix
        meaning = self._session.rows(queries.text("recorded_meaning"), {"prefix": prefix})
        return self._session.rows(queries.text("all_targets")) + meaning


def is_set_up_now(session: Session) -> bool:
    """Whether `vectrue init` is running in the database; False if that is not known.

    Args:
        session: of the database.
    """
    try:
        return locks.is_held(session, "init")
    except VectrueError as error:
        log.debug("whether `vectrue init` is running is not known", reason=str(error))
        return False


def _with_key(target: Target, shape: Shape) -> Target:
    there = shape.of(target.table)
    # Between two steps of a migration a table has no key. The old one stays until there
    # is another.
    if there is None or not there.key:
        return target
    return replace(target, key=there.key)
