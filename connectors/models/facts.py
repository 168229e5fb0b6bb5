"""What is known about a model without its weights in memory: `vectrue model info`.

Hazard: None means not known, or that it does not apply. Only the memory of the largest
batch is an estimate.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from connectors.models.choice import choose
from connectors.models.placement import Placement
from connectors.models.weights import Footprint
from schemas.errors import ModelUnavailable
from schemas.reports.model_record import ModelRecord
from schemas.settings.sections import ModelSettings

_HOW_IT_RUNS = {"device", "low_memory", "dtype", "batch_size", "threads"}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known about the configured model; None: not known, or does not apply."""

    name: str
    kind: str
    model_id: str | None = None
    dimensions: int | None = None
    max_tokens: int | None = None
    location: Path | None = None
    present: bool = False
    record: ModelRecord | None = None
    """What `vectrue.models` keeps about it."""
    problem: str | None = None
    """Why the weights cannot be used, and the fix."""
    fix: str | None = None
    """The second half of `problem`."""


def describe_model(settings: ModelSettings) -> ModelFacts:
    """Return what is known about the configured model without loading it.

    Args:
        settings: the `[model]` section.

    Raises:
        TargetMismatch: the model makes vectors of another length than
            `model.dimensions`.
    """
    model = choose(settings)
    facts = ModelFacts(settings.name, model.kind)
    try:
        facts = replace(
            facts,
            record=model.record,
            model_id=model.model_id,
            dimensions=model.dimensions,
            max_tokens=model.max_tokens,
        )
        # Last, since without weights all of the above is still worth showing.
        return replace(facts, location=model.location(), present=True)
    except ModelUnavailable as missing:
        return replace(facts, problem=str(missing), fix=missing.fix)


def place_model(settings: ModelSettings) -> tuple[Placement, Footprint]:
    """Return where and how the configured model would run, and the memory it needs.

    It imports torch for a model that runs on it.

    Args:
        settings: the `[model]` section.

    Raises:
        ConfigurationError: this machine has no such `model.device`.
    """
    model = choose(settings)
    placement = model.placement()
    try:
        return placement, model.footprint(placement)
    except ModelUnavailable:
        return placement, Footprint()


def named(settings: ModelSettings, name: str, revision: str | None = None) -> ModelSettings:
    """Return the settings of another model, which runs as the configured one does.

    Its dimensions are its own, if it is on this machine.

    Args:
        settings: device, precision, memory and threads.
        name: as `model.name`.
        revision: as `model.revision`.
    """
    if name == settings.name and revision in (None, settings.revision):
        return settings
    kept = settings.model_dump(include=_HOW_IT_RUNS)
    asked = ModelSettings(name=name, revision=revision, dimensions=settings.dimensions, **kept)
    try:
        dimensions = choose(asked).own_dimensions()
    except ModelUnavailable:
        return asked
    if dimensions is None:
        return asked
    return asked.model_copy(update={"dimensions": dimensions})
