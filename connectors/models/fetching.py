"""Bringing a model onto this machine, once: `vectrue model pull`.

Hazard: the only caller of the network among the models; gigabytes for bge-m3, so the
disk is asked first.
"""

from dataclasses import dataclass
from pathlib import Path

from connectors.models import half_copy
from connectors.models.choice import choose
from schemas.errors import VectrueError
from schemas.settings.sections import ModelSettings


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is here now; None: the model has no such thing."""

    name: str
    location: Path | None
    commit: str | None
    """Of the repository; None for what does not come from the hub."""
    fetched: bool
    """Whether anything was, now."""


def fetch_model(settings: ModelSettings) -> Fetched:
    """Bring the configured model onto this machine where that takes a download;
    progress bars on stderr.

    Raises:
        ModelUnavailable: it comes in a package that is not installed, or from a folder
            that is not there.
        ConfigurationError: the model hub has no such name or revision, or asks for
            access.
        VectrueError: the model hub did not answer, or the disk has no room.
    """
    model = choose(settings)
    if model.kind != "sentence-transformers":
        return Fetched(settings.name, model.location(), None, fetched=False)
    from connectors.models.files import hub

    source, fetched = hub.pull(settings)
    return Fetched(source.name, source.required(), source.commit, fetched)


def store_half_copy(settings: ModelSettings) -> tuple[Path, bool]:
    """Store the weights of a model that is here in bfloat16 as well.

    Returns:
        the copy's folder, and whether it was made now.

    Raises:
        VectrueError: the model has no such weights, or the disk has no room.
        ModelUnavailable: the weights are not here.
    """
    model = choose(settings)
    location = model.location()
    if model.kind != "sentence-transformers" or location is None:
        raise VectrueError(
            f"{settings.name} has no weights that could be converted", fix="leave out --bf16"
        )
    # From the files, not through the settings: what they say of dimensions and limits
    # does not matter here.
    from connectors.models.files import hub
    from connectors.models.files.fingerprint import folder_digest

    source = hub.locate(settings)
    return half_copy.make(location, source.name, source.commit or folder_digest(location))
