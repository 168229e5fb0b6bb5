"""Settling rows: read them as they stand, decide, embed what differs, write if the text is still the same.

This is the one place where text becomes vectors; both lanes and every repair go through it. Free of Faust and Kafka.

Hazard: equal texts are encoded once per call, found by the hash that Postgres computed; Python never hashes text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from connectors.ports import Clock, Embedder, Store
from schemas import metrics
from schemas.document import Decision, Document, Reading, Update, Vector, decide
from schemas.errors import PoisonEvent, PoisonText
from schemas.table import Key
from schemas.target import Target
from streams.retry import Patience

_UNIT_TOLERANCE = 1e-3


@dataclass
class Findings:
    """What rows of one target turned out to need, before anything is written."""

    updates: list[Update] = field(default_factory=list)
    current: int = 0
    blank: int = 0


class Settler:
    """Reads and embeds for one lane. Holds no state between calls but the vectors of the batch in hand."""

    def __init__(self, store: Store, embedder: Embedder, clock: Clock, patience: Patience, *, lane: str) -> None:
        """Join the parts. `lane` (live, replay) labels the metrics."""
        self._store = store
        self._embedder = embedder
        self._clock = clock
        self._patience = patience
        self._lane = lane

    def read(self, target: Target, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Reading | PoisonEvent]]:
        """Read rows; when a key (or the text of its row) is unreadable, halves are tried until it stands alone.

        Yields:
            the keys of a part with their reading, or one key with the reason why it can never be read.
        """
        try:
            yield keys, self._patience.call(self._store.read, target, keys)
        except PoisonEvent as reason:
            if len(keys) == 1:
                yield keys, reason
                return
            middle = len(keys) // 2
            yield from self.read(target, keys[:middle])
            yield from self.read(target, keys[middle:])

    def find(self, target: Target, documents: Sequence[Document], known: dict[bytes, Vector]) -> Findings:
        """Decide about rows and embed the texts that differ.

        Args:
            target: whose model is wanted.
            documents: rows as read.
            known: vectors already made in this batch, by hash of their text; new ones are added.
        """
        findings = Findings()
        wanted: dict[bytes, str] = {}
        embed: list[Document] = []
        for document in documents:
            match decide(document, target.model):
                case Decision.CURRENT:
                    findings.current += 1
                case Decision.BLANK:
                    findings.blank += 1
                case Decision.CLEAR:
                    findings.updates.append(Update(document.key, document.hash, None))
                case Decision.EMBED:
                    embed.append(document)
                    if document.hash is not None and document.hash not in known:
                        wanted[document.hash] = document.text
        known.update(self._embed(target, wanted))
        findings.updates += [Update(d.key, d.hash, known[d.hash]) for d in embed if d.hash is not None]
        return findings

    def _embed(self, target: Target, texts: Mapping[bytes, str]) -> dict[bytes, Vector]:
        if not texts:
            return {}
        started = self._clock.monotonic()
        vectors = self._embedder.encode_documents(list(texts.values()))
        check(vectors, len(texts), target.dimensions)
        metrics.TEXTS_ENCODED.labels(self._lane).inc(len(texts))
        metrics.EMBED_SECONDS.labels(self._lane).observe(self._clock.monotonic() - started)
        return dict(zip(texts, vectors, strict=True))


def check(vectors: Vector, count: int, dimensions: int) -> None:
    """Refuse what may not be stored.

    Args:
        vectors: float32[count, dimensions] as a model returned them.
        count: texts that went in.
        dimensions: length of a vector.

    Raises:
        PoisonText: wrong shape, a number that is not finite, or a length that is not 1 (within 1e-3).
    """
    if vectors.shape != (count, dimensions):
        raise PoisonText(f"the model returned an array of shape {vectors.shape}, not {(count, dimensions)}")
    if not np.isfinite(vectors).all():
        raise PoisonText("the model returned numbers that are not finite")
    norms = np.linalg.norm(vectors, axis=1)
    if (np.abs(norms - 1) > _UNIT_TOLERANCE).any():
        raise PoisonText(f"the model returned vectors of length {norms.min():.4f} to {norms.max():.4f}, not 1")
