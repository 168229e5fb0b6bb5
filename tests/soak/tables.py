"""The tables of the campaign: bigint, uuid, text-and-number and small reused keys, and the probe.

What a row's text is stands here twice on purpose: as the SQL expression given to embedsync, and in Python for the
checker, which composes and hashes by itself.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Key = tuple[object, ...]
VECTOR = "embedding"
POISON = "poisonous"
"""A text with this word is refused by the campaign's model."""

DIMENSIONS = 64
PROVENANCE = ("embedding_hash", "embedding_model", "embedded_at")


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: without schema; no quoting needed.
        columns: DDL of everything but the vector.
        key: primary-key columns.
        texts: columns that the text is made of.
        expression: the text in SQL, for the settings.
        new_key: makes a key.
        small: whether keys are few, reused, and the table is emptied by TRUNCATE now and then.
        identity: replica identity; FULL makes the publication name no columns.
    """

    name: str
    columns: str
    key: tuple[str, ...]
    texts: tuple[str, ...]
    expression: str
    new_key: Callable[[Random], Key]
    small: bool = False
    identity: str = "DEFAULT"

    @property
    def create(self) -> str:
        """DDL."""
        return (
            f"CREATE TABLE {self.name} ({self.columns}, seen integer NOT NULL DEFAULT 0,"
            f" {VECTOR} vector({DIMENSIONS}), PRIMARY KEY ({', '.join(self.key)}));"
            f" ALTER TABLE {self.name} REPLICA IDENTITY {self.identity}"
        )

    @property
    def where(self) -> str:
        """Condition for one key, with a place for each column."""
        return " AND ".join(f"{column} = %s" for column in self.key)


def compose(parts: Sequence[str | None]) -> str | None:
    """A row's text from its text columns, as the expressions of all tables mean it: NULL if any part is NULL."""
    present = [part for part in parts if part is not None]
    return "\n\n".join(present) if len(present) == len(parts) else None


def is_poison(text: str | None) -> bool:
    """Whether the campaign's model refuses it."""
    return text is not None and POISON in text


def is_blank(text: str | None) -> bool:
    """Whether there is nothing to embed."""
    return text is None or not text.strip(" \t\r\n")


_BOOKS = ("alpha", 'O\'Brien "é" %s', "한글 100%", "a,b/c\\d")

ARTICLES = Table(
    "articles",
    "id bigint, title text, body text",
    ("id",),
    ("title", "body"),
    "title || E'\\n\\n' || body",
    lambda random: (random.getrandbits(62),),
)
NOTES = Table(
    "notes",
    "id uuid, note text",
    ("id",),
    ("note",),
    "note",
    lambda random: (str(uuid.UUID(int=random.getrandbits(128), version=4)),),
)
LINES = Table(
    "lines",
    "book text, line integer, words text",
    ("book", "line"),
    ("words",),
    "words",
    lambda random: (random.choice(_BOOKS), random.randrange(1_000_000)),
    identity="FULL",
)
SMALL = Table(
    "small", "id integer, words text", ("id",), ("words",), "words", lambda random: (random.randrange(40),), small=True
)
PROBE = Table(
    "probe", "id bigint GENERATED ALWAYS AS IDENTITY, words text NOT NULL", ("id",), ("words",), "words", lambda _: ()
)
"""Rows are inserted, never changed, and deleted only once found true: an event below the committed offset means that
the row has its vector."""

CHANGING = (ARTICLES, NOTES, LINES, SMALL)
TABLES = (*CHANGING, PROBE)
