"""What a worker writes to the ledger about a chunk in hand."""

from dataclasses import dataclass
from uuid import UUID

from schemas.errors import VectrueError


class LedgerConflict(VectrueError):
    """The ledger of the chunk moved meanwhile: another worker has the chunk too."""


@dataclass(frozen=True, slots=True)
class ChunkAdvance:
    """An advance of a chunk in the ledger.

    It is made in the transaction that writes the vectors.

    Attributes:
        run, number: the chunk.
        start: keys of the chunk that were done before this write.
        handled: keys that are done with this write. The counts below say what they were
            found to be before the write; what was written, or found changed or locked,
            is counted by the write itself.
        current, blank, gone, quarantined: how many need no vector, and why.
        failed: rows in the dead-letter topic.
        obsolete: rows asked for with a model that is no longer wanted.
        seconds: the time that the worker spent on them.
    """

    run: UUID
    number: int
    start: int
    handled: int
    current: int = 0
    blank: int = 0
    gone: int = 0
    quarantined: int = 0
    failed: int = 0
    obsolete: int = 0
    seconds: float = 0.0
