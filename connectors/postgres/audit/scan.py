"""The check of all vectors: what one scan finds, rows to compare, and taking the hash
from what is untrue.

Works with the rights of the worker's role.

Hazards: the scan reads every vector, which may be gigabytes; it is one statement, so an
old snapshot is held as long as it runs. Every state is the one of the statement's
snapshot: a row that is edited meanwhile counts as stale.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from connectors.postgres import guard, queries
from connectors.postgres.audit.judged import PAGE, JudgedRows, wanted
from connectors.postgres.rows import own_writes
from connectors.postgres.rows.keys import key_arrays
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.session import Session
from schemas.reports.audit_report import SAMPLES, RowGroup
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings


class Audit:
    """The database's side of `vectrue verify`.

    What it writes is labelled as the worker's writes are, so that a repair comes back
    through the replay lane alone and never stands in the way of live changes.
    """

    def __init__(self, settings: PostgresSettings, *, prefix: str | None = None) -> None:
        """Remember how to connect; `prefix` as for `Session`."""
        self._settings = settings
        self._session = Session(settings.dsn, role="verify", prefix=prefix)
        self._writer = Session(settings.dsn, role="verify", prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._writer, settings)
        self._judged = JudgedRows(self._session)

    def scan(self, target: Target) -> list[RowGroup]:
        """Judge every row of a table, in one statement: minutes per million vectors of
        1,024 numbers.

        Where a row's text cannot be made, in a second statement, around such rows.
        """
        parameters = {**wanted(target), "samples": SAMPLES}

        def judge(of: Target) -> list[tuple[Any, ...]]:
            query = queries.for_target("audit_rows", of, audited=self._judged.rows(of))
            return self._session.rows(query, parameters)

        return [
            RowGroup(state, tuple(findings), rows, tuple(tuple(key) for key in keys))
            for state, findings, rows, keys in guard.around(target, judge)
        ]

    def draw(self, target: Target, count: int, current: int, seed: int) -> list[Key]:
        """Keys of `count` rows that count as current, or of all if there are no more;
        each set is equally likely.

        Args:
            target: the column.
            count: rows wanted.
            current: how many there are; a scan tells.
            seed: any number.
        """
        return self._judged.draw(
            target,
            lambda rows: queries.for_target("current_keys", target, audited=rows),
            count,
            current,
            seed,
        )

    def all_current(self, target: Target) -> Iterator[list[Key]]:
        """Keys of all rows that count as current, in pages, in the order of the primary
        key.
        """
        yield from self._judged.pages(
            target, lambda rows: queries.for_target("current_keys", target, audited=rows)
        )

    def vectors(
        self, target: Target, keys: Sequence[Key]
    ) -> list[tuple[Key, str, Sequence[float], bytes]]:
        """Key, text, vector and the vector's digest of those rows that still count as
        current, in one statement.
        """
        return self._judged.vectors(target, keys, "current")

    def disown_damaged(self, target: Target) -> int:
        """Take the hash from all vectors that a replay would pass by although the
        scan's rules call them untrue.

        Rows that another transaction holds are left alone.

        Returns:
            how many.
        """
        chosen = queries.for_target("asked_keys", target)
        query = queries.for_target(
            "disown_damaged", target, audited=self._judged.rows(target.guard(), chosen=chosen)
        )
        pages = self._judged.pages(
            target, lambda rows: queries.for_target("damaged_keys", target, audited=rows)
        )
        return sum(self._change(target, query, keys, wanted(target)) for keys in pages)

    def disown(self, target: Target, rows: Sequence[tuple[Key, bytes]]) -> int:
        """Take the hash from these vectors, given by key and digest, where they are
        still these; returns how many.
        """
        query = queries.for_target("disown_vectors", target, vectors=self._judged.vector_schema())
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

    def _change(
        self, target: Target, query: sql.Composable, keys: Sequence[Key], parameters: dict[str, Any]
    ) -> int:
        with self._own.transaction() as cursor:
            # Locked first, and without waiting: the statement behind it then sees the
            # rows as they stand.
            cursor.execute(queries.for_target("lock_rows", target), key_arrays(keys))
            free = [keys[int(ord_) - 1] for (ord_,) in cursor.fetchall()]
            if not free:
                return 0
            if "digests" in parameters:
                by_key = dict(zip(keys, parameters["digests"], strict=True))
                parameters = {"digests": [by_key[key] for key in free]}
            cursor.execute(query, {**parameters, **key_arrays(free)})
            return int(cursor.rowcount)

    def _prepare(self, connection: Connection) -> None:
        own_writes.limit_waits(connection, self._settings)
