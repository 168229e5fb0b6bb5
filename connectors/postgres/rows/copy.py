"""The binary image of COPY for the columns (ordinal integer, vector).

It is one numpy structured array; no number is ever printed.

Format: PostgreSQL documentation, "COPY", section "Binary Format". A `vector` is sent as
pgvector's vector_send does it: int16 length, int16 unused, then big-endian float4.
"""

import hashlib
import io
import struct
from collections.abc import Sequence

import numpy as np

from schemas.rows.document import Vector

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def image(ordinals: Sequence[int], vectors: Vector) -> io.BytesIO:
    """Build the stream for `COPY ... FROM STDIN WITH (FORMAT binary)`.

    Args:
        ordinals: n integers, the first column.
        vectors: float32[n, dimensions], the second.

    Returns:
        a stream at its start.
    """
    count, dimensions = vectors.shape
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("ordinal_size", ">i4"),
            ("ordinal", ">i4"),
            ("vector_size", ">i4"),
            ("length", ">i2"),
            ("unused", ">i2"),
            ("values", ">f4", (dimensions,)),
        ]
    )
    lines = np.zeros(count, layout)
    lines["fields"] = 2
    lines["ordinal_size"] = 4
    lines["ordinal"] = ordinals
    # Bytes: the two int16 of a vector, and its numbers.
    lines["vector_size"] = 4 + 4 * dimensions
    lines["length"] = dimensions
    lines["values"] = vectors
    return io.BytesIO(_HEADER + lines.tobytes() + _TRAILER)


def digests(vectors: Vector) -> list[bytes]:
    """Digest vectors as the function vectrue.vector_digest does.

    Args:
        vectors: float32[n, dimensions].

    Returns:
        n times the first eight bytes of the sha256.
    """
    length = struct.pack(">hh", vectors.shape[1], 0)
    found = []
    for vector in vectors.astype(">f4"):
        sent = length + vector.tobytes()
        found.append(hashlib.sha256(sent).digest()[:8])
    return found
