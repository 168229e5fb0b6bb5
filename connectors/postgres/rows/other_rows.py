"""Whether a table takes a vector at all, tried on other rows than those it refused.

When a table refuses many rows at once, there are two explanations. Each of these rows
may be refused for a reason of its own, as in an archive whose trigger forbids updates.
Or a trigger or constraint is broken and refuses everything. Only another row tells.
"""

from collections.abc import Sequence

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from connectors.postgres.rows.keys import key_arrays, keys_of
from schemas.rows.table import Key
from schemas.rows.target import Target


def take(cursor: Cursor, target: Target, refused: Sequence[Key], vector: sql.Composable) -> bool:
    """Write a vector over up to 64 other rows, one by one until one is taken.

    Everything is rolled back.

    Args:
        cursor: within a transaction.
        target: the column.
        refused: keys of the rows that are left out.
        vector: an expression; a vector that was refused, or NULL.

    Returns:
        whether one row was taken.
    """
    relation = queries.table(target.table).as_string(cursor)
    cursor.execute(
        queries.for_target("other_rows", target), {**key_arrays(refused), "relation": relation}
    )
    others = keys_of(cursor.fetchall())
    query = queries.for_target("try_row", target, vector=vector)
    for key in others:
        if _is_taken(cursor, query, {**key_arrays([key]), "model": target.model}):
            return True
    return False


def _is_taken(cursor: Cursor, query: sql.Composable, parameters: dict[str, object]) -> bool:
    cursor.execute("SAVEPOINT vectrue_trial")
    try:
        cursor.execute(query, parameters)
        return bool(cursor.fetchall())
    except psycopg2.Error:
        # A lost connection says nothing about the row.
        if cursor.connection.closed:
            raise
        return False
    finally:
        # After an error the server takes nothing but the end of the savepoint.
        if not cursor.connection.closed:
            cursor.execute("ROLLBACK TO SAVEPOINT vectrue_trial; RELEASE SAVEPOINT vectrue_trial")
