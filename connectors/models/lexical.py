"""The lexical stand-in: character n-grams hashed into a vector. Instant, offline, the
same on every machine.

It finds texts that share pieces of words and knows nothing about meaning, so its name
and every screen say "lexical stand-in". For load and fault tests, and for a demo
without a model.

The vectors are those of scikit-learn's HashingVectorizer with these settings, number by
number; a test compares them. Scikit-learn itself takes 1.4 s to import, at each start.

Hazard: other n-gram settings make other vectors; `_SETTINGS` is part of the model id.
"""

import hashlib
from collections.abc import Iterator, Sequence

import mmh3
import numpy as np
from typing_extensions import override

from connectors.models.choice import LocalModel
from connectors.models.files.fingerprint import record
from connectors.models.placement import Placement
from connectors.models.text import prepare
from connectors.models.vectors import unit_rows
from connectors.models.weights import Footprint
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings

_VERSION = "1"
# Of seven ranges tried on 222 Korean questions, with queries of two fifths of their
# words, other particles and a missing letter, (2, 3) found 97 % first; (2, 4) 96 %,
# too close to call, and (1, 3) 93 %.
_NGRAMS = (2, 3)
_SETTINGS = {
    "analyzer": "char_wb",
    "ngram_range": _NGRAMS,
    "alternate_sign": True,
    "lowercase": True,
}


class LexicalEmbedder(LocalModel):
    """The lexical stand-in. It treats documents and queries alike, and ignores
    `model.max_tokens`.
    """

    kind = "lexical stand-in"

    def __init__(self, settings: ModelSettings) -> None:
        self._dimensions = settings.dimensions

    @property
    @override
    def dimensions(self) -> int:
        return self._dimensions

    @property
    @override
    def max_tokens(self) -> None:
        """None: there are no tokens."""

    @property
    @override
    def model_id(self) -> str:
        """`lexical@1+hash`, the hash over n-gram settings and dimensions."""
        return self.record.model

    @property
    @override
    def record(self) -> ModelRecord:
        numbers = {**_SETTINGS, "dimensions": self.dimensions}
        return record("lexical", _VERSION, numbers, dimensions=self.dimensions)

    @override
    def own_dimensions(self) -> None:
        """Return None: it makes vectors of any length."""

    @override
    def location(self) -> None:
        """Return None: there are no weights."""

    @override
    def placement(self) -> Placement:
        return Placement(
            device="cpu",
            device_why="it hashes, there is no network",
            dtype="float32",
            dtype_why="the kind of its counts",
        )

    @override
    def footprint(self, _placement: Placement) -> Footprint:
        """Return no sizes: it takes next to nothing."""
        return Footprint()

    @override
    def load(self) -> None:
        """Do nothing: there are no weights."""

    @override
    def unload(self) -> None:
        """Do nothing: there are no weights."""

    @override
    def encode_documents(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        texts = prepare(texts, None)
        rows = np.stack([_counts(text, self.dimensions) for text in texts])
        # Signed counts can cancel out, and white space other than ASCII has no n-grams.
        # Such a text gets a direction of its own.
        for index in np.flatnonzero(~rows.any(axis=1)).tolist():
            rows[index, _slot(texts[index], self.dimensions)] = 1.0
        return unit_rows(rows, texts, self.dimensions)

    @override
    def encode_query(self, text: str) -> Vector:
        query: Vector = self.encode_documents([text])[0]
        return query

    @override
    def encode_queries(self, texts: Sequence[str]) -> Vector:
        return self.encode_documents(texts)

    @override
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count words, since there is no tokenizer."""
        return [len(text.split()) for text in texts]


def _counts(text: str, dimensions: int) -> Vector:
    """Count the n-grams of a text in float32, each under its hash and with its sign."""
    hashes = np.fromiter((mmh3.hash(gram) for gram in _grams(text.lower())), np.int64)
    signs = np.where(hashes < 0, -1, 1)
    counts = np.bincount(np.abs(hashes) % dimensions, signs, minlength=dimensions)
    return counts.astype(np.float32)


def _grams(text: str) -> Iterator[str]:
    least, most = _NGRAMS
    for word in text.split():
        # A blank at both ends, so that the first and the last letter of a word count more.
        padded = f" {word} "
        for size in range(least, most + 1):
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]


def _slot(text: str, dimensions: int) -> int:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % dimensions
