"""Whether what is there is still what this worker works for: looked at every few
seconds, and whenever a lane stumbles.

Other models or columns: the process starts again. Another key: the lane takes it where
it is. Something that hides rows or takes our columns away: the process ends and says
so. Changes that are not captured: said, and the rows looked at.

Hazard: a migration or an `init` passes through states that look broken. So a difference
counts once two looks in a row have seen it.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import structlog

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

log = structlog.get_logger()

_SAY_AGAIN_SECONDS = 60.0
"""A difference that stays is a log line a minute: rare enough to read, often enough to
be found.
"""


class TargetWatcher:
    """Looks at everything configured, for one worker. One thread, the lane's."""

    def __init__(self, settings: Settings, role: str, clock: Clock | None = None) -> None:
        """Remember where to ask; the clock is the system's when left out."""
        self._settings = settings
        self._role = role
        self._clock = clock or SystemClock()
        self._patient = True
        """Until the start is over: then a lane would wait for a table that somebody
        locks.
        """
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
        self._said: dict[ShapeDifference, float] = {}
        """When a difference that is there was last said."""
        self._noted = float("-inf")
        """When it was last noted that somebody looks."""
        self._file = SettingsWatch(settings, role)
        self._asked: dict[ShapeDifference, float] = {}
        """When the rows that it keeps from being captured were last asked to be looked
        at.
        """

    def start(self) -> tuple[list[Target], Embedders]:
        """The targets and their models, opened but not loaded.

        Raises:
            ConfigurationError: it will not work like this (tables, columns, model,
                dimensions, `init` not run).
            TransientError: Postgres does not answer.
        """
        try:
            while True:
                # First: a step that is taken during the start must be noticed
                # afterwards.
                self._seen = self._now()
                try:
                    self._targets = target_rules.resolve(self._settings, self._session)
                    if schema.exists(self._session, "vectrue.rounds"):
                        rounds.begin(self._session, self._settings.kafka.topic_prefix, "watch")
                    return self._targets, embedders.for_targets(
                        self._settings, self._session, self._targets
                    )
                except ConfigurationError:
                    if self._now() == self._seen:
                        raise
        finally:
            self._session.close()
            self._patient = False

    def has_moved(self) -> bool:
        """Whether to start again, with the columns or models that are wanted now.

        Raises:
            ConfigurationError: with what is wanted now this worker would not start.
        """
        try:
            if self._now() == self._seen:
                return False
            embedders.for_targets(
                self._settings, self._session, target_rules.resolve(self._settings, self._session)
            )
        except TransientError:
            self._session.close()
            return False  # a later look, or the lane itself, tells
        return True

    def look(self) -> Sequence[Target] | None:
        """Compare everything with what is there, say what differs, and ask for looks
        where changes are missed.

        Returns:
            all targets, when a table's key has changed; None when none has.

        Raises:
            ConfigurationError: rows are hidden, or columns of ours are gone, and have
                been at two looks in a row.
        """
        try:
            shape = watched.read(self._session, self._settings)
            found = watched.found(shape, self._settings)
            self._tell([one for one in found if one in self._found])
            self._file.tell(self._session)
        except TransientError as error:
            log.debug("what is configured could not be looked at", reason=str(error))
            self._session.close()
            return None
        stayed = [one for one in found if one.effect is Effect.STOP and one in self._found]
        self._found, self._shape = found, shape
        self._note()
        if stayed:
            raise ConfigurationError(stayed[0].difference.sentence, fix=stayed[0].difference.fix)
        return self._changed(shape)

    def is_edited(self) -> bool:
        """Whether a process that starts again would run with other settings."""
        return self._file.is_edited()

    def is_set_up_now(self) -> bool:
        """Whether a `vectrue init` is at work in the database: what is missing may be
        about to come.
        """
        return is_set_up_now(self._session)

    def renewed(self) -> Sequence[Target] | None:
        """As `streams.worker.watches.shapes.Shapes` says."""
        if self.has_moved():
            raise TargetMismatch(
                "vectrue.targets has changed", fix="the worker starts again with what it wants now"
            )
        try:
            self._shape = watched.read(self._session, self._settings)
        except TransientError:
            self._session.close()
            raise
        return self._changed(self._shape)

    def is_older(self, target: Target, txids: Collection[int]) -> bool:
        """As `streams.worker.watches.shapes.Shapes` says."""
        shape = self._shape.of(target.table) if self._shape else None
        return (
            shape is not None
            and bool(txids)
            and all(is_before(xid, shape.changed_by) for xid in txids)
        )

    def ask(self, table: TableName, reason: str) -> None:
        """As `streams.worker.watches.shapes.Shapes` says."""
        self._ask([table], reason)

    def _limit(self, connection: Connection) -> None:
        (limit_waits if self._patient else watched.impatient)(connection)

    def _changed(self, shape: Shape) -> Sequence[Target] | None:
        """The targets with their keys as they are now, if any is another; columns and
        models are `has_moved`'s.
        """
        targets = [_with_key(target, shape) for target in self._targets]
        if targets == self._targets:
            return None
        for target in sorted(
            {t.table for t in targets} - {t.table for t in targets if t in self._targets}
        ):
            key = next(
                ", ".join(f"{c.name} {c.type}" for c in t.key) for t in targets if t.table == target
            )
            log.warning(
                "the table's key has changed: the worker takes it as it is now",
                table=str(target),
                key=key,
            )
        self._targets = targets
        return targets

    def _tell(self, stayed: Sequence[ShapeDifference]) -> None:
        metrics.DIFFERENCES.labels(self._role).set(len(stayed))
        now, again = self._clock.monotonic(), self._settings.keeper.stale_seconds
        for one in stayed:
            if now - self._said.get(one, float("-inf")) >= _SAY_AGAIN_SECONDS:
                self._said[one] = now
                log.warning(
                    "what is configured is not what is there",
                    reason=f"{one.difference.sentence}: {one.difference.fix}",
                )
            if one.effect is Effect.MISSED and now - self._asked.get(one, float("-inf")) >= again:
                self._ask_about(one, one.difference.sentence)
                self._asked[one] = now
        for one in [one for one in self._said if one not in stayed]:
            del self._said[one]
            log.info("what is configured is there again", before=one.difference.sentence)
            if one in self._asked:
                self._ask_about(one, f"changes were missed while {one.difference.sentence}")
                del self._asked[one]

    def _note(self) -> None:
        now = self._clock.monotonic()
        if now - self._noted < rounds.WATCH_SECONDS:
            return
        try:
            if schema.exists(self._session, "vectrue.rounds"):
                rounds.note(
                    self._session, self._settings.kafka.topic_prefix, "watch", rounds.WATCH_SECONDS
                )
            self._noted = now
        except TransientError as error:
            log.debug("the look could not be noted", reason=str(error))
            self._session.close()

    def _ask_about(self, one: ShapeDifference, reason: str) -> None:
        self._ask(
            [table.table for table in self._settings.tables] if one.table is None else [one.table],
            reason,
        )

    def _ask(self, tables: Sequence[TableName], reason: str) -> None:
        if schema.exists(self._session, "vectrue.looks"):
            looks.ask(self._session, self._settings.kafka.topic_prefix, tables, reason)
        else:
            log.warning(
                (
                    "rows are to be looked at, and `vectrue init` was not run since this is written "
                    "down"
                ),
                tables=[str(table) for table in tables],
                reason=reason,
            )

    def _now(self) -> list[tuple[Any, ...]]:
        if not schema.exists(self._session, "vectrue.targets"):
            return []
        # Another search path may give a text another meaning, and a session takes it
        # when it is opened.
        sessions = self._session.rows(
            queries.text("recorded_meaning"), {"prefix": self._settings.kafka.topic_prefix}
        )
        return [*self._session.rows(queries.text("all_targets")), *sessions]


def is_set_up_now(session: Session) -> bool:
    """Whether a `vectrue init` is at work in the database; False where that cannot be
    asked.
    """
    try:
        return locks.is_held(session, "init")
    except VectrueError as error:
        log.debug("whether `vectrue init` is at work is not known", reason=str(error))
        return False


def _with_key(target: Target, shape: Shape) -> Target:
    there = shape.of(target.table)
    # Between two steps of a migration a table has no key; the old one goes on until
    # there is another.
    return target if there is None or not there.key else replace(target, key=there.key)
