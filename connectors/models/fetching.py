"""Fetch a model onto this machine, once: `vectrue model pull`."""

from dataclasses import dataclass
from pathlib import Path

from connectors.models.choice import choose
from connectors.models.files import download
from schemas.settings.sections import ModelSettings


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is on this machine now; None: the model has no such thing."""

    name: str
    location: Path | None
    commit: str | None
    """Of the repository; None for a model that is not from the hub."""
    fetched: bool
    """Whether anything was downloaded by this call."""


def fetch_model(settings: ModelSettings) -> Fetched:
    """Fetch the configured model if that needs a download; progress bars on stderr.

    Args:
        settings: the `[model]` section.

    Raises:
        ModelUnavailable: it comes in a package that is not installed, or from a folder
            that does not exist.
        ConfigurationError: the model hub has no such name or revision, or requires
            access.
        VectrueError: the model hub did not answer, or the disk is full.
    """
    model = choose(settings)
    if model.kind != "sentence-transformers":
        return Fetched(settings.name, model.location(), commit=None, fetched=False)
    source, fetched = download.pull(settings)
    return Fetched(source.name, source.required(), source.commit, fetched)
