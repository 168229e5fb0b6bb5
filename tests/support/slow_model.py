"""A model that takes time on purpose, by a clock that is moved by hand."""

from collections.abc import Sequence

from connectors.twins.memory import MemoryClock, TwinEmbedder
from schemas.rows.document import Vector


class SlowEmbedder(TwinEmbedder):
    """A twin of a model that pads: a call takes as long as its texts would if each were
    as long as the longest.
    """

    def __init__(self, clock: MemoryClock, seconds_per_character: float) -> None:
        """Take so long."""
        super().__init__(dimensions=16)
        self.seconds_per_character = seconds_per_character
        self.longest_call = 0.0
        """Seconds of the call that took longest."""
        self._clock = clock

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """As the twin, later."""
        seconds = len(texts) * max(map(len, texts)) * self.seconds_per_character
        self.longest_call = max(self.longest_call, seconds)
        self._clock.advance(seconds)
        return super().encode_documents(texts)
