"""What triggers of the table made of the rows of a write (trigger_changes in rows/store.sql)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass
class TriggerChanges:
    """Rows that a trigger changed in the write itself.

    Attributes:
        texts: rows whose text was changed, by position, each with the hash of its text
            now; None for NULL.
        vectors: positions of rows that got another vector than the one written.
    """

    texts: dict[int, bytes | None] = field(default_factory=dict)
    vectors: set[int] = field(default_factory=set)

    def note(
        self, lines: Iterable[tuple[int, bool, bool, memoryview | None]], written: Collection[int]
    ) -> None:
        """Add what the query `trigger_changes` found.

        Args:
            lines: position, whether text and vector are as asked, hash of the text.
            written: positions of the rows that the UPDATE wrote; others do not count.
        """
        own = set(written)
        for ord_, same_text, same_vector, hash_ in lines:
            if ord_ not in own:
                continue
            if not same_text:
                self.texts[int(ord_)] = None if hash_ is None else bytes(hash_)
            elif not same_vector:
                self.vectors.add(int(ord_))
