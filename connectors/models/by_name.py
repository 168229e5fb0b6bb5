"""A model by its name alone, beside the one that is configured: `vectrue compare` takes
any two.

`NAME` or `NAME:DIMENSIONS`, where NAME is what `model.name` may be. A model has its
dimensions in its files; only the lexical stand-in takes any, and `model.dimensions`
when none is given.

Hazard: device, batch size and threads are those of [model], so that two models run
alike; revision and token limit belong to one model, and are left out for another.
"""

from pathlib import Path

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
    """The settings by which the named model is opened.

    Args:
        name: as above.
        base: the `[model]` section.

    Raises:
        ModelUnavailable: it is not on this machine, with the command that brings it
            there.
        ConfigurationError: the name can be no model, or its files do not say the
            dimensions.
    """
    before, _, last = name.rpartition(":")
    given = (
        int(last)
        if before
        and last.isdecimal()
        and len(last) < _LONGEST_NUMBER
        and not is_directory(Path(name))
        else None
    )
    bare = name if given is None else before
    own = {} if bare == base.name else {"revision": None, "max_tokens": None}
    chosen = base.model_copy(update={"name": bare, **own})
    dimensions = _dimensions(chosen) if given is None else given
    if given is not None:
        require(chosen)
    # a copy would not be validated
    return ModelSettings(**{**chosen.model_dump(), "dimensions": dimensions})


def require(settings: ModelSettings) -> Path | None:
    """The folder of the model's weights; None for the lexical stand-in, which has none.

    Raises:
        ModelUnavailable: with a command that fetches this model, which need not be the
            configured one.
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
    if settings.name == "multilingual-e5-small":
        return E5_DIMENSIONS
    dimensions = settings.dimensions if folder is None else read_layout(folder).dimensions
    if dimensions is None:
        raise ConfigurationError(
            f"the files of {settings.name} do not say how many dimensions it has",
            fix=f"write {settings.name}:N",
        )
    return dimensions
