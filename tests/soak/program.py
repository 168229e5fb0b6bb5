"""The command line of vectrue with one thing changed: its lexical model refuses texts
that hold a certain word.

The lexical model takes every text, and the real ones refuse what cannot be told
beforehand. Everything else is the program as it is shipped; a worker of the campaign is
`python -m tests.soak.program worker --role live`.
"""

from collections.abc import Sequence

from connectors.models.lexical import LexicalEmbedder
from schemas.rows.document import Vector
from streams.cli import main
from tests.soak.tables import is_poison

_encode = LexicalEmbedder.encode_documents


def _refusing(self: LexicalEmbedder, texts: Sequence[str]) -> Vector:
    if any(is_poison(text) for text in texts):
        # which one it was is the pipeline's to find out
        raise ValueError("a text of this batch")
    return _encode(self, texts)


if __name__ == "__main__":
    LexicalEmbedder.encode_documents = _refusing  # type: ignore[method-assign]  # the one thing that is changed
    main.run()
