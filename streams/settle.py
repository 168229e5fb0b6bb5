"""Settling rows: read them as they stand, decide, embed what differs, write if the text is still the same.

This is the one place where text becomes vectors; both lanes and every repair go through it. Free of Faust and Kafka.

Hazard: equal texts are encoded once per call, found by the hash that Postgres computed; Python never hashes text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from connectors.ports import Clock, Store
from schemas import metrics
from schemas.document import UNREADABLE, Decision, Document, Reading, Refusal, Update, Vector, decide
from schemas.errors import PoisonEvent, RowRefused
from schemas.table import Key
from schemas.target import Target
from streams import bisect
from streams.embedders import Embedders
from streams.retry import Patience

log = structlog.get_logger()


@dataclass
class Findings:
    """What rows of one target turned out to need, before anything is written."""

    updates: list[Update] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    current: int = 0
    blank: int = 0
    quarantined: int = 0
    """Rows whose text the model cannot take, found now (`refusals`) or before."""


class Settler:
    """Reads and embeds for one lane. Holds no state between calls but the vectors of the batch in hand."""

    def __init__(self, store: Store, embedders: Embedders, clock: Clock, patience: Patience, *, lane: str) -> None:
        """Join the parts. `lane` (live, replay) labels the metrics."""
        self._store = store
        self._embedders = embedders
        self._clock = clock
        self._patience = patience
        self._lane = lane

    def read(self, target: Target, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Reading | PoisonEvent]]:
        """Read rows; when a key (or the text of its row) is unreadable, halves are tried until it stands alone.

        Yields:
            the keys of a part with their reading, or one key with the reason why it can never be read.
        """
        try:
            characters = self._embedders.of(target.model).record.characters
            yield keys, self._patience.call(self._store.read, target, keys, characters)
        except PoisonEvent as reason:
            if len(keys) == 1:
                yield keys, reason
                return
            middle = len(keys) // 2
            yield from self.read(target, keys[:middle])
            yield from self.read(target, keys[middle:])

    def refuse(self, target: Target, key: Key, reason: RowRefused) -> Refusal:
        """A row whose text Postgres cannot make, for quarantine: with the name of the condition, never its message."""
        said = f"its text cannot be made: {reason.message}"
        log.warning("row goes to quarantine", table=str(target.table), key=key, reason=said)
        return Refusal(key, UNREADABLE, said, 1)

    def find(
        self,
        target: Target,
        documents: Sequence[Document],
        known: dict[bytes, Vector | Refusal],
        *,
        force: bool = False,
    ) -> Findings:
        """Decide about rows and embed the texts that differ.

        Args:
            target: whose model is wanted.
            documents: rows as read.
            known: what the model made of the texts of this batch, by their hash; new ones are added. The key of a
                refusal kept here is that of the first row with the text.
            force: embed current rows anew, and try refused texts again.
        """
        findings = Findings()
        embed: list[Document] = []
        for document in documents:
            decision = decide(document, target.model)
            if force and decision in (Decision.CURRENT, Decision.QUARANTINED):
                decision = Decision.EMBED
            match decision:
                case Decision.CURRENT:
                    findings.current += 1
                case Decision.BLANK:
                    findings.blank += 1
                case Decision.QUARANTINED:
                    findings.quarantined += 1
                case Decision.CLEAR:
                    findings.updates.append(Update(document.key, document.hash, None))
                case Decision.EMBED:
                    embed.append(document)
        self._embed(target, embed, known)
        for document in embed:
            made = known[document.hash or b""]
            if isinstance(made, Refusal):
                findings.refusals.append(replace(made, key=document.key))
                findings.quarantined += 1
            else:
                findings.updates.append(Update(document.key, document.hash, made))
        return findings

    def _embed(self, target: Target, rows: Sequence[Document], known: dict[bytes, Vector | Refusal]) -> None:
        first = {row.hash or b"": row for row in reversed(rows)}
        wanted = {hash_: row for hash_, row in first.items() if hash_ not in known}
        if not wanted:
            return
        started = self._clock.monotonic()
        texts = [row.text for row in wanted.values()]
        embedder = self._embedders.of(target.model)
        encoded = self._patience.call(bisect.encode, embedder, texts, target.dimensions)
        metrics.TEXTS_ENCODED.labels(self._lane).inc(len(wanted))
        metrics.EMBED_SECONDS.labels(self._lane).observe(self._clock.monotonic() - started)
        for position, (hash_, row) in enumerate(wanted.items()):
            if position in encoded.refused:
                reason = encoded.refused[position]
                log.warning("text goes to quarantine", table=str(target.table), key=row.key, reason=reason)
                known[hash_] = Refusal(row.key, hash_, reason, encoded.attempts)
            else:
                known[hash_] = encoded.vectors[position]
