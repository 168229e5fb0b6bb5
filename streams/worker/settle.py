"""Settling rows: read them, decide, and embed what differs.

This is the one place where text becomes vectors; both lanes and every repair go through
it. Free of Faust and Kafka. It does at most one part of a batch
(`streams.worker.parts`): the caller writes that, if the text is still the same, and
reads the rest again.

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
    """What the model made of the texts of a batch, by their hash.

    The key of a refusal is that of its first row.
    """

    made: dict[bytes, Vector | Refusal] = field(default_factory=dict)
    longest: str = ""
    """The longest text that the model took."""

    @property
    def earlier(self) -> bisect.Earlier:
        """The same in numbers, for the next call of the model."""
        refused = 0
        for made in self.made.values():
            refused += isinstance(made, Refusal)
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
    """Rows that the part did not come to."""

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
    """Reads and embeds for one lane. Keeps no state between calls."""

    def __init__(
        self, store: Store, embedders: Embedders, clock: Clock, retry: RetryPolicy, *, lane: str
    ) -> None:
        """Join the parts.

        Args:
            store: reads the rows.
            embedders: a model for each target.
            clock: measures the parts.
            retry: how long an absent service is waited for.
            lane: label of the metrics (live, replay).
        """
        self._store = store
        self._embedders = embedders
        self._clock = clock
        self._retry = retry
        self._lane = lane

    def read(
        self, target: Target, keys: Sequence[Key]
    ) -> Iterator[tuple[Sequence[Key], Reading | PoisonEvent]]:
        """Read rows; halves are tried until an unreadable key or row stands alone.

        Args:
            target: the column.
            keys: at least one.

        Yields:
            some of the keys, in their order, with their reading; or one key with the
            reason why it can never be read.

        Raises:
            TransientError: Postgres stayed away.
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
        """Return the quarantine entry of a row whose text Postgres cannot make.

        It has the name of Postgres's condition, never its message, which may quote the
        row.
        """
        told = f"its text cannot be made: {reason.message}"
        log.warning("row quarantined", table=str(target.table), key=key, reason=told)
        hash_ = TOO_SLOW if isinstance(reason, RowTooSlow) else UNREADABLE
        return Refusal(key, hash_, told, 1)

    def part_ends(self) -> float:
        """Return when a part that begins now ends, by the monotonic clock."""
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
        """Decide about rows in their order, and embed the texts that differ, for as
        long as the part may take.

        Args:
            target: whose model is wanted.
            documents: rows as read; of one or more, some are always come to.
            known: of this batch; what is new is added.
            until: as `part_ends` returned.
            force: embed current rows again, and try refused texts again.

        Returns:
            what the rows need; those that the part did not come to are `left`.
        """
        findings = Findings()
        decided = [(document, _decision(document, target, force=force)) for document in documents]
        costs = self._costs(target, decided, known)
        began = self._clock.monotonic()
        for window in parts.windows(costs):
            spent = self._clock.monotonic() - began
            done = sum(costs[: window.start])
            more = sum(costs[window.start : window.stop])
            if window.start and parts.ends(began + spent, until, spent, done, more):
                findings.left = list(documents[window.start :])
                break
            now = decided[window.start : window.stop]
            self._embed(target, now, known)
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
            cost = 0
            if decision is Decision.EMBED:
                hash_ = document.hash or b""
                # Equal texts are encoded once.
                if hash_ not in seen:
                    cost = parts.cost(document.text, most)
                seen.add(hash_)
            costs.append(cost)
        return costs

    def _embed(
        self, target: Target, decided: Sequence[tuple[Document, Decision]], known: EncodedTexts
    ) -> None:
        first: dict[bytes, Document] = {}
        for document, decision in reversed(decided):
            hash_ = document.hash or b""
            if decision is Decision.EMBED and hash_ not in known.made:
                first[hash_] = document
        wanted = list(first.values())
        most = self._embedders.of(target.model).record.max_tokens
        costs = [parts.cost(document.text, most) for document in wanted]
        for positions in parts.calls(costs):
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
                log.warning("text quarantined", table=str(target.table), key=row.key, reason=reason)
                known.made[hash_] = Refusal(row.key, hash_, reason, encoded.attempts)
            else:
                known.made[hash_] = encoded.vectors[position]
                known.longest = max(known.longest, row.text, key=len)


def _decision(document: Document, target: Target, *, force: bool) -> Decision:
    decision = decide(document, target.model)
    if force and decision in {Decision.CURRENT, Decision.QUARANTINED}:
        return Decision.EMBED
    return decision
