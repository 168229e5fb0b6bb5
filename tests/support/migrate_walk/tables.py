"""Three tables of different shapes, and the truth about their vectors, made without the
pipeline's SQL.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

import numpy as np
from psycopg2 import sql

from connectors.models import open_model
from connectors.ports import Embedder
from schemas.settings.sections import ModelSettings
from tests.support.workplace import Workplace

LENGTHS: Final = (64, 96, 48)
"""Of the models; the first is the one at the beginning."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: as the settings and `-t` write it.
        schema: its schema.
        bare: its name there.
        create: DDL with `{}` for the length of the vector.
        index: DDL of an index that stands from the beginning; empty: none.
        text: the SQL expression of the settings.
        texts: the columns that it reads.
        compose: the same in Python.
        insert: adds one row whose key is made from a number: values are that number and
            the texts.
        key: the key columns, as SQL.
    """

    name: str
    schema: str
    bare: str
    create: str
    index: str
    text: str
    texts: tuple[str, ...]
    compose: Callable[[Sequence[str | None]], str]
    insert: str
    key: str

    @property
    def quoted(self) -> str:
        """The name as SQL has it."""
        return f'"{self.schema}"."{self.bare}"'

    @property
    def settings(self) -> dict[str, str]:
        """Its section of the settings."""
        return {"name": self.name, "text": self.text}


TABLES: Final = (
    Table(
        "public.notes",
        "public",
        "notes",
        "CREATE TABLE public.notes (id bigint PRIMARY KEY, body text, embedding vector({}))",
        (
            "CREATE INDEX nearest ON public.notes USING hnsw (embedding vector_cosine_ops) WITH (m "
            "= 8)"
        ),
        "body",
        ("body",),
        lambda texts: texts[0] or "",
        "INSERT INTO public.notes (id, body) VALUES (%s, %s)",
        "id",
    ),
    Table(
        "Other Place.Häuser",
        "Other Place",
        "Häuser",
        'CREATE SCHEMA "Other Place"; CREATE TABLE "Other Place"."Häuser" '
        '(id uuid PRIMARY KEY, "The Text" text, embedding vector({}))',
        "",
        '"The Text"',
        ('"The Text"',),
        lambda texts: texts[0] or "",
        'INSERT INTO "Other Place"."Häuser" VALUES (md5(\'%s\')::uuid, %s)',
        "id",
    ),
    Table(
        "public.parts",
        "public",
        "parts",
        "CREATE TABLE public.parts (a integer, b text, title text, body text, embedding "
        "vector({}), "
        "PRIMARY KEY (a, b))",
        "CREATE INDEX some_parts ON public.parts USING hnsw (embedding vector_l2_ops) WHERE a > 2",
        "coalesce(title, '') || ' ' || coalesce(body, '')",
        ("title", "body"),
        lambda texts: f"{texts[0] or ''} {texts[1] or ''}",
        "INSERT INTO public.parts (a, b, title, body) VALUES (%s, 'é', %s, %s)",
        "a, b",
    ),
)
BY_NAME: Final = {table.name: table for table in TABLES}
_WORDS: Final = (
    "서울",
    "harbour",
    "rain",
    "Fenster",
    "데이터베이스",
    "orange",
    "quiet",
    "night train",
    "42",
    "ключ",
)


def words(random: Random) -> str | None:
    """A text; sometimes none, or one that shows nothing."""
    if random.random() < 0.15:
        return random.choice((None, "", "  \n"))
    return " ".join(random.choice(_WORDS) for _ in range(random.randint(1, 5)))


def make(place: Workplace, table: Table, random: Random) -> None:
    """Create it, with six to ten rows."""
    place.execute(table.create.format(LENGTHS[0]))
    if table.index:
        place.execute(table.index)
    for number in range(random.randint(6, 10)):
        insert(place, table, number, random)


def insert(place: Workplace, table: Table, number: int, random: Random) -> None:
    """Add one row."""
    place.execute(table.insert, (number, *(words(random) for _ in table.texts)))


@cache
def model(length: int) -> Embedder:
    """The stand-in of this length."""
    return open_model(ModelSettings(name="lexical", dimensions=length))


@cache
def lengths() -> dict[str, int]:
    """Model id → length."""
    return {model(length).model_id: length for length in LENGTHS}


def untrue(place: Workplace, table: Table, column: str, *, wanted: str | None = None) -> list[str]:
    """What is not true about a vector column, in words.

    Args:
        place: where.
        table: which.
        column: the served one, or one beside it.
        wanted: model id that every row must have; None: rows that do not claim to be
            current may be anything.
    """
    names = [column, *_provenance(column)]
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names[1:])
    query = sql.SQL(
        "SELECT ARRAY[{key}]::text, ARRAY[{texts}], {vector}::text, {columns} FROM {table}"
    ).format(
        key=sql.SQL(f"({table.key})::text" if "," in table.key else table.key),
        texts=sql.SQL(", ".join(table.texts)),
        vector=sql.Identifier(column),
        columns=columns,
        table=sql.Identifier(table.schema, table.bare),
    )
    found = []
    for key, texts, vector, digest, name in place.session.rows(query):
        text = table.compose(texts)
        said = _judged(text, vector, digest, name, wanted)
        if said:
            found.append(f"{table.name} {column} {key}: {said}")
    return found


def _provenance(column: str) -> tuple[str, str]:
    return (
        ("embedding_hash", "embedding_model")
        if column == "embedding"
        else (f"{column}_hash", f"{column}_model")
    )


def _judged(
    text: str, vector: str | None, digest: Any, name: str | None, wanted: str | None
) -> str:
    """What is wrong with one row; empty when nothing is."""
    claims = digest is not None and bytes(digest) == hashlib.sha256(text.encode()).digest()
    if not text.strip():
        return "a vector without a text" if vector is not None and wanted else ""
    if wanted is None and not (claims and vector):
        return ""
    if (
        not claims
        or vector is None
        or name not in lengths()
        or (wanted is not None and name != wanted)
    ):
        return f"no vector of its text by the model that is wanted (of {name})"
    made = model(lengths()[name]).encode_documents([text])[0]
    stored = np.array(json.loads(vector), np.float32)
    same = stored.shape == made.shape and np.allclose(stored, made, atol=1e-6)
    return "" if same else f"a vector that {name} does not make of its text"
