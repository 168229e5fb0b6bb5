"""Whether a table takes a vector at all, tried on other rows than those it refused, and
taken back.

Many rows that are refused at once are guilty, each by itself, as an archive's are whose
trigger lets nobody write; or a trigger or constraint is broken, and refuses everything.
Only another row tells which.
"""

from collections.abc import Callable, Sequence

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from schemas.rows.table import Key
from schemas.rows.target import Target

Arrays = Callable[[Sequence[Key]], dict[str, object]]


def take(
    cursor: Cursor,
    target: Target,
    refused: Sequence[Key],
    vector: sql.Composable,
    relation: str,
    arrays: Arrays,
) -> bool:
    """Write a vector over up to 64 other rows, one by one until one is taken; nothing
    of that stays.

    Args:
        cursor: within a transaction.
        target: the column.
        refused: keys of the rows that are left out.
        vector: an expression; a vector that was refused, or NULL.
        relation: the table's name, quoted.
        arrays: makes the parameters of keys.
    """
    cursor.execute(
        queries.for_target("other_rows", target), {**arrays(refused), "relation": relation}
    )
    others = [tuple(key) for (key,) in cursor.fetchall()]
    query = queries.for_target("try_row", target, vector=vector)
    return any(_is_taken(cursor, query, {**arrays([key]), "model": target.model}) for key in others)


def _is_taken(cursor: Cursor, query: sql.Composable, parameters: dict[str, object]) -> bool:
    cursor.execute("SAVEPOINT vectrue_trial")
    try:
        cursor.execute(query, parameters)
        return bool(cursor.fetchall())
    except psycopg2.Error:
        if cursor.connection.closed:
            raise
        return False
    finally:
        if not cursor.connection.closed:
            cursor.execute("ROLLBACK TO SAVEPOINT vectrue_trial; RELEASE SAVEPOINT vectrue_trial")
