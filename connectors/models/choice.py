"""Which kind of model the settings name, and what every kind can do beside embedding.

Hazard: choosing loads nothing and imports nothing heavy, so that commands that only
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
        """Tokens after which a text is cut; None: there is no such limit."""
        ...

    def own_dimensions(self) -> int | None:
        """Return the length of its vectors, whatever the settings say; None: not known
        before it is loaded, or any.
        """
        ...

    def location(self) -> Path | None:
        """Return the folder of the weights; None if the model has none.

        Raises:
            ModelUnavailable: the weights are not on this machine.
        """
        ...

    def placement(self) -> Placement:
        """Return the device and precision that it runs with, and why; may import torch.

        Raises:
            ConfigurationError: this machine has no such `model.device`.
        """
        ...

    def footprint(self, placement: Placement) -> Footprint:
        """Return its sizes on disk and, where it is placed, in memory.

        Raises:
            ModelUnavailable: the weights are needed for it and not on this machine.
        """
        ...


def choose(settings: ModelSettings, clock: Clock | None = None) -> LocalModel:
    """Return the model that the settings name.

    Args:
        settings: the `[model]` section.
        clock: times the loading for the log; None: the system's.
    """
    if settings.name == "lexical":
        from connectors.models.lexical import LexicalEmbedder

        return LexicalEmbedder(settings)
    if settings.name == "multilingual-e5-small":
        from connectors.models.e5_small import E5SmallEmbedder

        return E5SmallEmbedder(settings)
    from connectors.models.bge_m3 import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(settings, clock or SystemClock())
