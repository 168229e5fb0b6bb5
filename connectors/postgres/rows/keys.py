"""Keys of rows as parameters of queries.

Hazard: a key value stays text; the query casts it to the type of its column.
"""

from collections.abc import Sequence

from schemas.rows.table import Key


def key_arrays(keys: Sequence[Key]) -> dict[str, object]:
    """Build the parameters for `{key_arrays}` of a query.

    Args:
        keys: at least one; all of the same length.

    Returns:
        one array per key column, by the names `k0`, `k1`, ...
    """
    return {f"k{i}": list(column) for i, column in enumerate(zip(*keys, strict=True))}
