"""In-memory twin of a model: unit vectors made from the sha256 of the text, calls
counted, failures on request.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from connectors.models.files.fingerprint import record
from connectors.models.text import prepare
from schemas.errors import PoisonText
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector


class TwinEmbedder:
    """Deterministic pseudo-random unit vectors: equal texts, equal vectors; different
    texts, nearly orthogonal ones.
    """

    def __init__(
        self,
        dimensions: int = 8,
        *,
        name: str = "twin",
        fails: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Make a twin.

        Args:
            dimensions: length of a vector, at least 1.
            name: first part of the model id, to tell two models apart.
            fails: texts for which this is true raise PoisonText, and their whole call
                with them; may be replaced.
        """
        self.dimensions = dimensions
        self.fails = fails
        self.calls = 0
        """Calls of `encode_documents` with at least one text, and of `encode_query`,
        failed ones included.
        """
        self.texts_encoded = 0
        """Texts whose vectors were returned."""
        self.loaded = False
        self._name = name

    @property
    def model_id(self) -> str:
        """`twin@1+hash`."""
        return self.record.model

    @property
    def record(self) -> ModelRecord:
        """As the port says; there are no tokens."""
        return record(self._name, "1", {"dimensions": self.dimensions}, dimensions=self.dimensions)

    def load(self) -> None:
        """Note that it is loaded."""
        self.loaded = True

    def unload(self) -> None:
        """Note that it is not."""
        self.loaded = False

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed stored texts: float32[n, dimensions], unit length.

        Raises:
            PoisonText: `fails` is true for one of them; names its index and its length.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        self.load()
        self.calls += 1
        for index, text in enumerate(texts):
            if self.fails(text):
                raise PoisonText(
                    f"the vector of text {index} ({len(text)} characters) is not finite"
                )
        self.texts_encoded += len(texts)
        return np.stack([self._vector(text) for text in prepare(texts, None)])

    def encode_query(self, text: str) -> Vector:
        """Embed a search query, as a document: float32[dimensions], unit length."""
        query: Vector = self.encode_documents([text])[0]
        return query

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries, as documents; one call."""
        return self.encode_documents(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words: there is no tokenizer."""
        return [len(text.split()) for text in texts]

    def _vector(self, text: str) -> Vector:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        row = np.random.default_rng(seed).standard_normal(self.dimensions)
        return (row / np.linalg.norm(row)).astype(np.float32)
