"""Find a model's files, in a folder or in the local cache of the model hub.

Hazard: a model that changes under a name makes stored vectors untrue. So a name is
always resolved to one commit, and nothing here uses the network.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from connectors.models.files import misspelt
from connectors.models.files.layout import Layout, read_layout, weights_present
from schemas import extras
from schemas.errors import ConfigurationError, ModelUnavailable
from schemas.settings.paths import is_directory
from schemas.settings.sections import ModelSettings

PULL = "run `vectrue model pull`"


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What is known about a model without its files.

    Attributes:
        commit: the one that is used unless `model.revision` names another.
        layout: as the files at this commit say.
        parameters: numbers in the network.
    """

    commit: str
    layout: Layout
    parameters: int


KNOWN = {
    # The parameters are those of XLM-RoBERTa-large with 8,194 positions, all in float32.
    "BAAI/bge-m3": KnownFiles(
        commit="5617a9f61b028005a4858fdac845db406aefb181",
        layout=Layout(
            dimensions=1024,
            max_tokens=8192,
            modules=("Transformer", "Pooling:cls", "Normalize"),
        ),
        parameters=567_754_752,
    ),
}
"""Models whose identity is known without their files, so that `init` and `status` need
no weights.
"""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one model comes from.

    Attributes:
        name: the repository, or the base name of the folder.
        commit: None for a folder, and for a branch that is not in the cache.
        folder: None if the weights are not on this machine.
        from_hub: whether it comes from a repository.
    """

    name: str
    commit: str | None
    folder: Path | None
    from_hub: bool

    def required(self) -> Path:
        """Return the folder with the weights.

        Raises:
            ModelUnavailable: they are not on this machine.
        """
        if self.folder is None:
            if not extras.is_installed("huggingface_hub"):
                raise ModelUnavailable(
                    f"the weights of {self.name} cannot be looked up without the package "
                    "huggingface_hub, which is not installed",
                    fix="run `pip install 'vectrue[models]'`",
                )
            at = f" at {self.commit[:7]}" if self.commit else ""
            meant = misspelt.meant(self.name)
            fix = f"correct model.name, if {meant} was meant; else {PULL}" if meant else PULL
            raise ModelUnavailable(
                f"the weights of {self.name}{at} are not in the local model cache", fix=fix
            )
        return self.folder


def pulling(settings: ModelSettings) -> str:
    """Return `PULL` for this model, which need not be the configured one."""
    arguments = shlex.quote(settings.name)
    if settings.revision:
        arguments += f" --revision {shlex.quote(settings.revision)}"
    return f"run `vectrue model pull {arguments}`"


def locate(settings: ModelSettings) -> Source:
    """Find the configured model on this machine, without the network.

    A name that is a folder means that folder. Any other name is a repository. Without a
    `/` it is one of the organisation sentence-transformers, as in that library.

    Raises:
        ModelUnavailable: the name is a path, and there is no complete model.
        ConfigurationError: the name can be neither.
    """
    path = _path(settings.name)
    if is_directory(path):
        folder = path.resolve()
        if not weights_present(folder):
            raise ModelUnavailable(
                f"the folder {folder} (model.name) holds no complete model",
                fix="correct model.name",
            )
        return Source(folder.name, None, folder, from_hub=False)
    if _is_path(settings.name):
        raise ModelUnavailable(f"there is no folder {path} (model.name)", fix="correct model.name")
    repository = _repository(settings)
    revision = wanted_revision(settings)
    cached = _cached(settings.name, repository, revision)
    if cached is None:
        commit = revision if revision and _COMMIT.fullmatch(revision) else None
        return Source(repository, commit, None, from_hub=True)
    whole = _is_whole(repository, cached)
    return Source(repository, cached.name, cached if whole else None, from_hub=True)


def wanted_revision(settings: ModelSettings) -> str | None:
    """Return the commit, branch or tag that is wanted; None: the cache's `main`."""
    known = KNOWN.get(_repository(settings))
    return settings.revision or (known.commit if known else None)


def _is_path(name: str) -> bool:
    """Return whether a name can only be a path, since repositories are `owner/name`."""
    absolute = _path(name).is_absolute()
    return absolute or name.startswith((".", "~")) or name.count("/") > 1


def _is_whole(repository: str, folder: Path) -> bool:
    """Return whether a folder of the cache has the weights, and for a known model also
    its modules.
    """
    known = KNOWN.get(repository)
    if not weights_present(folder):
        return False
    if known is None or known.commit != folder.name:
        return True
    # Other programs fetch the network alone. Without its modules bge-m3 would be loaded
    # with mean pooling: other vectors under the same id.
    return read_layout(folder).modules == known.layout.modules


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ModelUnavailable(
            f"model.name is {name}, and there is no such home directory",
            fix="write the whole path",
        ) from error


def _repository(settings: ModelSettings) -> str:
    if "/" in settings.name:
        return settings.name
    return f"sentence-transformers/{settings.name}"


def _cached(name: str, repository: str, revision: str | None) -> Path | None:
    # Without the library nothing can be looked up; `Source.required` says so.
    if not extras.is_installed("huggingface_hub"):
        return None
    from huggingface_hub import errors, snapshot_download

    try:
        folder = snapshot_download(repository, revision=revision, local_files_only=True)
    except errors.LocalEntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        meant = misspelt.meant(name)
        raise ConfigurationError(
            f"model.name is {name}, which is neither a folder nor a model's name",
            fix=f"correct model.name, to {meant} perhaps" if meant else "correct model.name",
        ) from error
    return Path(folder)
