"""In-memory twin of a model: unit vectors made from the sha256 of the text, calls
counted, failures on request.

Hazard: a twin's vectors mean nothing; its nearest neighbours are random ones.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from typing_extensions import override

from connectors.models.files.fingerprint import record
from connectors.models.text import prepare
from connectors.ports import Embedder
from schemas.errors import PoisonText
from schemas.reports.model_record import ModelRecord
from schemas.rows.document import Vector


class TwinEmbedder(Embedder):
    """Deterministic pseudo-random unit vectors.

    Equal texts have equal vectors, different texts nearly orthogonal ones.
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
        self._dimensions = dimensions
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
    @override
    def model_id(self) -> str:
        """`twin@1+hash`."""
        return self.record.model

    @property
    @override
    def dimensions(self) -> int:
        return self._dimensions

    @property
    @override
    def record(self) -> ModelRecord:
        size = self.dimensions
        return record(self._name, "1", {"dimensions": size}, dimensions=size)

    @override
    def load(self) -> None:
        self.loaded = True

    @override
    def unload(self) -> None:
        self.loaded = False

    @override
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

    @override
    def encode_query(self, text: str) -> Vector:
        """Embed a search query, as a document: float32[dimensions], unit length."""
        query: Vector = self.encode_documents([text])[0]
        return query

    @override
    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Embed search queries, as documents; one call."""
        return self.encode_documents(texts)

    @override
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        # Words: the twin has no tokenizer.
        return [len(text.split()) for text in texts]

    def _vector(self, text: str) -> Vector:
        # The text alone decides: equal texts get equal vectors in every process.
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        row = np.random.default_rng(seed).standard_normal(self.dimensions)
        return (row / np.linalg.norm(row)).astype(np.float32)
