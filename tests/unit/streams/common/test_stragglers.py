"""Which rows stay without a true vector: told from those that are on their way, without
a database.
"""

from collections.abc import Mapping
from itertools import count

from connectors.postgres.health.keeper import Fingerprint
from connectors.twins.memory import MemoryClock
from schemas.rows.table import Key
from streams.common import stragglers

STALE: Fingerprint = ("stale_text", b"new", b"old", "b@1")


def test_rows_that_change_and_are_filled_again_and_again_are_on_their_way() -> None:
    """An application that never stops writing keeps no gate shut: each row of the first
    look has moved.
    """
    looks = count()

    def look() -> Mapping[Key, Fingerprint]:
        now = next(looks)
        return {
            ("1",): ("stale_text", f"text {now}".encode(), b"old", "b@1"),
            (f"{now}",): ("missing", b"x", None, None),
        }

    assert stragglers.count(look, MemoryClock()) == 0


def test_rows_that_nobody_fills_are_counted() -> None:
    """Rows that are as they were while nothing moves any more are what a gate is about;
    the wait has an end.
    """
    seen: list[Mapping[Key, Fingerprint]] = [
        {("1",): STALE, ("2",): STALE, ("3",): STALE},
        {("1",): STALE, ("2",): STALE},
    ]
    clock = MemoryClock()
    assert stragglers.count(lambda: seen.pop(0) if len(seen) > 1 else seen[0], clock) == 2
    assert sum(clock.waits) < 10


def test_nothing_is_waited_for_where_nothing_lacks() -> None:
    """Every row true: the answer comes at once."""
    clock = MemoryClock()
    assert stragglers.count(dict, clock) == 0
    assert clock.waits == []
