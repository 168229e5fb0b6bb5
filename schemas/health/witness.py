"""The evidence that all is well.

Nothing says so without something that would be missing if it were not.

Pure. Read by `connectors.postgres` and `streams.operations.witness`, judged by
`schemas.health.canary` and `schemas.health.lag_report`.

Hazard: ages are by the database's clock alone. The times that Connect, Kafka and the
worker put on a beat are of their own clocks: they show where time went, and nothing is
judged by them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.duration import rfc3339
from schemas.health.lag import SlotLag
from schemas.health.rounds import Round
from schemas.rows.table import TableName


@dataclass(frozen=True, slots=True)
class Look:
    """A table that is yet to be looked at, since changes may have been missed.

    Attributes:
        table: which.
        reason: why, one clause.
        asked_at: when it was asked for, by the database's clock; ends the look that was
            taken up.
        age_seconds: since then.
    """

    table: TableName
    reason: str
    asked_at: datetime
    age_seconds: float

    @property
    def sentence(self) -> str:
        """What every command says of it."""
        return f"the rows of {self.table} are yet to be looked at: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """The table, why, and since when."""
        return {
            "table": str(self.table),
            "reason": self.reason,
            "asked_at": _time(self.asked_at),
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """Something configured that is not what is there, and what to do about it.

    `sentence` has no full stop.

    Attributes:
        about: the part that `doctor` has a line of its own for; empty: none.
    """

    sentence: str
    fix: str
    about: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """The sentence and the fix."""
        return {"sentence": self.sentence, "fix": self.fix}


@dataclass(frozen=True, slots=True)
class Beat:
    """The canary as it was written: its number, which grows by one each time, and when."""

    number: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """A beat that came back, with the time of each hop; None where none was told."""

    beat: Beat
    captured_at: datetime | None
    queued_at: datetime | None
    worker_at: datetime | None
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Transit:
    """How far the canary came outside Postgres; asked only where it is not back.

    Attributes:
        members: live workers in their group; None when unknown.
        newest_at: when the newest beat in Kafka was committed, by the database's clock;
            None without one.
        waiting_seconds: age of the oldest beat in Kafka that no live worker has
            handled; 0 when none waits; None when unknown.
        error: why Kafka's side is unknown, one sentence.
    """

    members: int | None = None
    newest_at: datetime | None = None
    waiting_seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """The row that travels Postgres, Debezium, Kafka, live worker, Postgres.

    Attributes:
        every_seconds: how often it is written.
        late_seconds: age of the newest beat that came back from which it is late.
        now: the database's time of the look; None when it could not be asked.
        written: the newest beat that was written; None before the first live worker.
        arrived: the newest beat that came back.
        transit: how far it came meanwhile; None where that was not asked.
        error: why it is unknown, one sentence.
    """

    every_seconds: float
    late_seconds: float
    now: datetime | None = None
    written: Beat | None = None
    arrived: Arrival | None = None
    transit: Transit | None = None
    error: str | None = None

    @property
    def age_seconds(self) -> float | None:
        """Since the newest beat that came back was written; None without one."""
        return self._since(self.arrived.beat) if self.arrived else None

    @property
    def written_seconds(self) -> float | None:
        """Since the newest beat was written; None without one."""
        return self._since(self.written) if self.written else None

    @property
    def is_fresh(self) -> bool:
        """Whether it came back lately."""
        age = self.age_seconds
        # A beat of the future says nothing: the clock was set back since.
        return self.error is None and age is not None and -_SKEW_SECONDS <= age <= self.late_seconds

    @property
    def waiting_seconds(self) -> float | None:
        """For how long, at least, beats have been written and none came back; else 0.

        A worker that has just started after a pause is waited for, however old the last
        arrival is.
        """
        since = self.written_seconds
        if (
            self.written is None
            or since is None
            or (self.arrived and self.arrived.beat == self.written)
        ):
            return None if since is None else 0.0
        # Counted in beats, not by their age: after a pause the last arrival is old, and
        # a worker that has just started is waited for.
        before = self.written.number - (self.arrived.beat.number if self.arrived else 0) - 1
        return since + max(before, 0) * self.every_seconds

    def _since(self, beat: Beat) -> float | None:
        return None if self.now is None else (self.now - beat.sent_at).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data; None for unknown."""
        seen, transit = self.arrived, self.transit
        return {
            "age_seconds": _milli(self.age_seconds),
            "late_seconds": self.late_seconds,
            "beat": seen.beat.number if seen else None,
            "sent_at": _time(seen.beat.sent_at if seen else None),
            "captured_at": _time(seen.captured_at if seen else None),
            "queued_at": _time(seen.queued_at if seen else None),
            "worker_at": _time(seen.worker_at if seen else None),
            "arrived_at": _time(seen.arrived_at if seen else None),
            "written_at": _time(self.written.sent_at if self.written else None),
            "in_kafka_at": _time(transit.newest_at if transit else None),
            "error": self.error or (transit.error if transit else None),
        }


@dataclass(frozen=True, slots=True)
class Witness:
    """Everything in the database that green is judged by.

    Attributes:
        canary: the row that travels the whole path.
        slot: the replication slot.
        slot_seconds: for how long the slot may stand still while the log moves.
        looks: tables that are yet to be looked at.
        differences: what is configured and is not there.
        rounds: when the regular work was last done.
        edits: workers that run with other settings than their files say now.
        error: why looks, differences or rounds are unknown, one sentence.
        is_founded: whether `init` was ever run in the database; if not, whatever else
            is missing follows from it.
    """

    canary: Canary
    slot: SlotLag
    slot_seconds: float
    looks: tuple[Look, ...] = ()
    differences: tuple[Difference, ...] = ()
    rounds: tuple[Round, ...] = ()
    edits: tuple[Difference, ...] = ()
    error: str | None = None
    is_founded: bool = True

    @property
    def neglected(self) -> tuple[Round, ...]:
        """What is not done although a live worker runs.

        That none runs is said of the canary, which it writes.
        """
        since = self.canary.written_seconds
        runs = since is not None and since <= self.canary.late_seconds
        if not runs:
            return ()
        late: list[Round] = []
        for one in self.rounds:
            if one.is_late:
                late.append(one)
        return tuple(late)

    def to_json(self) -> dict[str, Any]:
        """What was seen as plain data, without the slot; null where it was not read."""
        seen: dict[str, Any] = dict.fromkeys(("looks", "differences", "rounds", "edits"))
        if self.error is None:
            seen["looks"] = [look.to_json() for look in self.looks]
            seen["differences"] = [one.to_json() for one in self.differences]
            seen["rounds"] = [one.to_json() for one in self.rounds]
            seen["edits"] = [one.to_json() for one in self.edits]
        return {"canary": self.canary.to_json(), **seen, "error": self.error}


# In seconds, between two looks at one clock.
_SKEW_SECONDS = 1.0


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
