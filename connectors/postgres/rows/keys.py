"""Keys of rows as parameters and results of queries.

Hazard: a key value stays text; the query casts it to the type of its column.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.rows.table import Key


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
