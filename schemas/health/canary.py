"""The canary: its records, and what is said when it does not come back.

Pure. The row vectrue.canary is written by a live worker every few seconds and comes
back through capture and Kafka, with no inference on its way. While it comes back,
changes arrive; nothing else proves that.

Hazard: the topic holds the beats of every installation in the database, each under its
own prefix.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from schemas.duration import show_duration
from schemas.errors import PoisonEvent
from schemas.health.severity import Finding, Severity
from schemas.health.witness import Beat, Canary
from schemas.messages import change
from schemas.messages.record import Record
from schemas.rows.table import TableName

TABLE = TableName("vectrue", "canary")
COLUMNS = ("prefix", "beat", "sent_at")
"""All of them travel: they are ours, and hold no text of the application."""

_LARGEST_BEAT = 2**63 - 1
# Events carry the commit time in milliseconds, cut off.
_ROUNDING_SECONDS = 0.002


class Stage(StrEnum):
    """Where the canary was last seen, in the order of its way."""

    WRITTEN = "written in Postgres"
    CAPTURED = "captured into Kafka"
    HANDLED = "handled by a live worker"
    ARRIVED = "back in Postgres"


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """One record of the canary's topic: whose beat it is.

    `captured_at` and `queued_at` are by the clocks of capture and of Kafka.
    """

    prefix: str
    beat: Beat
    captured_at: datetime | None
    queued_at: datetime | None


def parse(record: Record) -> CanaryRecord | None:
    """Read a record of the canary's topic; None for a tombstone or another non-beat.

    Raises:
        PoisonEvent: it cannot be read; the message says why.
    """
    event = change.parse(record.key, record.value)
    if event is None or not event.touches_row:
        return None
    if event.table != TABLE:
        raise PoisonEvent(f"an event of table {event.table} is in the topic of the canary")
    prefix, number, sent_at = (event.fields.get(name) for name in COLUMNS)
    if not isinstance(prefix, str) or not isinstance(number, int) or not isinstance(sent_at, str):
        raise PoisonEvent("an event of the canary lacks its prefix, number or time")
    # A bool is an int in Python.
    if isinstance(number, bool) or not 0 < number <= _LARGEST_BEAT:
        raise PoisonEvent("the number of a canary is none that Postgres can hold")
    beat = Beat(number, _time(sent_at))
    return CanaryRecord(prefix, beat, change.handled_at(record.value), change.appended_at(record))


def _time(text: str) -> datetime:
    """In UTC: offsets of a day are a time for Python, and none for Postgres."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise PoisonEvent("the time of a canary has no zone")
        # Raises OverflowError beyond the years 1 and 9999.
        return time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PoisonEvent("the time of a canary is not a time") from error


def stage(canary: Canary) -> Stage | None:
    """Where it was last seen; None when none was ever written, or nothing is known."""
    if canary.error is not None or canary.written is None:
        return None
    if canary.is_fresh or (canary.arrived and canary.arrived.beat == canary.written):
        return Stage.ARRIVED
    transit = canary.transit
    if transit is None or transit.error is not None or transit.newest_at is None:
        return Stage.WRITTEN
    behind = (canary.written.sent_at - transit.newest_at).total_seconds()
    if (
        behind > _ROUNDING_SECONDS
        and (canary.written_seconds or 0.0) + behind > canary.late_seconds
    ):
        return Stage.WRITTEN
    return Stage.HANDLED if transit.waiting_seconds == 0 else Stage.CAPTURED


def judge(canary: Canary, crit_seconds: float, *, is_paused: bool = False) -> Finding | None:
    """What is to be said about the canary; None while it comes back.

    Args:
        canary: as it was seen.
        crit_seconds: age from which what may wait (a busy live lane, a paused
            connector) is critical.
        is_paused: whether the connector was paused or stopped on purpose.
    """
    if canary.error is not None:
        return Finding(
            Severity.UNKNOWN, "live", f"whether changes arrive is not known: {canary.error}"
        )
    if canary.is_fresh:
        return None
    waited, since = canary.waiting_seconds, canary.written_seconds
    written_lately = since is not None and since <= canary.late_seconds
    # The first that is missing was due a period after the last that came back.
    if (
        written_lately
        and waited is not None
        and waited + canary.every_seconds <= canary.late_seconds
    ):
        return _on_its_way(canary)
    members = canary.transit.members if canary.transit else None
    if members == 0 or (members is None and not written_lately):
        return Finding(Severity.WARNING, "live", _no_worker(canary))
    if not written_lately:
        return _not_written(canary)
    return _held_up(canary, crit_seconds, is_paused)


def _on_its_way(canary: Canary) -> Finding:
    # Clocks are set back now and then; an age below 0 would be printed.
    since = max(canary.written_seconds or 0.0, 0.0)
    words = f"the canary is on its way, {stage(canary)} {show_duration(since)} ago"
    return Finding(Severity.WARNING, "live", f"{words}, and {_absence(canary)}")


def _not_written(canary: Canary) -> Finding:
    since = canary.written_seconds
    last = "never" if since is None else f"last {show_duration(since)} ago"
    words = f"a live worker is in its group and does not write the canary ({last}): see its log"
    return Finding(Severity.CRITICAL, "source", f"{words}, and {_absence(canary)}")


def _held_up(canary: Canary, crit_seconds: float, is_paused: bool) -> Finding:
    """Beats are written and do not come back."""
    seen, age = stage(canary), canary.waiting_seconds or 0.0
    said = f"{_absence(canary)}: it was last seen {seen}"
    if seen is Stage.CAPTURED:
        # Behind a full live lane the canary waits its turn, which is normal for a while.
        waits = canary.transit.waiting_seconds if canary.transit else None
        severity = (
            Severity.WARNING if waits is not None and waits < crit_seconds else Severity.CRITICAL
        )
        return Finding(severity, "live", f"{said}, and waits for a live worker")
    if seen in (Stage.HANDLED, Stage.ARRIVED):
        return Finding(
            Severity.CRITICAL,
            "live",
            f"{said}, and its arrival is not noted: see the live worker's log",
        )
    if canary.transit is None or canary.transit.error is not None:
        why = f" ({canary.transit.error})" if canary.transit and canary.transit.error else ""
        return Finding(
            Severity.CRITICAL, "capture", f"{said}; whether it is in Kafka is not known{why}"
        )
    # Someone paused the connector on purpose, and may have forgotten it.
    severity = Severity.WARNING if is_paused and age < crit_seconds else Severity.CRITICAL
    return Finding(
        severity, "capture", f"{said}, and is not captured into Kafka: see the log of Kafka Connect"
    )


def _absence(canary: Canary) -> str:
    if canary.arrived is None or canary.age_seconds is None:
        return "the canary has never come back"
    return f"the canary has not come back for {show_duration(max(canary.age_seconds, 0.0))}"


def _no_worker(canary: Canary) -> str:
    start = "vectrue worker --role live"
    if canary.written is None and canary.arrived is None:
        return f"no live worker has run yet: {start}"
    return f"no live worker runs, and {_absence(canary)}: {start}"


def to_json(canary: Canary, finding: Finding | None) -> dict[str, Any]:
    """The canary as plain data, with the verdict on it and where it was last seen."""
    return {
        "status": str(finding.severity if finding else Severity.OK),
        "last_seen": None if (seen := stage(canary)) is None else seen.name.lower(),
        "sentence": finding.sentence if finding else None,
        **canary.to_json(),
    }
