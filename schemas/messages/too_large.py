"""An event that Kafka Connect, Kafka or Postgres cannot hold, told by its words.

Pure.
"""

import re
from dataclasses import dataclass
from typing import Final

FIX: Final = (
    "raise the heap of Kafka Connect and restart it, or set "
    'postgres.publication_columns = "keys" and run `vectrue init`, which skips the '
    "event and has all rows looked at"
)
"""What helps. Restarting does not: the same event comes again."""

_WORDS = re.compile(
    # Kafka Connect's JVM
    r"java heap space|OutOfMemoryError|GC overhead limit|array size exceeds VM limit"
    # Kafka
    r"|RecordTooLarge|max\.request\.size|max\.message\.bytes|larger than the max message size"
    # Postgres, 1 GB
    r"|invalid memory alloc request size|cannot enlarge string buffer"
    r"|string buffer exceeds maximum",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LargeRow:
    """The largest row that could be found: table, key as text, uncompressed bytes."""

    table: str
    key: str
    size: int


def is_too_large(reason: str) -> bool:
    """Whether a task's failure says that something was too large to be held or sent."""
    return _WORDS.search(reason) is not None


def sentence(reason: str, found: LargeRow | None) -> str:
    """The failure, and the row that is the likely one.

    The key of a row is the only content that is shown.
    """
    said = f"an event is too large ({reason})"
    if found is None:
        return (
            f"{said}; no row of the tables is now: it was edited since, or it was a logical message"
        )
    return f"{said}: the largest row is {found.key} of {found.table}, {found.size / 2**20:,.1f} MB"
