"""The check of all vectors: what one scan finds, rows to compare, and taking the hash from what is untrue.

Works with the rights of the worker's role.

Hazards: the scan reads every vector, which may be gigabytes; it is one statement, so an old snapshot is held as long as
it runs. Every state is the one of the statement's snapshot: a row that is edited meanwhile counts as stale.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.store import key_arrays, prepare_writer
from schemas.errors import ConfigurationError
from schemas.sections import PostgresSettings
from schemas.table import Key
from schemas.target import Target
from schemas.truth import SAMPLES, UNIT_TOLERANCE, Group

PAGE = 500
"""Keys read, and rows changed in one transaction, at a time."""

_NONE = sql.SQL("")
_EVERY = sql.SQL("true")


class Audit:
    """The database's side of `embedsync verify`.

    What it writes is labelled as the worker's writes are, so that a repair comes back through the replay lane alone and
    never stands in the way of live changes.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        """Remember how to connect."""
        self._settings = settings
        self._session = Session(settings.dsn, role="verify")
        self._writer = Session(settings.dsn, role="verify", setup=self._prepare)
        self._schema: str | None = None

    def scan(self, target: Target) -> list[Group]:
        """Judge every row of a table, in one statement: minutes per million vectors of 1,024 numbers."""
        parameters = {**_wanted(target), "samples": SAMPLES}
        query = queries.for_target("audit_rows", target, audited=self._audited(target))
        return [
            Group(state, tuple(findings), rows, tuple(tuple(key) for key in keys))
            for state, findings, rows, keys in self._session.rows(query, parameters)
        ]

    def draw(self, target: Target, count: int, current: int, seed: int) -> list[Key]:
        """Keys of `count` rows that count as current, or of all if there are no more; each set is equally likely.

        TABLESAMPLE BERNOULLI looks at every row but reads few texts and vectors; of its sample the first in the order
        of a hash are taken. Equal seeds draw equal rows as long as the table does not change.

        Args:
            target: the column.
            count: rows wanted.
            current: how many there are; a scan tells.
            seed: any number.
        """
        # Four standard deviations more than wanted, so that hardly ever too few are drawn.
        percent = min(100.0, 100 * (count + 4 * math.sqrt(count) + 10) / max(current, 1))
        sample = sql.SQL("TABLESAMPLE BERNOULLI (%(percent)s) REPEATABLE (%(seed)s)")
        order = queries.for_target("sample_order", target)
        query = queries.for_target("current_keys", target, audited=self._audited(target, sample=sample, order=order))
        parameters = {**_wanted(target), "percent": percent, "seed": seed, "limit": count}
        return [tuple(key) for (key,) in self._session.rows(query, parameters)]

    def all_current(self, target: Target) -> Iterator[list[Key]]:
        """Keys of all rows that count as current, in pages, in the order of the primary key."""
        yield from self._pages(target, lambda audited: queries.for_target("current_keys", target, audited=audited))

    def vectors(self, target: Target, keys: Sequence[Key]) -> list[tuple[Key, str, Sequence[float], bytes]]:
        """Key, text, vector and the vector's digest of those rows that still count as current, in one statement."""
        query = queries.for_target("current_vectors", target, vectors=self._vectors())
        lines = self._session.rows(query, {**key_arrays(keys), "model": target.model})
        return [(keys[ord_ - 1], text, numbers, bytes(digest)) for ord_, text, numbers, digest in lines]

    def disown_damaged(self, target: Target) -> int:
        """Take the hash from all vectors that a replay would pass by although the scan's rules call them untrue.

        Rows that another transaction holds are left alone.

        Returns:
            how many.
        """
        chosen = queries.for_target("asked_keys", target)
        query = queries.for_target("disown_damaged", target, audited=self._audited(target, chosen=chosen))
        pages = self._pages(target, lambda audited: queries.for_target("damaged_keys", target, audited=audited))
        return sum(self._change(target, query, keys, _wanted(target)) for keys in pages)

    def disown(self, target: Target, rows: Sequence[tuple[Key, bytes]]) -> int:
        """Take the hash from these vectors, given by key and digest, where they are still these; returns how many."""
        query = queries.for_target("disown_vectors", target, vectors=self._vectors())
        changed = 0
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            digests = {"digests": [digest for _, digest in page]}
            changed += self._change(target, query, [key for key, _ in page], digests)
        return changed

    def close(self) -> None:
        """End the connections."""
        self._session.close()
        self._writer.close()

    def _change(self, target: Target, query: sql.Composable, keys: Sequence[Key], parameters: dict[str, Any]) -> int:
        with self._writer.transaction() as cursor:
            # Locked first, and without waiting: the statement behind it then sees the rows as they stand.
            cursor.execute(queries.for_target("lock_rows", target), key_arrays(keys))
            free = [keys[int(ord_) - 1] for (ord_,) in cursor.fetchall()]
            if not free:
                return 0
            if "digests" in parameters:
                by_key = dict(zip(keys, parameters["digests"], strict=True))
                parameters = {"digests": [by_key[key] for key in free]}
            cursor.execute(query, {**parameters, **key_arrays(free)})
            return int(cursor.rowcount)

    def _pages(self, target: Target, query: Callable[[sql.Composable], sql.Composable]) -> Iterator[list[Key]]:
        after: Key | None = None
        while True:
            bounds = sql.SQL(", ").join(
                sql.SQL("%(c{})s::{}").format(sql.SQL(str(i)), sql.SQL(column.type.replace("%", "%%")))
                for i, column in enumerate(target.key)
            )
            chosen = queries.for_target("after_cursor", target, bounds=bounds) if after else sql.SQL("true")
            audited = self._audited(target, chosen=chosen, order=queries.for_target("key_order", target))
            parameters = {**_wanted(target), "limit": PAGE, **{f"c{i}": part for i, part in enumerate(after or ())}}
            keys = [tuple(key) for (key,) in self._session.rows(query(audited), parameters)]
            if keys:
                yield keys
            if len(keys) < PAGE:
                return
            after = keys[-1]

    def _audited(
        self,
        target: Target,
        *,
        sample: sql.Composable = _NONE,
        chosen: sql.Composable = _EVERY,
        order: sql.Composable = _NONE,
    ) -> sql.Composed:
        return queries.for_target("audited", target, vectors=self._vectors(), sample=sample, chosen=chosen, order=order)

    def _vectors(self) -> sql.Identifier:
        if self._schema is None:
            lines = self._session.rows(queries.text("vector_schema"))
            if not lines:
                raise ConfigurationError("the database has no extension vector", fix="CREATE EXTENSION vector")
            self._schema = str(lines[0][0])
        return sql.Identifier(self._schema.replace("%", "%%"))

    def _prepare(self, connection: Connection) -> None:
        prepare_writer(connection, self._settings)


def _wanted(target: Target) -> dict[str, Any]:
    return {"model": target.model, "dimensions": target.dimensions, "tolerance": UNIT_TOLERANCE}
