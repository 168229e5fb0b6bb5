"""The check of all vectors: scan, draw rows to compare, delete the hash of untrue ones.

It works with the rights of the worker's role.

Hazard: the scan reads every vector, which may be gigabytes. It is one statement, so it
holds an old snapshot as long as it runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from connectors.postgres import guard, queries
from connectors.postgres.audit import judged
from connectors.postgres.audit.judged import PAGE, JudgedRows
from connectors.postgres.rows import own_writes
from connectors.postgres.rows.keys import key_arrays, lock_free
from connectors.postgres.rows.own_writes import OwnWrites
from connectors.postgres.session import Session
from schemas.reports.audit_report import SAMPLES, RowGroup
from schemas.rows.table import Key
from schemas.rows.target import Target
from schemas.settings.sections import PostgresSettings


class Audit:
    """The database's side of `vectrue verify`.

    Its writes carry an origin of ours, so that a repair goes through the replay lane
    alone and never delays live changes.
    """

    def __init__(self, settings: PostgresSettings, *, prefix: str | None = None) -> None:
        """Remember how to connect; `prefix` is as for `Session`."""
        self._settings = settings
        self._session = Session(settings.dsn, role="verify", prefix=prefix)
        self._writer = Session(settings.dsn, role="verify", prefix=prefix, setup=self._prepare)
        self._own = OwnWrites(self._writer, settings)
        self._judged = JudgedRows(self._session)

    def scan(self, target: Target) -> list[RowGroup]:
        """Judge every row of a table.

        It takes one statement, and minutes per million vectors of 1,024 numbers. If a
        row's text cannot be made, a second statement goes around such rows.
        """
        parameters = {**judged.parameters_of(target), "samples": SAMPLES}

        def judge(of: Target) -> list[tuple[Any, ...]]:
            query = queries.for_target("audit_rows", of, audited=self._judged.rows(of))
            return self._session.rows(query, parameters)

        groups = []
        # As of the snapshot: a row that is edited meanwhile counts as stale.
        for state, findings, rows, samples in guard.around(target, judge):
            keys = tuple(tuple(key) for key in samples)
            groups.append(RowGroup(state, tuple(findings), rows, keys))
        return groups

    def draw(self, target: Target, count: int, current: int, seed: int) -> list[Key]:
        """Draw keys of rows that count as current, or all of them if there are fewer.

        Each set is equally likely.

        Args:
            target: the column.
            count: rows wanted.
            current: how many there are, by a scan.
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
        """Keys of all rows that count as current, in pages, in the order of the key."""
        yield from self._judged.pages(
            target, lambda rows: queries.for_target("current_keys", target, audited=rows)
        )

    def vectors(
        self, target: Target, keys: Sequence[Key]
    ) -> list[tuple[Key, str, Sequence[float], bytes]]:
        """Key, text, vector and its digest of the rows that still count as current."""
        return self._judged.vectors(target, keys, "current")

    def disown_damaged(self, target: Target) -> int:
        """Delete the hash of untrue vectors that a replay would skip.

        Rows that another transaction holds are left alone.

        Returns:
            how many were changed.
        """
        chosen = queries.for_target("asked_keys", target)
        query = queries.for_target(
            "disown_damaged", target, audited=self._judged.rows(target.guard(), chosen=chosen)
        )
        pages = self._judged.pages(
            target, lambda rows: queries.for_target("damaged_keys", target, audited=rows)
        )
        changed = 0
        for keys in pages:
            changed += self._change(target, query, keys, judged.parameters_of(target))
        return changed

    def disown(self, target: Target, rows: Sequence[tuple[Key, bytes]]) -> int:
        """Delete the hash of these vectors, as long as they are the same.

        Args:
            target: the column.
            rows: key and digest of each vector.

        Returns:
            how many were changed.
        """
        query = queries.for_target("disown_vectors", target, vectors=self._judged.vector_schema())
        changed = 0
        for start in range(0, len(rows), PAGE):
            digests = dict(rows[start : start + PAGE])
            changed += self._change(target, query, list(digests), digests=digests)
        return changed

    def close(self) -> None:
        """End the connections."""
        self._session.close()
        self._writer.close()

    def _change(
        self,
        target: Target,
        query: sql.Composable,
        keys: Sequence[Key],
        parameters: Mapping[str, Any] | None = None,
        *,
        digests: Mapping[Key, bytes] | None = None,
    ) -> int:
        with self._own.transaction() as cursor:
            # Once the rows are locked, the next statement sees their last version.
            free = lock_free(cursor, target, keys)
            if not free:
                return 0
            asked = {**(parameters or {}), **key_arrays(free)}
            if digests is not None:
                asked["digests"] = [digests[key] for key in free]
            cursor.execute(query, asked)
            return int(cursor.rowcount)

    def _prepare(self, connection: Connection) -> None:
        own_writes.limit_waits(connection, self._settings)
