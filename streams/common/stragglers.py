"""Rows that lack a true vector for good, as opposed to those that are being embedded.

While an application writes, some rows are always being embedded, so a check that allowed
none of them would never pass. A row that lacked a vector at the first look, and got one
or changed since, was being embedded.

Hazard: each look reads every row once. If many rows lack a vector, count them instead.
"""

from collections.abc import Callable, Mapping

from connectors.ports import Clock
from connectors.postgres.health.keeper import Fingerprint
from schemas.rows.table import Key

MOST = 1000
"""Most rows that may be in the queue at one moment: changes of a busy table in seconds."""
_PATIENCE_SECONDS = 5.0
"""If no row changes for this time, the rest lack a vector for good: a live worker writes
a change within a second.
"""
_POLL_SECONDS = 0.5

Look = Callable[[], Mapping[Key, Fingerprint]]
"""Returns the rows that lack a true vector now."""


def count(look: Look, clock: Clock) -> int:
    """Count the rows that `staying` returns."""
    return len(staying(look, clock))


def staying(look: Look, clock: Clock) -> Mapping[Key, Fingerprint]:
    """Return the rows that lack a true vector now and do not get one while others do.

    Args:
        look: called until none of its first rows is left, or none of them changes any
            more.
        clock: for the pauses in between.
    """
    left = dict(look())
    moved_at = clock.monotonic()
    while left and clock.monotonic() - moved_at < _PATIENCE_SECONDS:
        clock.wait(_POLL_SECONDS)
        now = look()
        # Another fingerprint: the row got a vector meanwhile and lost it again.
        still = {key: seen for key, seen in left.items() if now.get(key) == seen}
        if len(still) < len(left):
            moved_at = clock.monotonic()
        left = still
    return left
