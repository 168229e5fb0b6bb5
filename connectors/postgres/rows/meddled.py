"""What triggers of the table made of the rows of a write (meddled in rows/store.sql)."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Meddled:
    """Rows that a trigger changed in the write itself, by position: their text, or the
    vector.
    """

    texts: dict[int, bytes | None] = field(default_factory=dict)
    """Hash of the text that each has now."""
    vectors: set[int] = field(default_factory=set)

    def note(self, lines: Sequence[tuple[int, bool, bool, memoryview | None]]) -> None:
        """Keep what was found: position, whether text and vector are as asked, and the
        hash of the text.
        """
        for ord_, same_text, same_vector, hash_ in lines:
            if not same_text:
                self.texts[int(ord_)] = None if hash_ is None else bytes(hash_)
            elif not same_vector:
                self.vectors.add(int(ord_))
