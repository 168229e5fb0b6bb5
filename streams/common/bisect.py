"""Bisection: when a batch fails in the model, halves are tried until the guilty texts
stand alone.

One guilty text among n costs at most 2 * log2(n) + 1 calls more than a batch without
one: two halves on each level, and the text once more alone. Where it was for want of
memory, the batch costs one call more.

Hazard: a model that is broken, or whose device somebody else has filled, refuses
everything, and must not fill the quarantine with a whole table, one edit at a time. So
where none of the texts is taken, a short probe is tried: when that is refused too, it
is the model's fault. A text that does not fit while the probe does is guilty, however
many there are; without its quarantine it would stop the partition for ever. A device
may also be filled between two calls: so where a text did not fit beside others of its
batch that were taken, the longest of these is the probe.
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
"""From this many texts on, a batch of which none is taken says that the model is
broken, unless it was for memory.
"""
_PROBE = "a"
"""A text that every working model takes, where it has taken none of its own."""


class Encodes(Protocol):
    """What is halved: a model, or one side of it."""

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """As `connectors.ports.Embedder` says."""
        ...


@dataclass(frozen=True, slots=True)
class Earlier:
    """Texts of the same batch that went through the model before."""

    taken: int = 0
    refused: int = 0
    longest: str = ""
    """Of those that were taken."""


_NOTHING = Earlier()


@dataclass
class Encoded:
    """Vectors by position of their text, and the reason for each text that was refused."""

    vectors: dict[int, Vector] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    no_room: set[int] = field(default_factory=set)
    """Those of the refused that were refused for want of memory."""
    calls: int = 0

    attempts: int = _TRIES_ALONE
    """How often a refused text was tried alone."""


def encode(
    embedder: Encodes, texts: Sequence[str], dimensions: int, earlier: Earlier = _NOTHING
) -> Encoded:
    """Embed texts; those that the model cannot take are told apart from the others.

    Args:
        embedder: the model.
        texts: n non-blank texts.
        dimensions: length that the vectors must have.
        earlier: what became of the other texts of the batch, of which these are a part.

    Returns:
        for each position either a vector float32[dimensions] or a reason.

    Raises:
        VectrueError: none was taken, nor a probe, or there were eight or more in the
            batch: the model is broken.
        TransientError: the device has no room even for the probe.
        TransientError, ConfigurationError, Stopping: as the embedder raised them; they
            say nothing about the texts.
    """
    result = Encoded()
    _halve(embedder, texts, range(len(texts)), dimensions, result)
    if result.no_room or (result.refused and not result.vectors):
        _probe(embedder, texts, dimensions, result, earlier)
    return result


def check(vectors: Vector, count: int, dimensions: int) -> None:
    """Refuse what may not be stored.

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
    """Raise if it is the model that refuses, and not the texts that are guilty."""
    taken = len(result.vectors) + earlier.taken
    text = _PROBE
    if result.no_room:
        text = max((*(texts[i] for i in result.vectors), earlier.longest), key=len) or _PROBE
    probe = Encoded()
    reason = _attempt(embedder, [text], range(1), dimensions, probe)
    result.calls += probe.calls
    if isinstance(reason, OutOfMemory):
        what = "for what it took a moment ago" if taken else "for a short text"
        raise TransientError(
            f"the model has no room even {what} ({reason.message})", fix="free memory there"
        )
    count = len(texts) + earlier.taken + earlier.refused
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
    for _ in range(_TRIES_ALONE - 1):
        reason = _attempt(embedder, texts, positions, dimensions, result)
    if reason is not None:
        result.refused[positions[0]] = reason.message
        if isinstance(reason, OutOfMemory):
            result.no_room.add(positions[0])


def _attempt(
    embedder: Encodes, texts: Sequence[str], positions: range, dimensions: int, result: Encoded
) -> PoisonText | None:
    """One call of the model; None when it took the texts, else why not."""
    result.calls += 1
    try:
        vectors = embedder.encode_documents([texts[i] for i in positions])
        check(vectors, len(positions), dimensions)
    except (TransientError, ConfigurationError, Stopping):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a network raises about a text is the reason, and is kept
        return _reason(error)
    result.vectors.update(zip(positions, vectors, strict=True))
    return None


def _reason(error: Exception) -> PoisonText:
    if isinstance(error, PoisonText):
        return error
    kind = OutOfMemory if isinstance(error, MemoryError) else PoisonText
    # The class alone for what is not ours: a library's message may quote the text.
    return kind(
        error.message
        if isinstance(error, VectrueError)
        else f"the model raised {type(error).__name__}"
    )
