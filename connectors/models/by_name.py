"""A model by its name alone, as `vectrue compare` takes two of them.

`NAME` or `NAME:DIMENSIONS`, where NAME is any value of `model.name`. The dimensions of
a model are in its files. Only the lexical stand-in takes any number, by default that of
`model.dimensions`.

Hazard: device, batch size and threads are those of [model], so that both models run
under the same conditions. Revision and token limit belong to one model, and are left
out for another.
"""

from pathlib import Path
from typing import Any

from connectors.models.e5_small import DIMENSIONS as E5_DIMENSIONS
from connectors.models.e5_small import E5SmallEmbedder
from connectors.models.files import hub
from connectors.models.files.layout import read_layout
from schemas.errors import ConfigurationError, ModelUnavailable
from schemas.settings.paths import is_directory
from schemas.settings.sections import ModelSettings

_LONGEST_NUMBER = 7
"""Digits of dimensions that no model has; more of them are part of a name."""


def named(name: str, base: ModelSettings) -> ModelSettings:
    """Return the settings that open the named model.

    Args:
        name: `NAME` or `NAME:DIMENSIONS`.
        base: the `[model]` section.

    Raises:
        ModelUnavailable: it is not on this machine; with the command that fetches it.
        ConfigurationError: the name cannot be a model's, or the model's files do not
            say the dimensions.
    """
    bare, given = _split(name)
    changed: dict[str, Any] = {"name": bare}
    if bare != base.name:
        changed.update(revision=None, max_tokens=None)
    chosen = base.model_copy(update=changed)
    if given is None:
        dimensions = _dimensions(chosen)
    else:
        dimensions = given
        require(chosen)
    # Not another copy, which would not be validated.
    return ModelSettings(**{**chosen.model_dump(), "dimensions": dimensions})


def _split(name: str) -> tuple[str, int | None]:
    """Return the name without its dimensions, and the dimensions if there are any."""
    before, _, last = name.rpartition(":")
    is_number = last.isdecimal() and len(last) < _LONGEST_NUMBER
    if before and is_number and not is_directory(Path(name)):
        return before, int(last)
    return name, None


def require(settings: ModelSettings) -> Path | None:
    """Return the folder of the model's weights; None for the lexical stand-in.

    Args:
        settings: of the model, which need not be the configured one.

    Raises:
        ModelUnavailable: it is not on this machine; with the command that fetches it.
    """
    if settings.name == "lexical":
        return None
    if settings.name == "multilingual-e5-small":
        return E5SmallEmbedder(settings).location()
    try:
        return hub.locate(settings).required()
    except ModelUnavailable as error:
        fix = error.fix and error.fix.replace(hub.PULL, hub.pulling(settings))
        raise ModelUnavailable(error.message, fix=fix) from error


def _dimensions(settings: ModelSettings) -> int:
    folder = require(settings)
    if folder is None:
        return settings.dimensions
    if settings.name == "multilingual-e5-small":
        return E5_DIMENSIONS
    dimensions = read_layout(folder).dimensions
    if dimensions is None:
        raise ConfigurationError(
            f"the files of {settings.name} do not say how many dimensions it has",
            fix=f"write {settings.name}:N",
        )
    return dimensions
