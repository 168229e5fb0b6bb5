"""The tables of the campaign: bigint, uuid, text-and-number and small reused keys, and
the probe.

One has texts that Postgres cannot always make (`bodies`), one a trigger that changes
texts in any UPDATE (`lines`). What a row's text is stands here twice on purpose: as the
SQL expression given to vectrue, and in Python for the checker, which composes and
hashes by itself. So does what a text is that shows nothing.
"""

import json
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Key = tuple[object, ...]
VECTOR = "embedding"
POISON = "poisonous"
"""A text with this word is refused by the campaign's model."""

FORBIDDEN = "forbidden"
"""A body with this word raises an exception of the application's."""
RESTLESS = "restless"
"""A line with this word gets another text in every UPDATE."""

DIMENSIONS = 64
READ = 100_000
"""Characters of a text that count: for the lexical model, and for whether it shows
anything.
"""
PROVENANCE = ("embedding_hash", "embedding_model", "embedded_at", "embedding_digest")


@dataclass(frozen=True)
class Unreadable:
    """In place of a text that Postgres cannot make: the name of the condition that it
    raises.
    """

    condition: str


Text = str | Unreadable | None


def compose(parts: Sequence[str | None]) -> Text:
    """A row's text from its text columns, as most expressions mean it: NULL if any part
    is NULL.
    """
    present = [part for part in parts if part is not None]
    return "\n\n".join(present) if len(present) == len(parts) else None


def _as_it_is(text: str | None) -> str | None:
    return text


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
        small: whether keys are few, reused, and the table is emptied by TRUNCATE now
            and then.
        before: DDL that `columns` or the expression need.
        after: DDL on the table.
        put: what a column holds for a text.
        compose: the text of a row's columns, in Python.
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
    before: str = ""
    after: str = ""
    put: Callable[[str | None], str | None] = _as_it_is
    compose: Callable[[Sequence[str | None]], Text] = compose

    @property
    def create(self) -> str:
        """DDL."""
        return (
            f"{self.before} CREATE TABLE {self.name} ({self.columns}, seen integer NOT NULL "
            "DEFAULT 0,"
            f" {VECTOR} vector({DIMENSIONS}), PRIMARY KEY ({', '.join(self.key)}));"
            f" ALTER TABLE {self.name} REPLICA IDENTITY {self.identity}; {self.after}"
        )

    @property
    def where(self) -> str:
        """Condition for one key, with a place for each column."""
        return " AND ".join(f"{column} = %s" for column in self.key)


def is_poison(text: str) -> bool:
    """Whether the campaign's model refuses it."""
    return POISON in text


def is_refused(table: Table, text: str) -> bool:
    """Whether no vector of it can be made or kept: the model refuses it, or a trigger
    changes it every time.
    """
    return is_poison(text) or (bool(table.after) and RESTLESS in text)


_SHOWN_FORMATS = frozenset(
    {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
)
"""Format characters (Cf) that are seen, all above the number that they belong to."""
_UNSEEN = (
    (0x034F, 0x034F),  # the grapheme joiner
    (0x115F, 0x1160),  # fillers of Hangul
    (0x17B4, 0x17B5),  # inherent vowels of Khmer
    (0x180B, 0x180F),  # variation selectors of Mongolian
    (0x2065, 0x2065),
    (0x2800, 0x2800),  # the empty pattern of Braille
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    # tags, more variation selectors, and what is kept for their like
    (0xE0000, 0xE0FFF),
)
"""What shows nothing and has another category than the rest."""


def _shows(character: str) -> bool:
    code = ord(character)
    if any(first <= code <= last for first, last in _UNSEEN):
        return False
    match unicodedata.category(character):
        case "Cc" | "Zs" | "Zl" | "Zp":
            return False
        case "Cf":  # notes between the lines and joiners of hieroglyphs are seen, too
            return code in _SHOWN_FORMATS or 0xFFF9 <= code <= 0xFFFB or 0x13430 <= code <= 0x1343F
        case _:
            return True


def is_blank(text: str | None) -> bool:
    """Whether there is nothing to embed: what counts of the text shows nothing."""
    return text is None or not any(map(_shows, text[:READ]))


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
    before=f"""
        CREATE FUNCTION tidied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.words := CASE
                WHEN NEW.words LIKE '%{RESTLESS}%' THEN '{RESTLESS} ' || gen_random_uuid()
                ELSE btrim(NEW.words) END;
            RETURN NEW;
        END $$;""",
    after="CREATE TRIGGER tidied BEFORE UPDATE ON lines FOR EACH ROW EXECUTE FUNCTION tidied()",
)


def _of_body(parts: Sequence[str | None]) -> Text:
    (body,) = parts
    if body is None:
        return None
    if body.startswith("[" * 1_000):
        return Unreadable("StatementTooComplex")
    try:
        text = json.loads(body).get("x")
    except ValueError:
        return Unreadable("InvalidTextRepresentation")
    if isinstance(text, str) and "\0" in text:
        return Unreadable("UntranslatableCharacter")
    return Unreadable("RaiseException") if isinstance(text, str) and FORBIDDEN in text else text


BODIES = Table(
    "bodies",
    "id bigint, body text",
    ("id",),
    ("body",),
    "allowed(body::jsonb ->> 'x')",
    lambda random: (random.getrandbits(62),),
    before=f"""
        CREATE FUNCTION allowed(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
            IF $1 LIKE '%{FORBIDDEN}%' THEN RAISE EXCEPTION 'no %', $1 USING DETAIL = $1; END IF;
            RETURN $1;
        END $$;""",
    put=lambda text: None if text is None else json.dumps({"x": text}, ensure_ascii=False),
    compose=_of_body,
)
BAD_BODIES = (
    "no json",
    "[" * 100_000,
    '{"card": "4111 1111 1111 1111", oops',
    '{"x": "\\u0000"}',
    f'{{"x": "{FORBIDDEN}"}}',
)
"""Bodies of which Postgres makes no text."""
SMALL = Table(
    "small",
    "id integer, words text",
    ("id",),
    ("words",),
    "words",
    lambda random: (random.randrange(40),),
    small=True,
)
PROBE = Table(
    "probe",
    "id bigint GENERATED ALWAYS AS IDENTITY, words text NOT NULL",
    ("id",),
    ("words",),
    "words",
    lambda _: (),
)
"""Rows are inserted, never changed, and deleted only once found true: an event below
the committed offset means that the row has its vector.
"""

CHANGING = (ARTICLES, NOTES, LINES, SMALL, BODIES)
TABLES = (*CHANGING, PROBE)
