"""Bisection: find the texts of a batch that the model refuses, by trying halves.

One refused text among n costs at most 2 * log2(n) + 1 more calls than a batch without
one: two halves on each level, and the text once more alone. If the model ran out of
memory, the batch costs one call more.

Hazard: a model that is broken, or whose device is out of memory for another reason,
refuses everything. That must not put a whole table into quarantine, text by text, so a
probe decides whether the model or the text is at fault (`_probe`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from schemas.errors import (
    ConfigurationError,
    OutOfMemory,
    PoisonText,
    Stopping,
    TransientError,
    VectrueError,
)
from schemas.reports.audit_report import UNIT_TOLERANCE
from schemas.rows.document import Vector

_TRIES_ALONE = 2
_BROKEN_MODEL_TEXTS = 8
"""If none of at least this many texts is taken, the model is broken, unless it ran out of
memory.
"""
_PROBE = "a"
"""A text that every working model takes."""


class Encodes(Protocol):
    """A model, or its side for queries."""

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """As `connectors.ports.Embedder` says."""
        ...


@dataclass(frozen=True, slots=True)
class Earlier:
    """Texts of the same batch that the model has processed before."""

    taken: int = 0
    refused: int = 0
    longest: str = ""
    """The longest of those that were taken."""


_NOTHING = Earlier()


@dataclass
class Encoded:
    """Vectors by position of their text, and the reason for each text that was refused."""

    vectors: dict[int, Vector] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    no_room: set[int] = field(default_factory=set)
    """Those of the refused texts for which the model ran out of memory."""
    calls: int = 0

    attempts: int = _TRIES_ALONE
    """How often a refused text was tried alone."""


def encode(
    embedder: Encodes, texts: Sequence[str], dimensions: int, earlier: Earlier = _NOTHING
) -> Encoded:
    """Embed texts, and find those that the model refuses.

    Args:
        embedder: the model.
        texts: n non-blank texts.
        dimensions: length that the vectors must have.
        earlier: texts of the same batch that were embedded before these.

    Returns:
        for each position either a vector float32[dimensions] or a reason.

    Raises:
        VectrueError: the model is broken: it took no text, and either refused the probe
            or there were eight texts or more in the batch.
        TransientError: the device is out of memory even for the probe.
        TransientError, ConfigurationError, Stopping: as the embedder raised them.
    """
    result = Encoded()
    _halve(embedder, texts, range(len(texts)), dimensions, result)
    if result.no_room or (result.refused and not result.vectors):
        _probe(embedder, texts, dimensions, result, earlier)
    return result


def check(vectors: Vector, count: int, dimensions: int) -> None:
    """Refuse vectors that must not be stored.

    Args:
        vectors: float32[count, dimensions] as a model returned them.
        count: texts that went in.
        dimensions: length of a vector.

    Raises:
        PoisonText: wrong shape, a number that is not finite, or a length that is not 1
            (within 1e-3).
    """
    if vectors.shape != (count, dimensions):
        raise PoisonText(
            f"the model returned an array of shape {vectors.shape}, not {(count, dimensions)}"
        )
    if not np.isfinite(vectors).all():
        raise PoisonText("the model returned numbers that are not finite")
    norms = np.linalg.norm(vectors, axis=1)
    if (np.abs(norms - 1) > UNIT_TOLERANCE).any():
        raise PoisonText(
            f"the model returned vectors of length {norms.min():.4f} to {norms.max():.4f}, not 1"
        )


def _probe(
    embedder: Encodes, texts: Sequence[str], dimensions: int, result: Encoded, earlier: Earlier
) -> None:
    """Raise if the model is at fault, and not the refused texts.

    A text that does not fit while the probe does is at fault, however many there are.
    """
    taken = len(result.vectors) + earlier.taken
    text = _PROBE
    if result.no_room:
        # The device may have been filled between two calls, so the longest text that fit
        # before is tried again.
        fitted = [texts[position] for position in result.vectors]
        text = max(*fitted, earlier.longest, _PROBE, key=len)
    probe = Encoded()
    reason = _attempt(embedder, [text], range(1), dimensions, probe)
    result.calls += probe.calls
    if isinstance(reason, OutOfMemory):
        what = "for what it took a moment ago" if taken else "for a short text"
        raise TransientError(
            f"the model has no room even {what} ({reason.message})", fix="free memory there"
        )
    count = len(texts) + earlier.taken + earlier.refused
    # Such texts are at fault: without quarantine they would stop the partition for ever.
    is_for_memory = len(result.no_room) == len(texts)
    if reason is not None or (not taken and count >= _BROKEN_MODEL_TEXTS and not is_for_memory):
        first = result.refused[min(result.refused)]
        took = f"took {taken or 'none'} of {count} texts"
        raise VectrueError(f"the model {took} ({first})", fix="check the model and its device")


def _halve(
    embedder: Encodes, texts: Sequence[str], positions: range, dimensions: int, result: Encoded
) -> None:
    reason = _attempt(embedder, texts, positions, dimensions, result)
    if reason is None:
        return
    if len(positions) > 1:
        middle = len(positions) // 2
        _halve(embedder, texts, positions[:middle], dimensions, result)
        _halve(embedder, texts, positions[middle:], dimensions, result)
        return
    # Quarantine lasts, and a device may fail once.
    for _ in range(_TRIES_ALONE - 1):
        reason = _attempt(embedder, texts, positions, dimensions, result)
    if reason is not None:
        result.refused[positions[0]] = reason.message
        if isinstance(reason, OutOfMemory):
            result.no_room.add(positions[0])


def _attempt(
    embedder: Encodes, texts: Sequence[str], positions: range, dimensions: int, result: Encoded
) -> PoisonText | None:
    """Call the model once; return None if it took the texts, otherwise why not."""
    result.calls += 1
    try:
        vectors = embedder.encode_documents([texts[i] for i in positions])
        check(vectors, len(positions), dimensions)
    # They say nothing about the texts.
    except (TransientError, ConfigurationError, Stopping):
        raise
    # Whatever a model raises about a text is the reason, which is stored.
    except Exception as error:  # noqa: BLE001
        return _reason(error)
    result.vectors.update(zip(positions, vectors, strict=True))
    return None


def _reason(error: Exception) -> PoisonText:
    if isinstance(error, PoisonText):
        return error
    kind = OutOfMemory if isinstance(error, MemoryError) else PoisonText
    if isinstance(error, VectrueError):
        return kind(error.message)
    # Only the name of the class: a library's message may quote the text.
    return kind(f"the model raised {type(error).__name__}")
