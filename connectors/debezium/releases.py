"""Debezium's releases that may leave events out.

Hazard: a release that is not known is taken to lose nothing.
"""

import re
from typing import Final

SAFE_FROM: Final = (3, 7)
"""The first release that continues where it stopped among interleaved transactions.

The end of one transaction and the next change of another may be at one position of the
log. Rows of a COPY share one too; of those 3.7.0 may leave some out where it was
killed, 3.7.1 does not.
"""

FIX: Final = "install Debezium 3.7 or newer in Kafka Connect"
"""What to do. Until then a keeper finds the rows, at its next look after each start."""

_NUMBERS = re.compile(r"(\d+)\.(\d+)\.")


def hazard(version: str) -> str | None:
    """What a release may lose.

    Args:
        version: as Kafka Connect reports it, for example 3.6.3.Final.

    Returns:
        one clause with the version; None for a release that is known to lose nothing,
        or not known.
    """
    found = _NUMBERS.match(version)
    if found is None or (int(found[1]), int(found[2])) >= SAFE_FROM:
        return None
    return f"Debezium {version} may lose changes of transactions that are open when it starts again"
