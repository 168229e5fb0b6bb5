"""How a text is treated before any model sees it, stored texts and queries alike:
composed, and cut to what counts.

The normal form is NFC (Unicode Standard Annex 15): the same sentence of Korean, typed
on a Mac and on Windows, is one text. Its version is part of the model id
(fingerprint.TEXT_VERSION).

Hazard: a tokenizer reads a whole text before it cuts the tokens, at about 50 bytes a
character; so the text is cut first. White space alone can fill what is left, since most
tokenizers make no token of it.
"""

import re
import unicodedata
from collections.abc import Sequence

from schemas.reports.model_record import LONGEST_TOKEN
from schemas.rows.document import BLANK_WITHIN, NOT_BLANK


def prepare(texts: Sequence[str], max_tokens: int | None) -> list[str]:
    """The texts in their normal form.

    Args:
        texts: as they are stored, or as somebody searches.
        max_tokens: of the model; None: as many characters as are ever read.
    """
    longest = BLANK_WITHIN if max_tokens is None else max_tokens * LONGEST_TOKEN
    return [
        unicodedata.normalize("NFC", _start(text, longest) if len(text) > longest else text)
        for text in texts
    ]


def _start(text: str, longest: int) -> str:
    """So many characters from the first one on that shows something: what is before it
    would fill them.
    """
    seen = re.search(NOT_BLANK, text[:BLANK_WITHIN])
    begin = seen.start() if seen else 0
    return text[begin : begin + longest]
