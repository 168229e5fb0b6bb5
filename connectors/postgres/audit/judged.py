"""Rows with their state and what else is found about them (`audited` in scan.sql).

They are read in pages, as a sample, or by key. This is what `verify` and `adopt` have
in common; it only reads.

Hazard: pages are fetched from what one scan found, so a row may have another state by
the time it is used. A caller has to check the state again, in the statement that reads
or changes the row.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.rows.keys import key_arrays, keys_of
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.reports.audit_report import UNIT_TOLERANCE
from schemas.rows.table import Key
from schemas.rows.target import Target

PAGE = 500
"""Keys read, and rows changed in one transaction, at a time."""

EVERY = sql.SQL("true")
_NONE = sql.SQL("")
_NEVER = sql.SQL("false")

Query = Callable[[sql.Composable], sql.Composable]
"""Makes a query that returns keys from the fragment of the rows it is about."""


class JudgedRows:
    """Composes what is asked about judged rows, and asks it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._schema: str | None = None
        self._cursors = 0

    def rows(
        self,
        target: Target,
        *,
        sample: sql.Composable = _NONE,
        chosen: sql.Composable = EVERY,
        order: sql.Composable = _NONE,
        recent: sql.Composable = _NEVER,
    ) -> sql.Composed:
        """The rows as a fragment.

        Args:
            target: the column; a guarded one if the query must survive a row whose text
                cannot be made.
            sample: a TABLESAMPLE clause.
            chosen: a condition on the table's columns.
            order: an ORDER BY clause.
            recent: a condition on the table's columns, which becomes the column
                `recent`.
        """
        return queries.for_target(
            "audited",
            target,
            vectors=self.vector_schema(),
            sample=sample,
            chosen=chosen,
            order=order,
            recent=recent,
            untouched=_NEVER,
        )

    def pages(
        self,
        target: Target,
        query: Query,
        *,
        chosen: sql.Composable = EVERY,
        **parameters: Any,
    ) -> Iterator[list[Key]]:
        """The keys that a query returns, in pages, in the order of the primary key.

        Args:
            target: the column.
            query: has the parameter `limit`, which is NULL here, and returns keys of
                the rows it is given.
            chosen: as `rows` takes it.
            parameters: those that `query` and `chosen` have beside the usual ones.
        """
        # WITH HOLD: one scan, whose keys the server stores, so that no snapshot is held
        # while they are used. A query per page would read the whole table each time: new
        # columns have no statistics, so the planner expects few rows and sorts what an
        # index has in order (50,000 rows in 77 s).
        self._cursors += 1
        cursor = sql.Identifier(f"vectrue_keys_{self._cursors}")
        rows = self.rows(
            target.guard(), chosen=chosen, order=queries.for_target("key_order", target)
        )
        declared = sql.SQL("DECLARE {} CURSOR WITH HOLD FOR {}").format(cursor, query(rows))
        asked = {**parameters_of(target), **parameters, "limit": None}
        self._session.rows(declared, asked)
        fetch = sql.SQL("FETCH {} FROM {}").format(sql.Literal(PAGE), cursor)
        while lines := self._session.rows(fetch):
            yield keys_of(lines)
        self._session.rows(sql.SQL("CLOSE {}").format(cursor))

    def draw(
        self,
        target: Target,
        query: Query,
        count: int,
        among: int,
        seed: int,
        *,
        chosen: sql.Composable = EVERY,
        **parameters: Any,
    ) -> list[Key]:
        """Draw some of the keys that a query returns, or all if there are fewer.

        Each set is equally likely. Equal seeds draw equal rows as long as the table
        does not change.

        Args:
            target: the column.
            query: as `pages` takes it.
            count: keys wanted.
            among: how many the query would return for the whole table.
            seed: any number.
            chosen: as `rows` takes it.
            parameters: those that `query` and `chosen` have beside the usual ones.
        """
        # TABLESAMPLE BERNOULLI looks at every row but reads few texts and vectors. It
        # takes four standard deviations more than wanted, so that hardly ever too few
        # are left, and of these the first in the order of a hash are used.
        percent = min(100.0, 100 * (count + 4 * math.sqrt(count) + 10) / max(among, 1))
        sample = sql.SQL("TABLESAMPLE BERNOULLI (%(percent)s) REPEATABLE (%(seed)s)")
        order = queries.for_target("sample_order", target)
        rows = self.rows(target.guard(), sample=sample, chosen=chosen, order=order)
        asked = {**parameters_of(target), **parameters}
        asked.update(percent=percent, seed=seed, limit=count)
        return keys_of(self._session.rows(query(rows), asked))

    def vectors(
        self,
        target: Target,
        keys: Sequence[Key],
        state: str,
        *,
        chosen: sql.Composable = EVERY,
        **parameters: Any,
    ) -> list[tuple[Key, str, Sequence[float], bytes]]:
        """Key, text, vector and the vector's sha256 of the rows that have this state now.

        Args:
            target: the column.
            keys: of the rows.
            state: one of those of the query `row_state`.
            chosen: as `rows` takes it.
            parameters: those that `chosen` has beside the usual ones.
        """
        query = queries.for_target(
            "asked_vectors", target.guard(), vectors=self.vector_schema(), chosen=chosen
        )
        asked = {**key_arrays(keys), **parameters, "model": target.model, "state": state}
        found = []
        for ord_, text, numbers, digest in self._session.rows(query, asked):
            found.append((keys[ord_ - 1], text, numbers, bytes(digest)))
        return found

    def vector_schema(self) -> sql.Identifier:
        """The schema of pgvector.

        Raises:
            ConfigurationError: the database does not have the extension.
        """
        if self._schema is None:
            lines = self._session.rows(queries.text("vector_schema"))
            if not lines:
                raise ConfigurationError(
                    "the database has no extension vector", fix="CREATE EXTENSION vector"
                )
            self._schema = str(lines[0][0])
        # psycopg2 takes a % for the start of a parameter, also within a name.
        return sql.Identifier(self._schema.replace("%", "%%"))


def parameters_of(target: Target) -> dict[str, Any]:
    """The parameters of the fragment `audited`."""
    return {"model": target.model, "dimensions": target.dimensions, "tolerance": UNIT_TOLERANCE}
