"""A row as read, what is to be done about its vector, and what became of the write.

The rules here are the whole of "is this vector true": every lane, command and check asks `decide`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from schemas.snapshot import Snapshot
from schemas.table import Key

Vector = NDArray[np.float32]

NOT_BLANK = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Regular expression, to Python and to Postgres alike, that finds a character of a text that is not blank: one without
Unicode's property White_Space (PropList.txt). Spelt out, because `[[:space:]]` means another set in every locale of a
database, and `str.isspace` counts the separators U+001C to U+001F as well. U+200B (zero width space) is not white."""


@dataclass(frozen=True, slots=True)
class Document:
    """A row's text and the provenance of its vector, read in one statement.

    `hash` is `sha256(convert_to(text, 'UTF8'))`, computed by Postgres (32 bytes), None when the text is NULL.
    `blank` is true for NULL, empty and white-space text. `text` may be "" for a blank row.
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


def is_blank(text: str | None) -> bool:
    """Whether a text is NULL, empty or white space: such a row has no vector."""
    return text is None or re.search(NOT_BLANK, text) is None


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows read in one statement, and the snapshot they were read in. Keys without a row are not in `documents`."""

    snapshot: Snapshot
    documents: Sequence[Document]

    @property
    def is_ambiguous(self) -> bool:
        """Whether a key stands for several rows: it is that of before the table's key got a column."""
        return len({document.key for document in self.documents}) < len(self.documents)


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
        document: the row as it stands.
        model: id of the model its vector must come from.

    Returns:
        CURRENT: hash, model and vector match; BLANK: no text and no vector; CLEAR: no text but a vector or its
        provenance is left; QUARANTINED: the model could not take this text; EMBED: anything else.
    """
    stored = (document.stored_hash, document.stored_model)
    if document.blank:
        return Decision.CLEAR if document.has_vector or stored != (None, None) else Decision.BLANK
    if document.has_vector and stored == (document.hash, model):
        return Decision.CURRENT
    return Decision.QUARANTINED if document.quarantined else Decision.EMBED


@dataclass(frozen=True, slots=True)
class Update:
    """A vector to write, or (vector None) a row to clear, valid only while the row's text still has this hash.

    `vector` is float32[dimensions], unit length.
    """

    key: Key
    hash: bytes | None
    vector: Vector | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A text that the model, or a row whose write the table cannot take: to quarantine, while it has this text.

    `attempts` is how often the text was tried alone; `reason` never holds the text.
    """

    key: Key
    hash: bytes
    reason: str
    attempts: int


class Written(StrEnum):
    """What became of one update."""

    WRITTEN = "written"
    CHANGED = "changed"
    """The text is no longer the one that was embedded; its own event is on the way."""
    LOCKED = "locked"
    """Another transaction holds the row, or it is gone; nothing was waited for. Reading it again tells."""
    QUARANTINED = "quarantined"
    """A constraint or trigger of the table refuses this row's write; the row is in quarantine with its reason."""
