"""What happens to every text before a model gets it: it is composed, and cut.

The normal form is NFC (Unicode Standard Annex 15): the same Korean sentence, typed on a
Mac and on Windows, is one text. Its version is part of the model id
(fingerprint.TEXT_VERSION).

Hazard: a tokenizer reads a whole text, at about 50 bytes a character, before it cuts
the tokens. So the text is cut first.
"""

import re
import unicodedata
from collections.abc import Sequence

from schemas.reports.model_record import LONGEST_TOKEN
from schemas.rows.document import BLANK_WITHIN, NOT_BLANK


def prepare(texts: Sequence[str], max_tokens: int | None) -> list[str]:
    """Return the texts in their normal form.

    Args:
        texts: stored texts, or queries.
        max_tokens: of the model; None: as many characters as are ever read.
    """
    longest = BLANK_WITHIN if max_tokens is None else max_tokens * LONGEST_TOKEN
    prepared = []
    for text in texts:
        used = _start(text, longest) if len(text) > longest else text
        prepared.append(unicodedata.normalize("NFC", used))
    return prepared


def _start(text: str, longest: int) -> str:
    """Return as many characters, from the first one on that is visible."""
    # Most tokenizers make no token of white space, which alone could fill the start.
    seen = re.search(NOT_BLANK, text[:BLANK_WITHIN])
    begin = seen.start() if seen else 0
    return text[begin : begin + longest]
