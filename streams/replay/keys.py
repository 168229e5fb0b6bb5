"""The rows that the keys of `replay run --keys` and `replay plan --keys` name.

Only Postgres knows which keys are equal (`007` and `7`, a uuid in either case, a time
in two zones), so each is looked up, and what counts is the key that the row has. A key
that matches no row is kept with its line; one that names a row again is a repeat.

Hazard: each key is remembered by its digest, about 100 bytes a key, since a file may
repeat a key anywhere.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

from connectors.postgres.ledger import enumeration
from connectors.postgres.session import Session
from schemas.errors import PoisonEvent, VectrueError
from schemas.reports.replay import NO_ROWS, Survey
from schemas.rows.table import Key
from schemas.rows.target import Target
from streams.replay import key_lines

_PAGE = 10_000
"""Keys looked up at a time."""


@dataclass(slots=True)
class Named:
    """What became of the keys that were written down.

    Attributes:
        source: where they come from, for messages.
        table: whose they are.
        rows: keys of a row, each row once.
        repeats: keys of a row that was named before.
        of_no_row: the number of the line, from 1, and the key as the database writes it.
    """

    source: str
    table: str
    rows: int = 0
    repeats: int = 0
    of_no_row: list[tuple[int, Key]] = field(default_factory=list)

    @property
    def keys(self) -> int:
        """Keys that were read."""
        return self.rows + self.repeats + len(self.of_no_row)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain data, with each key of no row."""
        lost = [{"line": line, "key": list(key)} for line, key in self.of_no_row]
        return {
            "source": self.source,
            "table": self.table,
            "keys": self.keys,
            "rows": self.rows,
            "repeats": self.repeats,
            "no_row": len(lost),
            "of_no_row": lost,
        }


def rows(
    session: Session, target: Target, lines: Iterable[str], named: Named
) -> Iterator[list[Key]]:
    """Yield the keys of the rows that these lines name, each row once, in pages.

    Args:
        session: connection to the table.
        target: a column of the table.
        lines: a key each.
        named: counts what the keys come to.

    Raises:
        VectrueError: a line is not a key of the table; the message has its number.
    """
    read = key_lines.read(lines, len(target.key), named.source)
    seen: set[bytes] = set()
    # In pages: the keys of a file are never held together.
    while page := list(islice(read, _PAGE)):
        fresh: list[Key] = []
        found = _look_up(session, target, page, named.source)
        for (line, _), (plain, row) in zip(page, found, strict=True):
            digest = _digest(plain, row)
            if digest in seen:
                named.repeats += 1
            elif row is None:
                named.of_no_row.append((line, plain))
            else:
                fresh.append(row)
            seen.add(digest)
        named.rows += len(fresh)
        yield fresh


def _digest(plain: Key, row: Key | None) -> bytes:
    """Return what a key is remembered by: that of its row, or else as it was written."""
    known = json.dumps([row is None, row or plain])
    return blake2b(known.encode(), digest_size=16).digest()


def survey(
    session: Session, targets: Sequence[Target], lines: Iterable[str], named: Named
) -> list[Survey]:
    """Count the states of the rows that these lines name, in each column.

    Args:
        session: connection to the table.
        targets: the columns, all of one table.
        lines: a key each.
        named: counts what the keys come to.

    Returns:
        One survey for each target, in their order.

    Raises:
        VectrueError: as `rows`.
    """
    found = [NO_ROWS] * len(targets)
    for keys in rows(session, targets[0], lines, named):
        if not keys:
            continue
        for index, target in enumerate(targets):
            found[index] += enumeration.survey_keys(session, target, keys)
    return found


def _look_up(
    session: Session, target: Target, page: Sequence[tuple[int, Key]], source: str
) -> list[tuple[Key, Key | None]]:
    keys = [key for _, key in page]
    try:
        return enumeration.named_rows(session, target, keys)
    except PoisonEvent:
        # One query looks up the whole page: the bad key has to be searched for.
        position, why = enumeration.first_bad_key(session, target, keys)
        raise VectrueError(
            f"line {page[position][0]} of {source} is not a key of {target.table} ({why})",
            fix="correct the line",
        ) from None
