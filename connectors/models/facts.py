"""What is known about a model without its weights in memory: `vectrue model info`.

Hazard: None means not known, or that it does not apply; nothing here is a guess but the
memory of the largest batch, which says so.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from connectors.models import half_copy
from connectors.models.choice import choose
from connectors.models.placement import Placement
from connectors.models.weights import Footprint
from schemas.errors import ModelUnavailable
from schemas.reports.model_record import ModelRecord
from schemas.settings.sections import ModelSettings


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known about the configured model without its weights in memory; None: not
    known, or does not apply.
    """

    name: str
    kind: str
    model_id: str | None = None
    dimensions: int | None = None
    max_tokens: int | None = None
    location: Path | None = None
    present: bool = False
    bf16_copy: Path | None = None
    """Folder of its weights in bfloat16, where they were stored so."""
    record: ModelRecord | None = None
    """What `vectrue.models` keeps about it."""
    problem: str | None = None
    """Why the weights cannot be used, and what mends it."""
    fix: str | None = None
    """The second half of `problem`."""


def describe_model(settings: ModelSettings) -> ModelFacts:
    """Say what is known about the configured model without loading it.

    Raises:
        TargetMismatch: `model.dimensions` is not what the model makes.
    """
    model = choose(settings)
    facts = ModelFacts(settings.name, model.kind)
    try:
        known = model.record
        facts = replace(
            facts,
            record=known,
            model_id=model.model_id,
            dimensions=model.dimensions,
            max_tokens=model.max_tokens,
            bf16_copy=half_copy.find(known.name, known.revision),
        )
        return replace(facts, location=model.location(), present=True)
    except ModelUnavailable as missing:
        return replace(facts, problem=str(missing), fix=missing.fix)


def place_model(settings: ModelSettings) -> tuple[Placement, Footprint]:
    """Say where and how the configured model would run, and what it takes; imports
    torch where that decides.

    Raises:
        ConfigurationError: `model.device` is not there.
    """
    model = choose(settings)
    placement = model.placement()
    try:
        return placement, model.footprint(placement)
    except ModelUnavailable:
        return placement, Footprint()


def named(settings: ModelSettings, name: str, revision: str | None = None) -> ModelSettings:
    """The settings with another model, which itself says how long its vectors are,
    where it is here.

    Args:
        settings: say how it runs: device, precision, memory, threads.
        name: as `model.name`.
        revision: as `model.revision`.
    """
    if name == settings.name and revision in (None, settings.revision):
        return settings
    own = settings.model_dump(include={"device", "low_memory", "dtype", "batch_size", "threads"})
    asked = ModelSettings(name=name, revision=revision, dimensions=settings.dimensions, **own)
    try:
        dimensions = choose(asked).own_dimensions()
    except ModelUnavailable:
        return asked
    return asked if dimensions is None else asked.model_copy(update={"dimensions": dimensions})
