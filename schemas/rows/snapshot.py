"""Visibility of a transaction in a snapshot, by the rules of Postgres.

Logical decoding sends a transaction as soon as its commit record is written, which can
be before any other session sees it (long before, when the commit waits for a
synchronous standby). A worker that reads on such an event sees the old text and must not
conclude that nothing changed.

Hazard: an event carries a 32-bit transaction id, a snapshot 64-bit ones. The id is
extended to the value nearest to the snapshot's xmax, which is right as long as event
and snapshot lie less than 2^31 transactions apart.
"""

from dataclasses import dataclass
from typing import Self

_EPOCH = 1 << 32


def is_before(xid: int, other: int) -> bool:
    """Whether a 32-bit transaction id is not after another, as Postgres compares them."""
    # Ids wrap around: half of the circle is before an id, half after it.
    return (other - xid) % _EPOCH < _EPOCH // 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A `pg_snapshot`: the transactions that were running, and bounds of them.

    Ids below xmin are finished, ids from xmax on have not started, `running` were in
    progress.
    """

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form `xmin:xmax:id,id,...`.

        See functions-info, "pg_snapshot components".
        """
        xmin, xmax, running = text.split(":")
        # The list is empty when nothing runs, and split("") has one empty part.
        ids = frozenset(map(int, filter(None, running.split(","))))
        return cls(int(xmin), int(xmax), ids)

    def extend(self, xid: int) -> int:
        """Extend a 32-bit transaction id with the epoch that brings it nearest to xmax."""
        full = (self.xmax & ~(_EPOCH - 1)) | (xid & (_EPOCH - 1))
        if full - self.xmax > _EPOCH // 2:
            full -= _EPOCH
        elif self.xmax - full > _EPOCH // 2:
            full += _EPOCH
        return full

    def sees(self, xid: int) -> bool:
        """Whether a committed transaction is visible, by `pg_visible_in_snapshot`.

        Args:
            xid: 32-bit or 64-bit id of a transaction that is known to have committed.
        """
        full = self.extend(xid)
        if full < self.xmin:
            return True
        return full < self.xmax and full not in self.running
