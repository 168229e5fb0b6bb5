"""A row as read, what is to be done about its vector, and what became of the write.

The rules here are the whole of "is this vector true": every lane, command and check
asks `decide`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from schemas.rows.snapshot import Snapshot
from schemas.rows.table import Key

Vector = NDArray[np.float32]

_WHITE = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROL = r"\u0001-\u001f\u007f-\u009f"
_IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BRAILLE_BLANK = r"\u2800"
NOT_BLANK = f"[^{_WHITE}{_CONTROL}{_IGNORABLE}{_BRAILLE_BLANK}]"
"""Regular expression, to Python and to Postgres alike, that finds a character of a text
that can be seen.

Blank are Unicode's White_Space (PropList.txt), the controls, and what is shown as
nothing: Default_Ignorable_Code_Point (DerivedCoreProperties.txt; zero-width characters,
the Hangul fillers, variation selectors) and the empty pattern of Braille. Spelt out,
because `[[:space:]]` means another set in every locale of a database.
"""

BLANK_WITHIN = 100_000
"""Characters after which a text that is blank until then counts as blank: a regular
expression of Postgres takes four times the memory of a text, and fails on one of 256
MB.
"""

SHOWN_WITHIN = 1_048_576
"""Characters of a text that commands read to show or embed it: what a model of 32,768
tokens may use. The rest of a longer one is not shown.
"""


@dataclass(frozen=True, slots=True)
class Document:
    """A row's text and the provenance of its vector, read in one statement.

    `hash` is `sha256(convert_to(text, 'UTF8'))`, computed by Postgres (32 bytes), None
    when the text is NULL. `blank` is true for NULL, empty and white-space text. `text`
    may be "" for a blank row; of a long one it is as much as the model can use, whereas
    `hash` is that of the whole.
    """

    key: Key
    text: str
    blank: bool
    hash: bytes | None
    stored_hash: bytes | None
    stored_model: str | None
    has_vector: bool
    quarantined: bool = False
    """Whether the wanted model has already been found unable to take this very text."""
    tied: bool = True
    """Whether the vector is the one that was written with its provenance, as far as its
    digest was kept.
    """


def is_blank(text: str | None) -> bool:
    """Whether a text is NULL, empty or shows nothing: such a row has no vector."""
    # Cut before the search, as Postgres does it: both must call the same texts blank.
    return text is None or re.search(NOT_BLANK, text[:BLANK_WITHIN]) is None


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows read in one statement, and the snapshot they were read in.

    Keys without a row are not in `documents`.
    """

    snapshot: Snapshot
    documents: Sequence[Document]

    @property
    def is_ambiguous(self) -> bool:
        """Whether a key stands for several rows: the table's key got a column since."""
        seen: set[Key] = set()
        for document in self.documents:
            seen.add(document.key)
        return len(seen) < len(self.documents)


class Decision(StrEnum):
    """What a row needs."""

    CURRENT = "current"
    BLANK = "blank"
    CLEAR = "clear"
    EMBED = "embed"
    QUARANTINED = "quarantined"


def decide(document: Document, model: str) -> Decision:
    """Say what a row needs so that its vector is true.

    Args:
        document: the row as it is now.
        model: id of the model its vector must come from.

    Returns:
        CURRENT: hash and model match, and the vector is the one written with them;
            BLANK: no text and no vector; CLEAR:
        no text but a vector or its provenance is left; QUARANTINED: the model could not
        take this text; EMBED: anything else.
    """
    stored = (document.stored_hash, document.stored_model)
    if document.blank:
        return Decision.CLEAR if document.has_vector or stored != (None, None) else Decision.BLANK
    if document.has_vector and document.tied and stored == (document.hash, model):
        return Decision.CURRENT
    return Decision.QUARANTINED if document.quarantined else Decision.EMBED


@dataclass(frozen=True, slots=True)
class Update:
    """A vector to write, or (vector None) a row to clear.

    It is valid only while the row's text still has this hash.

    `vector` is float32[dimensions], unit length.
    """

    key: Key
    hash: bytes | None
    vector: Vector | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row to quarantine while it has this text.

    The model does not take the text, or the table does not take the write.

    `hash` is UNREADABLE for a row whose text cannot be made, or TOO_SLOW. `attempts` is
    how often the text was tried alone; `reason` never holds the text.
    """

    key: Key
    hash: bytes
    reason: str
    attempts: int


UNREADABLE = b""
"""In place of a hash, where a row has no text: its expression raises an error."""
TOO_SLOW = b"\0"
"""In place of a hash, where the reader did not wait for the text. Such a row counts as what it is
besides, not as quarantined.
"""


class Written(StrEnum):
    """What became of one update."""

    WRITTEN = "written"
    CHANGED = "changed"
    """The text is no longer the one that was embedded; its own event is on the way."""
    LOCKED = "locked"
    """Another transaction holds the row, it is gone, or it may have been changed by a
    write that had no answer; nothing was waited for. Reading it again tells.
    """
    AGAIN = "again"
    """A trigger gave the row another text in this very write, of which no event will
    tell: to be looked at.
    """
    QUARANTINED = "quarantined"
    """A constraint or trigger of the table refuses this row's write; the row is in
    quarantine with its reason.
    """


class WriteOutcome(dict[Key, Written]):
    """What became of each update."""

    def __init__(self, written: Mapping[Key, Written] | None = None) -> None:
        """Begin with what is known; nothing was changed by a trigger."""
        super().__init__(written or {})
        self.given: dict[Key, bytes | None] = {}
        """Hash of the text that a trigger gave a row in the write, None for NULL: of
        the rows that are AGAIN.
        """
