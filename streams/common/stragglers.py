"""Rows that lack a true vector and stay so, told from those that are on their way.

While an application writes, some rows are always being embedded; a gate that wanted
none of them would never open. What lacked a vector at the first look and has been made
true since, or has changed since, was on its way.

Hazard: each look reads every row once. Where many rows lack a vector, the count alone
is answer enough.
"""

from collections.abc import Callable, Mapping

from connectors.ports import Clock
from connectors.postgres.health.keeper import Fingerprint
from schemas.rows.table import Key

MOST = 1000
"""Rows that may be on their way at one moment: a busy table's changes of some seconds.
"""
_PATIENCE_SECONDS = 5.0
"""Without a row that moves for so long, what is left stays: a live worker writes a
change within a second.
"""
_POLL_SECONDS = 0.5

Look = Callable[[], Mapping[Key, Fingerprint]]
"""The rows that lack a true vector now, each with what tells one that stayed so from
one that became so again.
"""


def count(look: Look, clock: Clock) -> int:
    """How many rows that lack a true vector now do not get one while others do. As
    `staying`.
    """
    return len(staying(look, clock))


def staying(look: Look, clock: Clock) -> Mapping[Key, Fingerprint]:
    """The rows that lack a true vector now and do not get one while others do.

    Args:
        look: asked again and again, until none of its first answer is left or none of
            them moves any more.
        clock: for the pauses in between.
    """
    left = dict(look())
    moved_at = clock.monotonic()
    while left and clock.monotonic() - moved_at < _PATIENCE_SECONDS:
        clock.wait(_POLL_SECONDS)
        now = look()
        still = {key: seen for key, seen in left.items() if now.get(key) == seen}
        if len(still) < len(left):
            moved_at = clock.monotonic()
        left = still
    return left
