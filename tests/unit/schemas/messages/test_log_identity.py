"""Whose log is an offset of, and whose is a connector: the rules."""

from dataclasses import replace

import pytest

from schemas.messages.log_identity import (
    ConnectorSource,
    LogIdentity,
    LogPositions,
    Neighbours,
    reasons,
    shown,
)

HERE = LogIdentity("7000", 1, 16384, "shop")
OURS = ConnectorSource("db1", 5432, "shop", "vectrue")
FINE = LogPositions(offset=150, slot=100, end=200)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (HERE, None),
        (replace(HERE, database_name="renamed"), None),
        (
            replace(HERE, system_identifier="8000"),
            "is on another server than the one that capture was set up on",
        ),
        (
            replace(HERE, system_identifier="8000", database_oid=5, timeline=3),
            "is on another server",
        ),
        (replace(HERE, database_oid=5), "is another one than capture was set up in"),
        (replace(HERE, timeline=2), "timeline 1, and capture was set up on timeline 2"),
    ],
)
def test_a_log_that_is_not_the_recorded_one(recorded: LogIdentity, said: str | None) -> None:
    """Another server, another database and another timeline are other logs; another
    name is not.
    """
    moved = HERE.moved_from(recorded)
    assert moved is None if said is None else said in (moved or "")
    assert HERE.is_log_of(recorded) == (said is None)


@pytest.mark.parametrize(
    ("offset", "slot", "end", "said"),
    [
        (None, 100, 200, None),
        (None, None, 200, None),
        (100, 100, 200, None),
        (150, 100, 200, None),
        (200, 100, 200, None),
        (150, None, 200, None),
        (99, 100, 200, "lies before the start of replication slot s (0/64)"),
        (201, 100, 200, "lies ahead of the log of database shop (0/C8)"),
        (201, None, 200, "lies ahead of the log of database shop (0/C8)"),
        (201, 300, 200, "lies ahead of the log"),
    ],
)
def test_an_offset_outside_of_the_log(
    offset: int | None, slot: int | None, end: int, said: str | None
) -> None:
    """An offset lies between the slot's position and the end of the log, or is none of
    them.
    """
    wrong = LogPositions(offset, slot, end).wrong("shop", "s")
    assert wrong is None if said is None else said in (wrong or "")


@pytest.mark.parametrize(
    ("recorded", "positions", "read", "said"),
    [
        (HERE, FINE, OURS, []),
        (HERE, FINE, None, []),
        (HERE, replace(FINE, offset=None), OURS, []),
        (None, replace(FINE, offset=None), None, []),
        (None, FINE, OURS, ["not recorded which log"]),
        (replace(HERE, system_identifier="8"), FINE, OURS, ["is on another server"]),
        (
            replace(HERE, system_identifier="8"),
            replace(FINE, offset=None),
            None,
            ["is on another server"],
        ),
        (HERE, FINE, replace(OURS, host="db2"), ["the connector read database shop at db2:5432"]),
        (HERE, FINE, replace(OURS, slot="other"), ["the connector read replication slot other"]),
        (HERE, replace(FINE, offset=999), OURS, ["it lies ahead of the log"]),
        (HERE, replace(FINE, offset=9), OURS, ["it lies before the start"]),
        (
            replace(HERE, database_oid=1),
            replace(FINE, offset=999),
            replace(OURS, database="old"),
            ["a copy, or a restored dump", "the connector read database old", "it lies ahead"],
        ),
    ],
)
def test_why_an_offset_is_reset(
    recorded: LogIdentity | None,
    positions: LogPositions,
    read: ConnectorSource | None,
    said: list[str],
) -> None:
    """Every reason is named; an offset of this log, read from this database, stays."""
    found = reasons(recorded, HERE, positions, read, OURS)
    assert len(found) == len(said)
    assert all(part in clause for part, clause in zip(said, found, strict=True))


THEIRS = replace(OURS, host="db2")


@pytest.mark.parametrize(
    ("read", "is_recorded", "active", "members", "lost"),
    [
        (OURS, True, None, 0, None),
        (OURS, False, None, 3, None),
        (None, True, None, 3, None),
        (None, False, None, 0, None),
        (None, False, None, None, None),
        (None, False, None, 2, "2 live workers of this prefix work for another database"),
        (THEIRS, False, None, 0, None),
        (THEIRS, False, None, 1, "1 live worker of this prefix work"),
        (THEIRS, False, None, None, "cannot be told"),
        (THEIRS, False, "prod", 0, "its slot is active on this server"),
        (THEIRS, True, None, 3, None),
        (THEIRS, True, "prod", 0, "its slot is active on this server"),
    ],
)
def test_whose_connector_it_is(
    read: ConnectorSource | None,
    is_recorded: bool,
    active: str | None,
    members: int | None,
    lost: str | None,
) -> None:
    """Nobody loses a connector whose database or workers are at work; a move, where
    nobody works, goes on.
    """
    said = Neighbours(read, OURS, is_recorded, active, members).lost()
    assert said is None if lost is None else lost in (said or "")


def test_what_a_connector_reads() -> None:
    """It stands in its configuration; names of the own machine are one name."""
    config = {
        "database.hostname": "localhost",
        "database.port": "5432",
        "database.dbname": "shop",
        "slot.name": "s",
    }
    read = ConnectorSource.of(config)
    assert read == ConnectorSource("localhost", 5432, "shop", "s")
    assert read.is_database_of(replace(read, host="127.0.0.1"))
    assert not read.is_database_of(replace(read, port=6432))
    assert shown(0x1_0500_0000) == "1/5000000"
