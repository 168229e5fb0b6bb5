"""The lexical stand-in: character n-grams hashed into a vector. Instant, offline, the
same on every machine.

It finds texts that share pieces of words and knows nothing of meaning, so its name and
every screen say "lexical stand-in". For load and fault tests, and for a demo where no
model is at hand.

Hazard: other n-gram settings make other vectors; `_SETTINGS` is part of the model id.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.models.files.fingerprint import record
from connectors.models.placement import Placement
from connectors.models.text import prepare
from connectors.models.vectors import unit_rows
from connectors.models.weights import Footprint
from schemas import extras
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import HashingVectorizer

_VERSION = "1"
# Of seven ranges tried on 222 Korean questions, with queries of two fifths of their
# words, other particles and a missing letter, (2, 3) found 97 % first; (2, 4) 96 %,
# which is no real difference, and (1, 3) 93 %.
_SETTINGS = {
    "analyzer": "char_wb",
    "ngram_range": (2, 3),
    "alternate_sign": True,
    "lowercase": True,
}


class LexicalEmbedder:
    """The lexical stand-in. Documents and queries are treated alike; `model.max_tokens`
    has no meaning here.
    """

    kind = "lexical stand-in"
    max_tokens: int | None = None

    def __init__(self, settings: ModelSettings) -> None:
        self.dimensions = settings.dimensions
        self._vectorizer: HashingVectorizer | None = None

    @property
    def model_id(self) -> str:
        """`lexical@1+hash`, the hash over n-gram settings and dimensions."""
        return self.record.model

    @property
    def record(self) -> ModelRecord:
        """As the port says; there are no tokens."""
        numbers = {**_SETTINGS, "dimensions": self.dimensions}
        return record("lexical", _VERSION, numbers, dimensions=self.dimensions)

    def own_dimensions(self) -> None:
        """Any: it makes what `model.dimensions` says."""

    def location(self) -> None:
        """There are no weights."""

    def placement(self) -> Placement:
        """The CPU, whatever is asked for."""
        return Placement(
            "cpu", "it hashes, there is no network", "float32", "the kind of its counts"
        )

    def footprint(self, _placement: Placement) -> Footprint:
        """It takes next to nothing."""
        return Footprint()

    def load(self) -> None:
        """Import scikit-learn (about 2 s, once per process)."""
        self._loaded()

    def _loaded(self) -> "HashingVectorizer":
        if self._vectorizer is None:
            with extras.needed("the lexical stand-in"):
                from sklearn.feature_extraction.text import HashingVectorizer

            self._vectorizer = HashingVectorizer(
                **_SETTINGS, n_features=self.dimensions, norm=None, dtype=np.float32
            )
        return self._vectorizer

    def unload(self) -> None:
        """Forget the vectorizer, which holds next to nothing."""
        self._vectorizer = None

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts: float32[n, dimensions], unit length."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        texts = prepare(texts, None)
        rows = self._loaded().transform(texts).toarray()
        # Signed counts can cancel out, and white space other than ASCII has no n-grams:
        # such a text gets a direction of its own.
        for index in np.flatnonzero(~rows.any(axis=1)).tolist():
            rows[index, _slot(texts[index], self.dimensions)] = 1.0
        return unit_rows(rows, texts, self.dimensions)

    def encode_query(self, text: str) -> Vector:
        """Embed a search query: float32[dimensions], unit length."""
        query: Vector = self.encode_documents([text])[0]
        return query

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries, as documents."""
        return self.encode_documents(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words: there is no tokenizer."""
        return [len(text.split()) for text in texts]


def _slot(text: str, dimensions: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % dimensions
