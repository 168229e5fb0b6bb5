"""Checks of every vector before it leaves a model, and of the settings against the
model.

Hazard: models return NaN for some texts in half precision, and normalise in the
precision they run in, which is up to 2e-4 off unit length in bfloat16. So the last step
is always here, in float32.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigurationError, PoisonText, TargetMismatch
from schemas.reports.audit_report import UNIT_TOLERANCE
from schemas.rows.document import Vector
from schemas.settings.sections import LOW_MEMORY_TOKENS, ModelSettings


def unit_rows(raw: NDArray[np.floating[Any]], texts: Sequence[str], dimensions: int) -> Vector:
    """Bring rows to unit length and check them.

    Args:
        raw: floating[n, dimensions] as the model made them.
        texts: the n texts, for error messages only.
        dimensions: length that each row must have.

    Returns:
        float32[n, dimensions], finite, unit length within `UNIT_TOLERANCE`.

    Raises:
        PoisonText: there is not one row for each text, or a row is not finite or has no
            direction. The error names its index and the length of its text.
        TargetMismatch: the rows have another length than the model's files say.
    """
    expected = (len(texts), dimensions)
    if raw.shape != expected:
        said = f"the model returned an array of shape {raw.shape} instead of {expected}"
        if raw.shape[1:] != (dimensions,):
            raise TargetMismatch(said, fix="correct model.dimensions, or the model's folder")
        # Some of the texts may be the cause; the caller bisects to find them.
        raise PoisonText(said)
    rows: Vector = raw.astype(np.float32)
    # In float64, because the square of a large float32 is not finite.
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    usable = np.isfinite(lengths) & (lengths > 0)
    scale: Vector = np.where(usable, lengths, 1.0).astype(np.float32)
    unit: Vector = rows / scale[:, None]
    after = np.sqrt(np.einsum("ij,ij->i", unit, unit, dtype=np.float64))
    bad = ~usable | ~(np.abs(after - 1.0) <= UNIT_TOLERANCE)
    if bad.any():
        first = int(np.argmax(bad))
        problem = "has no direction" if np.isfinite(lengths[first]) else "is not finite"
        characters = len(texts[first])
        raise PoisonText(f"the vector of text {first} ({characters} characters) {problem}")
    return unit


def check_dimensions(settings: ModelSettings, dimensions: int) -> None:
    """Compare what a model makes with what is configured.

    Raises:
        TargetMismatch: `model.dimensions` is another number.
    """
    if settings.dimensions != dimensions:
        raise TargetMismatch(
            f"model.dimensions is {settings.dimensions}, but {settings.name} makes "
            f"vectors of {dimensions} dimensions",
            fix=f"set model.dimensions = {dimensions}, or choose another model.name",
        )


def check_max_tokens(settings: ModelSettings, limit: int | None) -> int | None:
    """Return where texts are cut: `model.max_tokens`, or the model's own limit if unset.

    Args:
        settings: the `[model]` section.
        limit: the model's own; None: it has none.

    Raises:
        ConfigurationError: the setting is more than the model takes.
    """
    wanted = settings.max_tokens
    if settings.low_memory and wanted == LOW_MEMORY_TOKENS and limit is not None:
        # No one set this limit: low_memory did, so a model that takes less is right.
        wanted = min(wanted, limit)
    if wanted is not None and limit is not None and wanted > limit:
        raise ConfigurationError(
            f"model.max_tokens is {wanted}, but {settings.name} takes at most {limit}",
            fix=f"set model.max_tokens = {limit} or leave it out",
        )
    return wanted or limit
