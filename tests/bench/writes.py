"""The store's write beside the obvious one: an UPDATE per row with the vector as text."""

import statistics
import time
from typing import Any

import numpy as np

from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.twins.memory import sha256
from schemas.rows.document import Update, Vector
from streams.common import targets
from tests.support.workplace import Workplace

ROWS = 256
ROUNDS = 7


def compare(store: PostgresStore, connection: Any, place: Workplace) -> str:
    """Write the same 256 vectors both ways, in turns; the sentence with medians and
    their ratio.
    """
    session = Session(place.settings.postgres.dsn, role="bench")
    (target,) = targets.resolve(place.settings, session)
    session.close()
    random = np.random.default_rng(0)
    ours, plain = [], []
    for _ in range(ROUNDS):
        vectors = random.normal(size=(ROWS, target.dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        updates = [
            Update((str(i + 1),), sha256(f"question number {i + 1}"), vector)
            for i, vector in enumerate(vectors)
        ]
        started = time.perf_counter()
        store.write(target, updates)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        _plain(connection, vectors)
        plain.append(time.perf_counter() - started)
    a, b = statistics.median(ours) * 1000, statistics.median(plain) * 1000
    return (
        f"write {ROWS} vectors: compare-and-set by COPY {a:.0f} ms, one UPDATE per row {b:.0f} "
        f"ms: ratio {b / a:.1f}"
    )


def _plain(connection: Any, vectors: Vector) -> None:
    with connection, connection.cursor() as cursor:
        for i, vector in enumerate(vectors):
            text = "[" + ",".join(map(str, vector.tolist())) + "]"
            cursor.execute(
                "UPDATE questions SET embedding = %s WHERE id = %s", (text, i + ROWS + 1)
            )
