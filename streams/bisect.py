"""Bisection: when a batch fails in the model, halves are tried until the guilty texts stand alone.

One guilty text among n costs at most 2 * log2(n) + 1 calls more than a batch without one: two halves on each level,
and the text once more alone.

Hazard: a model that is broken refuses everything, and must not fill the quarantine with a whole table. So a batch of
eight or more texts in which none is taken is an error of the model, not of the texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from connectors.ports import Embedder
from schemas.document import Vector
from schemas.errors import ConfigurationError, EmbedsyncError, PoisonText, Stopping, TransientError

_UNIT_TOLERANCE = 1e-3
_TRIES_ALONE = 2
_BROKEN_MODEL_TEXTS = 8
"""From this many texts on, a batch of which none is taken says that the model is broken."""


@dataclass
class Encoded:
    """Vectors by position of their text, and the reason for each text that was refused."""

    vectors: dict[int, Vector] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    calls: int = 0

    attempts: int = _TRIES_ALONE
    """How often a refused text was tried alone."""


def encode(embedder: Embedder, texts: Sequence[str], dimensions: int) -> Encoded:
    """Embed texts; those that the model cannot take are told apart from the others.

    Args:
        embedder: the model.
        texts: n non-blank texts.
        dimensions: length that the vectors must have.

    Returns:
        for each position either a vector float32[dimensions] or a reason.

    Raises:
        EmbedsyncError: eight or more texts, and none was taken: the model is broken.
        TransientError, ConfigurationError, Stopping: as the embedder raised them; they say nothing about the texts.
    """
    result = Encoded()
    _halve(embedder, texts, range(len(texts)), dimensions, result)
    if len(result.refused) == len(texts) >= _BROKEN_MODEL_TEXTS:
        raise EmbedsyncError(
            f"the model took none of {len(texts)} texts ({result.refused[0]})", fix="check the model and its device"
        )
    return result


def check(vectors: Vector, count: int, dimensions: int) -> None:
    """Refuse what may not be stored.

    Args:
        vectors: float32[count, dimensions] as a model returned them.
        count: texts that went in.
        dimensions: length of a vector.

    Raises:
        PoisonText: wrong shape, a number that is not finite, or a length that is not 1 (within 1e-3).
    """
    if vectors.shape != (count, dimensions):
        raise PoisonText(f"the model returned an array of shape {vectors.shape}, not {(count, dimensions)}")
    if not np.isfinite(vectors).all():
        raise PoisonText("the model returned numbers that are not finite")
    norms = np.linalg.norm(vectors, axis=1)
    if (np.abs(norms - 1) > _UNIT_TOLERANCE).any():
        raise PoisonText(f"the model returned vectors of length {norms.min():.4f} to {norms.max():.4f}, not 1")


def _halve(embedder: Embedder, texts: Sequence[str], positions: range, dimensions: int, result: Encoded) -> None:
    reason = _attempt(embedder, texts, positions, dimensions, result)
    if reason is None:
        return
    if len(positions) > 1:
        middle = len(positions) // 2
        _halve(embedder, texts, positions[:middle], dimensions, result)
        _halve(embedder, texts, positions[middle:], dimensions, result)
        return
    for _ in range(_TRIES_ALONE - 1):
        reason = _attempt(embedder, texts, positions, dimensions, result)
    if reason is not None:
        result.refused[positions[0]] = reason


def _attempt(
    embedder: Embedder, texts: Sequence[str], positions: range, dimensions: int, result: Encoded
) -> str | None:
    """One call of the model; None when it took the texts, else why not."""
    result.calls += 1
    try:
        vectors = embedder.encode_documents([texts[i] for i in positions])
        check(vectors, len(positions), dimensions)
    except (TransientError, ConfigurationError, Stopping):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a network raises about a text is the reason, and is kept
        # The class alone for what is not ours: a library's message may quote the text.
        return error.message if isinstance(error, EmbedsyncError) else f"the model raised {type(error).__name__}"
    result.vectors.update(zip(positions, vectors, strict=True))
    return None
