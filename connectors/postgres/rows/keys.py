"""Keys of rows as parameters and results of queries.

Hazard: a key value stays text; the query casts it to the type of its column.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor

from connectors.postgres import queries
from schemas.rows.table import Key
from schemas.rows.target import Target


def key_arrays(keys: Sequence[Key]) -> dict[str, object]:
    """Build the parameters for `{key_arrays}` of a query.

    Args:
        keys: at least one; all of the same length.

    Returns:
        one array per key column, by the names `k0`, `k1`, ...
    """
    return {f"k{i}": list(column) for i, column in enumerate(zip(*keys, strict=True))}


def keys_of(lines: Iterable[tuple[Any, ...]]) -> list[Key]:
    """Read keys from lines of one column, an array of text."""
    return [tuple(key) for (key,) in lines]


def lock_free(cursor: Cursor, target: Target, keys: Sequence[Key]) -> list[Key]:
    """Lock rows until the transaction ends, without waiting.

    Returns:
        the keys of those that no other transaction holds.
    """
    cursor.execute(queries.for_target("lock_rows", target), key_arrays(keys))
    return [keys[int(ord_) - 1] for (ord_,) in cursor.fetchall()]
