"""Settling rows: read them as they stand, decide, embed what differs, write if the text
is still the same.

This is the one place where text becomes vectors; both lanes and every repair go through
it. Free of Faust and Kafka. It goes no further than a part of a batch may
(`streams.worker.parts`): the caller writes that, and reads the rest again.

Hazard: equal texts are encoded once per batch, found by the hash that Postgres
computed; Python never hashes text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from connectors.ports import Clock, Store
from schemas.errors import PoisonEvent, RowRefused, RowTooSlow
from schemas.health import metrics
from schemas.rows.document import (
    TOO_SLOW,
    UNREADABLE,
    Decision,
    Document,
    Reading,
    Refusal,
    Update,
    Vector,
    decide,
)
from schemas.rows.table import Key
from schemas.rows.target import Target
from streams.common import bisect
from streams.common.embedders import Embedders
from streams.common.retry import RetryPolicy
from streams.worker import parts

log = structlog.get_logger()


@dataclass
class EncodedTexts:
    """What the model made of the texts of a batch, by their hash. The key of a refusal
    is that of its first row.
    """

    made: dict[bytes, Vector | Refusal] = field(default_factory=dict)
    longest: str = ""
    """Of the texts that it took."""

    @property
    def earlier(self) -> bisect.Earlier:
        """The same in figures."""
        refused = sum(isinstance(made, Refusal) for made in self.made.values())
        return bisect.Earlier(len(self.made) - refused, refused, self.longest)


@dataclass
class Findings:
    """What rows of one target turned out to need, before anything is written."""

    updates: list[Update] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    current: int = 0
    blank: int = 0
    quarantined: int = 0
    """Rows whose text the model cannot take, found now (`refusals`) or before."""
    left: list[Document] = field(default_factory=list)
    """Rows that were not come to: the part had taken long enough."""

    def note(self, document: Document, decision: Decision, known: EncodedTexts) -> None:
        """Add what one row needs; what the model made of its text is in `known`."""
        match decision:
            case Decision.CURRENT:
                self.current += 1
            case Decision.BLANK:
                self.blank += 1
            case Decision.QUARANTINED:
                self.quarantined += 1
            case Decision.CLEAR:
                self.updates.append(Update(document.key, document.hash, None))
            case Decision.EMBED:
                made = known.made[document.hash or b""]
                if isinstance(made, Refusal):
                    self.refusals.append(replace(made, key=document.key))
                    self.quarantined += 1
                else:
                    self.updates.append(Update(document.key, document.hash, made))


class RowSettler:
    """Reads and embeds for one lane. Holds no state between calls but the vectors of
    the batch in hand.
    """

    def __init__(
        self, store: Store, embedders: Embedders, clock: Clock, retry: RetryPolicy, *, lane: str
    ) -> None:
        """Join the parts. `lane` (live, replay) labels the metrics."""
        self._store = store
        self._embedders = embedders
        self._clock = clock
        self._retry = retry
        self._lane = lane

    def read(
        self, target: Target, keys: Sequence[Key]
    ) -> Iterator[tuple[Sequence[Key], Reading | PoisonEvent]]:
        """Read rows; when a key (or the text of its row) is unreadable, halves are
        tried until it stands alone.

        Yields:
            the keys of a part with their reading, or one key with the reason why it can
            never be read.
        """
        try:
            characters = self._embedders.of(target.model).record.characters
            yield keys, self._retry.call(self._store.read, target, keys, characters)
        except PoisonEvent as reason:
            if len(keys) == 1:
                yield keys, reason
                return
            middle = len(keys) // 2
            yield from self.read(target, keys[:middle])
            yield from self.read(target, keys[middle:])

    def refuse(self, target: Target, key: Key, reason: RowRefused) -> Refusal:
        """A row whose text Postgres cannot make, for quarantine: with the name of the
        condition, never its message.
        """
        said = f"its text cannot be made: {reason.message}"
        log.warning("row goes to quarantine", table=str(target.table), key=key, reason=said)
        return Refusal(key, TOO_SLOW if isinstance(reason, RowTooSlow) else UNREADABLE, said, 1)

    def part_ends(self) -> float:
        """Until when (of the monotonic clock) a part that begins now may go on."""
        return self._clock.monotonic() + parts.SECONDS

    def find(
        self,
        target: Target,
        documents: Sequence[Document],
        known: EncodedTexts,
        *,
        until: float,
        force: bool = False,
    ) -> Findings:
        """Decide about rows and embed the texts that differ, in this order, for as long
        as the part may go on.

        Args:
            target: whose model is wanted.
            documents: rows as read; of one or more, some are always come to.
            known: of this batch; what is new is added.
            until: as `part_ends` said.
            force: embed current rows anew, and try refused texts again.
        """
        findings = Findings()
        decided = [(document, _decision(document, target, force=force)) for document in documents]
        costs = self._costs(target, decided, known)
        began = self._clock.monotonic()
        for window in parts.windows(costs):
            spent, done = self._clock.monotonic() - began, sum(costs[: window.start])
            if window.start and parts.ends(
                began + spent, until, spent, done, sum(costs[window.start : window.stop])
            ):
                findings.left = list(documents[window.start :])
                break
            now = decided[window.start : window.stop]
            self._embed(
                target,
                [document for document, decision in now if decision is Decision.EMBED],
                known,
            )
            for document, decision in now:
                findings.note(document, decision, known)
        return findings

    def _costs(
        self, target: Target, decided: Sequence[tuple[Document, Decision]], known: EncodedTexts
    ) -> list[int]:
        most = self._embedders.of(target.model).record.max_tokens
        seen = set(known.made)
        costs = []
        for document, decision in decided:
            hash_ = document.hash or b""
            costs.append(
                parts.cost(document.text, most)
                if decision is Decision.EMBED and hash_ not in seen
                else 0
            )
            if decision is Decision.EMBED:
                seen.add(hash_)
        return costs

    def _embed(self, target: Target, rows: Sequence[Document], known: EncodedTexts) -> None:
        first = {row.hash or b"": row for row in reversed(rows)}
        wanted = [row for hash_, row in first.items() if hash_ not in known.made]
        most = self._embedders.of(target.model).record.max_tokens
        for positions in parts.calls([parts.cost(row.text, most) for row in wanted]):
            self._call(target, [wanted[position] for position in positions], known)

    def _call(self, target: Target, rows: Sequence[Document], known: EncodedTexts) -> None:
        """Embed texts, all different, in one call of the model."""
        started = self._clock.monotonic()
        embedder = self._embedders.of(target.model)
        texts = [row.text for row in rows]
        encoded = self._retry.call(bisect.encode, embedder, texts, target.dimensions, known.earlier)
        metrics.TEXTS_ENCODED.labels(self._lane).inc(len(rows))
        metrics.EMBED_SECONDS.labels(self._lane).observe(self._clock.monotonic() - started)
        for position, row in enumerate(rows):
            hash_ = row.hash or b""
            if position in encoded.refused:
                reason = encoded.refused[position]
                log.warning(
                    "text goes to quarantine", table=str(target.table), key=row.key, reason=reason
                )
                known.made[hash_] = Refusal(row.key, hash_, reason, encoded.attempts)
            else:
                known.made[hash_] = encoded.vectors[position]
                known.longest = max(known.longest, row.text, key=len)


def _decision(document: Document, target: Target, *, force: bool) -> Decision:
    decision = decide(document, target.model)
    return (
        Decision.EMBED
        if force and decision in {Decision.CURRENT, Decision.QUARANTINED}
        else decision
    )
