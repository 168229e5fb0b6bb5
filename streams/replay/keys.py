"""The keys of `replay run --keys` and `replay plan --keys`: which rows they name, told
apart by the database.

Which keys are equal only Postgres knows (`007` and `7`, a uuid in either case, a time
in two zones), so each is looked up, and what counts is the key that the row has. A key
that matches no row is kept with its line; one that names a row again is a repeat.

Hazard: what was named is remembered by its digest, about 100 bytes a key, so that a
file may repeat a key anywhere.
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
    """What became of the keys that were written down; `keys` is the sum of rows,
    repeats and those of no row.

    `of_no_row` has the number of the line, from 1, and the key as the database writes
    it.
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
        """All of it, each key of no row too."""
        lost = [{"line": line, "key": list(key)} for line, key in self.of_no_row]
        counts = {
            "keys": self.keys,
            "rows": self.rows,
            "repeats": self.repeats,
            "no_row": len(lost),
        }
        return {"source": self.source, "table": self.table, **counts, "of_no_row": lost}


def rows(
    session: Session, target: Target, lines: Iterable[str], named: Named
) -> Iterator[list[Key]]:
    """The keys of the rows that these lines name, each row once, in pages; `named` is
    counted meanwhile.

    Raises:
        VectrueError: a line is no key of the table; the message has its number.
    """
    read = key_lines.read(lines, len(target.key), named.source)
    seen: set[bytes] = set()
    while page := list(islice(read, _PAGE)):
        fresh = []
        for (line, _), (plain, row) in zip(
            page, _look_up(session, target, page, named.source), strict=True
        ):
            digest = blake2b(
                json.dumps([row is None, row or plain]).encode(), digest_size=16
            ).digest()
            if digest in seen:
                named.repeats += 1
            elif row is None:
                named.of_no_row.append((line, plain))
            else:
                fresh.append(row)
            seen.add(digest)
        named.rows += len(fresh)
        yield fresh


def survey(
    session: Session, targets: Sequence[Target], lines: Iterable[str], named: Named
) -> list[Survey]:
    """The states of the rows that these lines name, in each column of their table.

    Raises:
        VectrueError: as `rows`.
    """
    found = [NO_ROWS] * len(targets)
    for keys in rows(session, targets[0], lines, named):
        if keys:
            found = [
                seen + enumeration.survey_keys(session, target, keys)
                for seen, target in zip(found, targets, strict=True)
            ]
    return found


def _look_up(
    session: Session, target: Target, page: Sequence[tuple[int, Key]], source: str
) -> list[tuple[Key, Key | None]]:
    keys = [key for _, key in page]
    try:
        return enumeration.named_rows(session, target, keys)
    except PoisonEvent:
        position, why = enumeration.first_bad_key(session, target, keys)
        raise VectrueError(
            f"line {page[position][0]} of {source} is no key of {target.table} ({why})",
            fix="correct the line",
        ) from None
