"""Lag reports built by hand, and every trouble with the verdict and exit code that it
must lead to.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.health.lag import ConnectorState, GroupLag, PartitionLag, SlotLag, Status
from schemas.health.lag_report import LagReport
from schemas.health.rounds import Round
from schemas.health.witness import Arrival, Beat, Canary, Difference, Look, Transit, Witness
from schemas.rows.table import TableName

TOPIC = "vectrue.public.docs"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(
    commit: int | None,
    end: int | None,
    *,
    start: int | None = 0,
    age: float | None = None,
    **more: Any,
) -> PartitionLag:
    return PartitionLag(TOPIC, 0, commit, start, end, age, **more)


def group(*rows: PartitionLag, members: int | None = 1, **more: Any) -> GroupLag:
    return GroupLag("vectrue-live", "stable" if members else "empty", members, rows, **more)


def canary(
    arrived: tuple[int, float] | None = (9, 2.0),
    written: tuple[int, float] | None = (9, 2.0),
    **more: Any,
) -> Canary:
    """A canary every 5 s, late after 30 s; beats as number and seconds since they were
    written.
    """
    sent, seen = (None if beat is None else _beat(*beat) for beat in (written, arrived))
    back = (
        None
        if seen is None
        else Arrival(seen, seen.sent_at, seen.sent_at, seen.sent_at, seen.sent_at)
    )
    return Canary(5.0, 30.0, NOW, sent, back, **more)


def transit(
    members: int | None = 1, newest: float | None = 0.0, waits: float | None = 0.0, **more: Any
) -> Transit:
    """What Kafka tells about it: live workers, seconds since the newest beat there and
    the oldest unhandled one.
    """
    return Transit(
        members, None if newest is None else NOW - timedelta(seconds=newest), waits, **more
    )


def witness(**parts: Any) -> Witness:
    """A witness by which all is well, with parts replaced."""
    fine: dict[str, Any] = {
        "canary": canary(),
        "slot": SlotLag("vectrue", "active", "reserved", 10, 20),
        "slot_seconds": 180.0,
    }
    return Witness(**(fine | parts))


def report(**parts: Any) -> LagReport:
    """A report in which all is well, with parts replaced; the slot's and the canary's
    are parts of the witness.
    """
    fine: dict[str, Any] = {
        "time": NOW,
        "live": group(row(5, 5, age=0.0)),
        "replay": GroupLag("vectrue-replay", "stable", 1, (row(2, 2, age=0.0),)),
        "connector": ConnectorState("vectrue-postgres", "RUNNING", ("RUNNING",)),
    }
    seen = witness(
        **{
            name: parts.pop(name)
            for name in ("slot", "canary", "looks", "differences", "rounds")
            if name in parts
        }
    )
    return LagReport(**({"witness": seen} | fine | parts))


def _beat(number: int, seconds: float) -> Beat:
    return Beat(number, NOW - timedelta(seconds=seconds))


FAILED = ConnectorState("c", "RUNNING", ("FAILED",), "boom")
CASES: list[tuple[Mapping[str, Any], int, str]] = [
    ({}, 0, "all caught up"),
    (
        {"live": group(row(5, 1239, age=12.3))},
        0,
        f"live: 1,234 events behind, oldest 12.3 s ({TOPIC}[0])",
    ),
    ({"live": group(row(5, 9, age=30.0))}, 1, "live: 4 events behind, oldest 30.0 s"),
    ({"live": group(row(5, 9, age=300.0))}, 2, "live: 4 events behind, oldest 5m00s"),
    ({"live": group(row(5, 9, age=None))}, 3, "live: the age of the oldest event"),
    (
        {"live": group(row(5, 99, age=1, status=Status.STOP), members=0)},
        1,
        "live: no worker runs, 94 events behind",
    ),
    (
        {"live": group(row(None, 9, age=1.0), members=0)},
        1,
        "live: no worker runs, 9 events never committed",
    ),
    ({"live": group(row(None, 9, age=1.0))}, 0, "live: 9 events never committed"),
    ({"live": group(row(None, 9, age=400.0))}, 2, "live: 9 events never committed"),
    ({"live": group(row(5, 5, age=0.0), members=0)}, 0, "live: no worker runs, nothing waits"),
    (
        {"canary": canary((9, 31.0), (16, 1.0), transit=transit(newest=1.0, waits=29.0))},
        1,
        (
            "live: the canary has not come back for 31.0 s: it was last seen captured into "
            "Kafka, and "
            "waits for a live"
        ),
    ),
    (
        {"canary": canary((9, 31.0), (16, 1.0), transit=transit(newest=31.0))},
        2,
        (
            "capture: the canary has not come back for 31.0 s: it was last seen written in "
            "Postgres, "
            "and is not captured"
        ),
    ),
    (
        {"canary": Canary(5.0, 30.0, error="older")},
        3,
        "live: whether changes arrive is not known: older",
    ),
    (
        {"looks": (Look(TableName("public", "docs"), "events expired", NOW, 9.0),)},
        1,
        "replay: the rows of public.docs are yet to be looked at: events expired",
    ),
    (
        {"rounds": (Round("keeper", 46.0, 5.0),)},
        1,
        "replay: no worker has done the keeper's work for 46.0 s: see the",
    ),
    (
        {"differences": (Difference("table t was swapped", "vectrue init"),)},
        2,
        "source: table t was swapped: vectrue init",
    ),
    (
        {"slot": SlotLag("s", "active", "reserved", 1, 2048, None, 181.0)},
        2,
        (
            "source: replication slot s has stood still for 3m01s while the log moves, which "
            "keeps 2.0 "
            "KiB of WAL"
        ),
    ),
    ({"slot": SlotLag("s", "active", "reserved", 1, 2048, None, 179.0)}, 0, "all caught up"),
    (
        {"live": group(PartitionLag(TOPIC, None, is_missing=True, error="topic x does not exist"))},
        2,
        "live: topic x does not exist",
    ),
    ({"replay": group(row(None, 0), members=0)}, 0, "all caught up"),
    ({"live": group(row(5, 9, start=7, age=1, status=Status.LOST))}, 2, "live: 2 events of"),
    (
        {"live": group(PartitionLag(TOPIC, None, error="topic x does not exist"))},
        3,
        "live: topic x does not exist",
    ),
    ({"live": group(error="group g cannot be described")}, 3, "live: group g cannot be described"),
    (
        {"live": group(row(5, 99, age=1, status=Status.STALL))},
        1,
        "live: commits stand still, 94 events behind",
    ),
    ({"replay": group(row(5, 9, age=9999.0))}, 0, "replay: 4 chunks behind, oldest 2h46m"),
    ({"replay": group(row(5, 9, age=None))}, 0, "replay: 4 chunks behind"),
    (
        {"replay": group(row(5, 9, age=1, status=Status.STOP), members=0)},
        1,
        "replay: no worker runs, 4 chunks behind",
    ),
    (
        {"slot": SlotLag("s", error="Postgres does not answer")},
        2,
        "source: Postgres does not answer",
    ),
    ({"slot": SlotLag("s", "missing")}, 2, "source: there is no replication slot s: vectrue init"),
    ({"slot": SlotLag("s", "inactive", "lost")}, 2, "source: replication slot s is lost"),
    (
        {"slot": SlotLag("s", "active", "unreserved", 1, 2048)},
        2,
        "source: replication slot s is about",
    ),
    (
        {"slot": SlotLag("s", "inactive", "reserved", 1, 2)},
        1,
        "source: no one reads replication slot s",
    ),
    (
        {"connector": ConnectorState("c", "missing")},
        2,
        "capture: there is no connector c: vectrue init",
    ),
    ({"connector": ConnectorState("c", "PAUSED", ())}, 1, "capture: connector c is paused"),
    ({"connector": ConnectorState("c", "RUNNING", ())}, 1, "capture: connector c has no task"),
    ({"connector": FAILED}, 2, "capture: task 0 of connector c failed (boom)"),
    (
        {"connector": ConnectorState("c", error="Connect does not answer")},
        2,
        "capture: Connect does not answer",
    ),
    (
        {"kafka_error": "Kafka is away", "live": GroupLag("l"), "replay": GroupLag("r")},
        2,
        "live: Kafka is away",
    ),
]
