"""What the clients saw, judged by the models alone: which one answered each search, and
whether edits arrived.

Hazard: it shares the lexical model with what it judges, and nothing else: vectors are
read by SQL of its own.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.ports import Embedder
from schemas.reports.search import Hit
from tests.bench.clients import Asked, Row
from tests.bench.interview import TABLES
from tests.support.workplace import Workplace

_SAME = 2e-3
"""Similarities of a hit that differ by less are one: the two models' differ by some
hundredths.
"""
_BLOCK = 500
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Served:
    """One search that was answered, and by which model: its name, or `either`,
    `neither` or `unknown`.

    It is `unknown` when all rows found were edited meanwhile, perhaps, and so say
    nothing.
    """

    asked: Asked
    model: str
    first: bool
    """Whether the row that was looked for came first, with a similarity of 1."""


def served(asked: Sequence[Asked], models: Mapping[str, Embedder]) -> list[Served]:
    """Find out which model made both sides of each search, from the similarities that
    came back.

    Args:
        asked: searches without an error.
        models: by the name to give.
    """
    found: list[Served] = []
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        texts = sorted(
            {one.text for one in block} | {hit.text for one in block for hit in one.hits}
        )
        place = {text: number for number, text in enumerate(texts)}
        vectors = {name: model.encode_documents(texts) for name, model in models.items()}
        for one in block:
            hits = one.hits
            fits = [name for name in models if _fits(one, vectors[name], place)]
            model = (
                fits[0]
                if len(fits) == 1
                else "either"
                if fits
                else "neither"
                if _known(one)
                else "unknown"
            )
            first = bool(hits) and hits[0].text == one.text and hits[0].similarity > 1 - _SAME
            found.append(Served(one, model, first))
    return found


def _known(one: Asked) -> list[Hit]:
    """Hits that say which model made them: a row with an odd key may have had another
    text when its vector was made.
    """
    return [hit for hit in one.hits if int(hit.key[0]) % 2 == 0]


def _fits(one: Asked, vectors: Vectors, place: Mapping[str, int]) -> bool:
    known, query = _known(one), vectors[place[one.text]]
    return bool(known) and all(
        abs(float(query @ vectors[place[hit.text]]) - hit.similarity) < _SAME for hit in known
    )


def untrue(place: Workplace, texts: Mapping[Row, str], column: str, model: Embedder) -> set[Row]:
    """Edited rows whose text, or whose vector in this column, is not that of their last
    edit.
    """
    wrong = set()
    for table in TABLES:
        mine = {key: text for (name, key), text in texts.items() if name == table.name}
        query = f"SELECT id, {table.text}, {column}::text FROM {table.name} WHERE id = ANY(%s)"
        stored = {key: (text, vector) for key, text, vector in place.execute(query, (list(mine),))}
        made = model.encode_documents(list(mine.values()))
        for (key, text), vector in zip(mine.items(), made, strict=True):
            now, printed = stored.get(key, (None, None))
            if now != text or not _same(printed, vector):
                wrong.add((table.name, key))
    return wrong


def _same(printed: str | None, made: Vectors) -> bool:
    if printed is None:
        return False
    stored = np.array(json.loads(printed), np.float32)
    return len(stored) == len(made) and float(stored @ made) > 1 - 1e-4


def recall(
    place: Workplace, table: str, text: str, model: Embedder, *, samples: int = 200
) -> float:
    """recall@10 of the table's HNSW index against exact search, both over one snapshot.

    The queries are texts of rows without their first third, so that they are near many
    rows and equal to none. A hit that is as near as the tenth exact one counts,
    whichever row it is.

    Args:
        place: where the table is.
        table: its name.
        text: its text column.
        model: of its column `embedding`.
        samples: queries.

    Raises:
        AssertionError: the plan does not use the index.
    """
    with place.session.transaction() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A small table would be read whole; the figure is about the index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"SELECT {text} FROM {table} ORDER BY md5(id::text) LIMIT %s", (samples,))
        words = [line[0].split() for line in cursor.fetchall()]
        queries = model.encode_documents([" ".join(parts[len(parts) // 3 :]) for parts in words])
        keys, vectors = _stored(cursor, table, model.dimensions)
        near = vectors @ queries.T
        rows = {key: number for number, key in enumerate(keys.tolist())}
        ask = f"SELECT id FROM {table} ORDER BY embedding <=> %s::vector LIMIT 10"
        hits = []
        for number, query in enumerate(queries):
            printed = str(query.tolist())
            if number == 0:
                cursor.execute(f"EXPLAIN {ask}", (printed,))
                plan = "\n".join(line[0] for line in cursor.fetchall())
                if f"{table}_embedding_hnsw" not in plan:
                    raise AssertionError(f"the search does not use the index:\n{plan}")
            cursor.execute(ask, (printed,))
            tenth = np.sort(near[:, number])[-10]
            hits.append(
                sum(near[rows[key], number] >= tenth - 1e-5 for (key,) in cursor.fetchall()) / 10
            )
    return float(np.mean(hits))


def _stored(cursor: Any, table: str, dimensions: int) -> tuple[NDArray[np.int64], Vectors]:
    """Keys and vectors, read as pgvector's binary COPY has them: length, unused, then
    big-endian float32.
    """
    image = io.BytesIO()
    cursor.copy_expert(
        f"COPY (SELECT id, embedding FROM {table} WHERE embedding IS NOT NULL) TO STDOUT BINARY",
        image,
    )
    head, line = (
        19,
        np.dtype(
            [
                ("fields", ">i2"),
                ("key_bytes", ">i4"),
                ("key", ">i8"),
                ("bytes", ">i4"),
                ("length", ">i2"),
                ("unused", ">i2"),
                ("vector", ">f4", (dimensions,)),
            ]
        ),
    )
    data = np.frombuffer(image.getbuffer()[head:-2], line)
    return data["key"].astype(np.int64), data["vector"].astype(np.float32)
