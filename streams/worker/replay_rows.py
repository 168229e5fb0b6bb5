"""The rows of a chunk: read in the order of its keys, decided and embedded.

What is found is written and counted by `streams.worker.replay`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.ports import Clock, Store
from schemas.errors import PoisonEvent, RowRefused
from schemas.rows.document import Reading, Refusal, Update
from schemas.rows.table import Key
from schemas.rows.target import Target
from streams.common.retry import RetryPolicy
from streams.worker.settle import EncodedTexts, Findings, RowSettler


@dataclass
class ChunkRows:
    """What became of the next keys of a chunk, as far as the part came to them."""

    keys: Sequence[Key]
    updates: list[Update] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    """Rows for quarantine."""
    unreadable: list[tuple[Key, PoisonEvent]] = field(default_factory=list)
    read: int = 0
    """Rows that were read and come to."""
    current: int = 0
    blank: int = 0
    quarantined: int = 0
    ambiguous: bool = False
    """Whether a key stands for several rows: then nothing else here counts."""

    def add(self, findings: Findings) -> None:
        """Add what the rows of one read need."""
        self.updates += findings.updates
        self.refusals += findings.refusals
        self.current += findings.current
        self.blank += findings.blank
        self.quarantined += findings.quarantined


class ReplayRows:
    """Looks at the rows of chunks. One thread."""

    def __init__(self, store: Store, settler: RowSettler, clock: Clock, retry: RetryPolicy) -> None:
        self.seen = 0
        """A transaction that had ended when rows were last read."""
        self._store = store
        self._settler = settler
        self._clock = clock
        self._retry = retry
        self._known = EncodedTexts()
        """Of the micro-batch in hand, for as many parts as it takes."""

    def begin(self) -> None:
        """Begin with a chunk: forget the texts of the one before."""
        self._known = EncodedTexts()

    def look(self, target: Target, keys: Sequence[Key], *, force: bool) -> ChunkRows:
        """Read rows, and embed what differs, for as long as a part may take.

        Args:
            target: the column.
            keys: in this order; of one or more, some are always come to.
            force: embed current rows again, and try refused texts again.

        Returns:
            what the rows need, and which keys were come to.

        Raises:
            TransientError: a service stayed away.
        """
        look = ChunkRows(keys)
        until = self._settler.part_ends()
        come_to = 0
        for some, reading in self._settler.read(target, keys):
            done = len(some)
            if isinstance(reading, PoisonEvent):
                look.unreadable.append((some[0], reading))
            elif reading.is_ambiguous:
                look.ambiguous = True
                break
            else:
                done = self._find(target, some, reading, look, until=until, force=force)
            come_to += done
            if done < len(some) or self._clock.monotonic() >= until:
                break
        look.keys = keys[:come_to]
        if come_to == len(keys):
            self._known = EncodedTexts()
        return look

    def _find(
        self,
        target: Target,
        keys: Sequence[Key],
        reading: Reading,
        look: ChunkRows,
        *,
        until: float,
        force: bool,
    ) -> int:
        """Embed what differs among the rows of one read; return how many of the keys
        were come to.
        """
        read = {document.key: document for document in reading.documents}
        documents = [read[key] for key in keys if key in read]
        findings = self._settler.find(target, documents, self._known, until=until, force=force)
        look.add(findings)
        look.read += len(documents) - len(findings.left)
        self.seen = reading.snapshot.xmin - 1
        if not findings.left:
            return len(keys)
        return keys.index(findings.left[0].key)

    def judge(
        self, target: Target, rows: Sequence[tuple[Key, PoisonEvent]]
    ) -> tuple[list[Key], list[Refusal]]:
        """Decide about keys that could not be read.

        Args:
            target: the column.
            rows: the keys, with the reasons.

        Returns:
            the keys that are not values of the key columns; and the rows whose text
            cannot be made, for quarantine.
        """
        bad: list[Key] = []
        refused: list[Refusal] = []
        for key, reason in rows:
            if isinstance(reason, RowRefused) and self._retry.call(self._store.takes, target, key):
                refused.append(self._settler.refuse(target, key, reason))
            else:
                bad.append(key)
        return bad, refused
