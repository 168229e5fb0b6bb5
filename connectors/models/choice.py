"""Which kind of model the settings name, and what every kind can say of itself beside
embedding.

Hazard: nothing is loaded by choosing, and nothing heavy is imported: commands that only
compare ids stay fast.
"""

from pathlib import Path
from typing import Protocol

from connectors.clock import SystemClock
from connectors.models.placement import Placement
from connectors.models.weights import Footprint
from connectors.ports import Clock, Embedder
from schemas.settings.sections import ModelSettings


class LocalModel(Embedder, Protocol):
    """An embedder that can also say what it is, for `vectrue model info`."""

    kind: str
    """`sentence-transformers`, `bundled` or `lexical stand-in`."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut; None where there is no such limit."""
        ...

    def own_dimensions(self) -> int | None:
        """Length of the vectors it makes, whatever the settings say; None: not known
        before it is loaded, or any.
        """
        ...

    def location(self) -> Path | None:
        """Where the weights are; None when the model has none.

        Raises:
            ModelUnavailable: the weights are not on this machine.
        """
        ...

    def placement(self) -> Placement:
        """Device and precision that it runs with, and why; may import torch.

        Raises:
            ConfigurationError: `model.device` is not there.
        """
        ...

    def footprint(self, placement: Placement) -> Footprint:
        """Its sizes on disk and, where it is placed, in memory.

        Raises:
            ModelUnavailable: the weights are not on this machine, and are needed for
                it.
        """
        ...


def choose(settings: ModelSettings, clock: Clock | None = None) -> LocalModel:
    """The model that the settings name.

    Args:
        settings: the `[model]` section.
        clock: times the loading for the log; the system's when None.
    """
    if settings.name == "lexical":
        from connectors.models.lexical import LexicalEmbedder

        return LexicalEmbedder(settings)
    if settings.name == "multilingual-e5-small":
        from connectors.models.e5_small import E5SmallEmbedder

        return E5SmallEmbedder(settings)
    from connectors.models.bge_m3 import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(settings, clock or SystemClock())
