"""The canary without any service: its rule and its records."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.twins.kafka import MemoryOffsets
from schemas.errors import PoisonEvent
from schemas.health.canary import Stage, judge, parse, stage, to_json
from schemas.health.lag import PartitionLag, SlotLag
from schemas.health.lag_report import brief, witnessed
from schemas.health.severity import Severity
from schemas.health.witness import Beat, Canary, Difference, Look, Witness
from schemas.reports.coverage import Coverage
from schemas.reports.coverage import verdict as counted
from schemas.rows.table import TableName
from schemas.settings.reading import Settings, load
from streams.operations.witness import transit as came
from tests.support.canary_records import TOPIC, event, record
from tests.support.lag import NOW, canary, report, transit, witness

NOT_KNOWN = "whether it is in Kafka is not known"
RULES: list[tuple[str, Canary, Severity | None, Stage | None, str]] = [
    ("back", canary((9, 30.0), (14, 1.0)), None, Stage.ARRIVED, ""),
    (
        "never ran",
        canary(None, None, transit=transit(members=0)),
        Severity.WARNING,
        None,
        "no live worker has run yet",
    ),
    (
        "never ran, Kafka not asked",
        canary(None, None),
        Severity.WARNING,
        None,
        "no live worker has run yet",
    ),
    (
        "first beat",
        canary(None, (1, 0.2)),
        Severity.WARNING,
        Stage.WRITTEN,
        "on its way, written in Postgres 0.2 s ago",
    ),
    (
        "first beat after a night",
        canary((9, 40_000.0), (10, 0.2), transit=transit(newest=0.2, waits=0.1)),
        Severity.WARNING,
        Stage.CAPTURED,
        "on its way, captured into Kafka 0.2 s ago",
    ),
    (
        "worker gone",
        canary((9, 31.0), (9, 31.0), transit=transit(members=0)),
        Severity.WARNING,
        Stage.ARRIVED,
        "no live worker runs, and the canary has not come back for 31.0 s",
    ),
    (
        "worker gone, Kafka not asked",
        canary((9, 31.0), (9, 31.0)),
        Severity.WARNING,
        Stage.ARRIVED,
        "no live worker runs",
    ),
    (
        "worker writes nothing",
        canary((9, 31.0), (9, 31.0), transit=transit()),
        Severity.CRITICAL,
        Stage.ARRIVED,
        "does not write the canary (last 31.0 s ago)",
    ),
    (
        "worker never wrote",
        canary(None, None, transit=transit()),
        Severity.CRITICAL,
        None,
        "does not write the canary (never)",
    ),
    (
        "capture stands",
        canary((9, 31.0), (15, 1.0), transit=transit(newest=31.0)),
        Severity.CRITICAL,
        Stage.WRITTEN,
        "last seen written in Postgres, and is not captured into Kafka",
    ),
    (
        "nothing was ever captured",
        canary(None, (8, 1.0), transit=transit(newest=None)),
        Severity.CRITICAL,
        Stage.WRITTEN,
        "the canary has never come back: it was last seen written in Postgres",
    ),
    (
        "lane is busy",
        canary((9, 60.0), (21, 1.0), transit=transit(newest=1.0, waits=55.0)),
        Severity.WARNING,
        Stage.CAPTURED,
        "last seen captured into Kafka, and waits for a live worker",
    ),
    (
        "lane stands",
        canary((9, 400.0), (88, 1.0), transit=transit(newest=1.0, waits=395.0)),
        Severity.CRITICAL,
        Stage.CAPTURED,
        "last seen captured into Kafka, and waits for a live worker",
    ),
    (
        "lane of unknown age",
        canary((9, 60.0), (21, 1.0), transit=transit(newest=1.0, waits=None)),
        Severity.CRITICAL,
        Stage.CAPTURED,
        "last seen captured into Kafka",
    ),
    (
        "not noted",
        canary((9, 60.0), (21, 1.0), transit=transit(newest=1.0, waits=0.0)),
        Severity.CRITICAL,
        Stage.HANDLED,
        "last seen handled by a live worker, and its arrival is not noted",
    ),
    (
        "Kafka does not tell",
        canary((9, 60.0), (21, 1.0), transit=transit(1, error="Kafka is away")),
        Severity.CRITICAL,
        Stage.WRITTEN,
        f"{NOT_KNOWN} (Kafka is away)",
    ),
    (
        "Kafka was not asked",
        canary((9, 60.0), (21, 1.0)),
        Severity.CRITICAL,
        Stage.WRITTEN,
        NOT_KNOWN,
    ),
    (
        "clock set back",
        canary((9, -500.0), (9, -500.0), transit=transit()),
        Severity.WARNING,
        Stage.ARRIVED,
        "on its way",
    ),
    (
        "cannot be read",
        Canary(5.0, 30.0, error="init is older"),
        Severity.UNKNOWN,
        None,
        "is not known: init is older",
    ),
]


@pytest.mark.parametrize(
    ("seen", "severity", "where", "words"), [r[1:] for r in RULES], ids=[r[0] for r in RULES]
)
def test_what_is_said_of_a_canary(
    seen: Canary, severity: Severity | None, where: Stage | None, words: str
) -> None:
    """Nothing while it comes back; else the hop where it was last seen, and how bad
    that is.
    """
    said = judge(seen, 300.0)
    assert (said.severity if said else None) is severity
    assert stage(seen) is where
    assert words in (said.sentence if said else "")
    told = to_json(seen, said)
    assert told["last_seen"] == (where.name.lower() if where else None)
    assert json.loads(json.dumps(told)) == told
    alone = report(canary=seen)
    assert (alone.verdict == "all caught up") == (said is None)
    assert bool(witnessed(alone.witness)) == (said is not None)


def test_a_paused_connector_is_a_warning_until_it_is_critical() -> None:
    """Somebody paused it: what waits counts by the threshold of age."""
    seen = canary((9, 31.0), (15, 1.0), transit=transit(newest=31.0))
    late = canary((9, 331.0), (75, 1.0), transit=transit(newest=331.0))
    judged = [judge(one, 300.0, is_paused=True) for one in (seen, late)]
    assert [one.severity if one else None for one in judged] == [
        Severity.WARNING,
        Severity.CRITICAL,
    ]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (witness(), "arrive"),
        (witness(canary=canary((9, 31.0), (9, 31.0))), "no live worker runs, and the canary"),
        (witness(canary=Canary(5.0, 30.0, error="postgresql://host")), "unknown: vectrue doctor"),
        (witness(error="postgresql://host"), "unknown: vectrue doctor"),
        (witness(differences=(Difference("t", "f"),)), "what is configured is not what is there"),
        (witness(slot=SlotLag("s", "missing")), "the replication slot is not well"),
        (
            witness(looks=(Look(TableName("a", "secret"), "r", NOW, 1.0),)),
            "the rows of 1 table are yet",
        ),
    ],
)
def test_a_probe_names_no_table_or_server(seen: Witness, words: str) -> None:
    """`/readyz` needs no token, so it says what is wrong and not where."""
    assert brief(seen).startswith(words)
    assert "secret" not in brief(seen)
    assert "host" not in brief(seen)


def test_the_count_is_not_called_all_in_doubt() -> None:
    """`status` says what it counted, and what speaks against it."""
    column = Coverage("t", "embedding", "m", 4, 5, 5, 0, 0, 0, 0, 0, 0)
    assert counted([column], None) == "all 5 rows are current or blank"
    assert (
        counted([column], "nothing arrives") == "5 rows are current or blank, but nothing arrives"
    )
    missing = replace(column, current=3, missing=2)
    assert (
        counted([missing], "x") == "2 of 5 rows lack a current vector: vectrue replay run; also, x"
    )
    parked = replace(column, current=3, quarantined=2)
    assert counted([parked], "x").endswith(
        "are in quarantine: their text cannot be embedded; also, x"
    )
    assert counted([], "x") == "no table is kept in step yet: run `vectrue init`"


def test_a_record_is_read_with_its_times() -> None:
    """Whose beat it is, when it was written, when capture and Kafka had it; a tombstone
    is no beat.
    """
    read = parse(record(event(7)))
    assert read is not None
    assert (read.prefix, read.beat) == ("p", Beat(7, NOW))
    assert (read.captured_at, read.queued_at) == (
        NOW + timedelta(milliseconds=10),
        NOW + timedelta(milliseconds=30),
    )
    assert parse(record(None)) is None
    odd = parse(record(event(7, sent_at="2026-01-01T23:59:00+23:59")))
    assert odd is not None
    # other offsets than Postgres has
    assert odd.beat.sent_at.isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "value",
    [
        b"{broken",
        {"op": "u"},
        event(1, sent_at="soon"),
        event(1, sent_at="0001-01-01T00:00:00+23:59"),
        event(1, sent_at="2026-01-01T00:00:00"),
        event(1, beat="1"),
        event(1, prefix=5),
        event(1) | {"source": {"schema": "public", "table": "t"}},
    ],
)
def test_a_record_that_is_not_a_beat_is_poison(value: Any) -> None:
    """Whatever somebody writes into the topic."""
    with pytest.raises(PoisonEvent):
        parse(record(value))


def test_how_far_it_came_is_read_from_the_topic() -> None:
    """The newest beat's commit and the age of the first that waits; an empty topic has
    none; no topic is an error.
    """
    broker, settings = MemoryOffsets(), Settings(kafka={"topic_prefix": "p"})
    assert settings.canary_topic == TOPIC
    missing = came(broker, 1, PartitionLag(TOPIC, None, is_missing=True, error="no topic"), NOW)
    assert (missing.error, missing.newest_at) == ("no topic", None)
    broker.create_topic(TOPIC, 1)

    def look() -> Any:
        row = broker.read({"p-live": [TOPIC]})["p-live"].partitions[0]
        return came(broker, 1, row, NOW)

    assert look() == transit(newest=None)
    for number, seconds in ((1, 12.0), (2, 7.0), (3, 2.0)):
        broker.append(TOPIC, 0, json.dumps(event(number, seconds_ago=seconds)).encode())
    broker.commit("p-live", TOPIC, 0, 1)
    assert look() == transit(newest=2.0, waits=7.0)
    broker.commit("p-live", TOPIC, 0, 3)
    assert look() == transit(newest=2.0, waits=0.0)


def test_a_bound_below_the_period_is_refused() -> None:
    """A canary that is late between two beats would make everything red."""
    with pytest.raises(Exception, match="late_seconds must be twice seconds or more"):
        load(canary={"seconds": 20, "late_seconds": 30})
