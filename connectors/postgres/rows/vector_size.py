"""How many bytes a vector takes in a table: the one model behind every estimate.

Sources: a pgvector value has 4 bytes for each number and 8 more (its documentation). A
row over 2 kB has its vector moved to TOAST, uncompressed, in pieces of 1,996 bytes
(TOAST_MAX_CHUNK_SIZE with pages of 8 kB).

Hazard: indexes are not counted, and neither is the space that pages leave unused.
"""

import math

PROVENANCE_BYTES = 120
"""What a row takes besides the value: hash 33, model id about 45, digest 17, time 8, and
either alignment or a pointer to the TOAST value.
"""
_TOAST_FROM = 2000
"""Bytes; a row is brought under this by moving its largest values out."""
_PIECE = 1996
_PIECE_MORE = 36 + 4
"""Tuple header, the piece's ids and length, and its line pointer."""


def toast_pieces(dimensions: int, row_bytes: float) -> int:
    """Count the pieces that a vector has in TOAST.

    Args:
        dimensions: of the vector.
        row_bytes: what the row takes besides the vector.

    Returns:
        0 if the vector stays in the row.
    """
    value = _value_bytes(dimensions)
    return math.ceil(value / _PIECE) if value + row_bytes > _TOAST_FROM else 0


def vector_bytes(dimensions: int, row_bytes: float = PROVENANCE_BYTES) -> int:
    """Bytes of one vector, in its row or in TOAST, without provenance.

    Args:
        dimensions: of the vector.
        row_bytes: what the row takes besides the vector.
    """
    return _value_bytes(dimensions) + toast_pieces(dimensions, row_bytes) * _PIECE_MORE


def stored_bytes(dimensions: int) -> int:
    """Bytes that one vector and its provenance add to a table."""
    return vector_bytes(dimensions) + PROVENANCE_BYTES


def _value_bytes(dimensions: int) -> int:
    return 4 * dimensions + 8
