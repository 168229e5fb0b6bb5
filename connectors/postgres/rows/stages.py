"""The temporary tables from which an UPDATE takes its vectors.

Hazard: such a table belongs to one connection. A new connection has none, so a write
checks the connection's generation before it uses a name.
"""

from collections.abc import Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.rows import copy
from connectors.postgres.session import Session
from schemas.errors import TransientError
from schemas.rows.document import Vector
from schemas.rows.target import Target


class Stages:
    """One staging table for each vector column, in the connection of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[tuple[int, str], str] = {}

    def clear(self) -> None:
        """Forget the tables of a connection that is gone."""
        self._names.clear()

    def ensure(self, target: Target) -> None:
        """Create the staging table of a column unless this connection has it.

        Call it before the transaction that writes.

        Raises:
            TransientError: Postgres does not answer.
        """
        self._session.connection()
        # A temporary table ends with its connection.
        key = (self._session.generation, target.name)
        if key in self._names:
            return
        # A number, not the table's name: that may use up the 63 bytes of an identifier.
        name = f"{queries.ours(target)}vectrue_{len(self._names)}"
        identifier = sql.Identifier(name)
        query = queries.for_target("stage", target, bound=False, stage=identifier)
        # In a transaction of its own: a rollback of the write would drop the table.
        self._session.rows(query)
        self._names[key] = name

    def fill(
        self, cursor: Cursor, target: Target, ordinals: Sequence[int], vectors: Vector
    ) -> sql.Identifier:
        """Copy vectors into the staging table.

        Args:
            cursor: within the transaction that writes.
            target: the column; `ensure` has been called for it.
            ordinals: n integers by which the UPDATE finds the vectors.
            vectors: float32[n, dimensions].

        Returns:
            the table's name.

        Raises:
            TransientError: the connection was renewed since `ensure`.
        """
        # The connection may have been renewed since `ensure`: a new one has no tables.
        name = self._names.get((self._session.generation, target.name))
        if name is None:
            raise TransientError("the connection was renewed while a write began")
        stage = sql.Identifier("pg_temp", name)
        image = copy.image(ordinals, vectors)
        query = queries.for_target("copy_stage", target, bound=False, stage=stage)
        with cursor.connection.cursor() as copying:
            copying.copy_expert(query, image)
        return stage
