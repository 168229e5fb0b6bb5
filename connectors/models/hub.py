"""Where a model's files are: a folder, or the local cache of the model hub; and fetching them, which only `pull` does.

Hazard: weights are gigabytes, and a model that changes under a name makes stored vectors untrue. So nothing here
but `pull` uses the network, and a name is always resolved to one commit.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.models.layout import Layout, needed_files, weights_present
from schemas.errors import ConfigurationError, EmbedsyncError, ModelUnavailable
from schemas.sections import ModelSettings

PULL = "run `embedsync model pull`"

KNOWN = {
    # As the files of the repository at this commit say.
    "BAAI/bge-m3": (
        "5617a9f61b028005a4858fdac845db406aefb181",
        Layout(dimensions=1024, max_tokens=8192, modules=("Transformer", "Pooling:cls", "Normalize")),
    ),
}
"""Models whose identity is known without their files, so that `init` and `status` need no weights."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one model comes from.

    `name` is the repository or the base name of the folder. `commit` is None for a folder, and where a branch of a
    repository is not in the cache. `folder` is None when the weights are not on this machine.
    """

    name: str
    commit: str | None
    folder: Path | None
    from_hub: bool

    def required(self) -> Path:
        """The folder with the weights.

        Raises:
            ModelUnavailable: they are not on this machine.
        """
        if self.folder is None:
            at = f" at {self.commit[:7]}" if self.commit else ""
            raise ModelUnavailable(f"the weights of {self.name}{at} are not in the local model cache", fix=PULL)
        return self.folder


def locate(settings: ModelSettings) -> Source:
    """Find the configured model on this machine, without the network.

    A name that is a folder means that folder. Any other name is a repository; without a `/` one of the
    organisation sentence-transformers, as that library has it.

    Raises:
        ModelUnavailable: the name is a path where no complete model is.
        ConfigurationError: the name can be neither.
    """
    path = Path(settings.name).expanduser()
    if path.is_dir():
        folder = path.resolve()
        if not weights_present(folder):
            raise ModelUnavailable(
                f"the folder {folder} (model.name) holds no complete model", fix="correct model.name"
            )
        return Source(folder.name, None, folder, from_hub=False)
    if path.is_absolute() or settings.name.startswith((".", "~")) or settings.name.count("/") > 1:
        raise ModelUnavailable(f"there is no folder {path} (model.name)", fix="correct model.name")
    repository = _repository(settings)
    revision = _revision(settings)
    cached = _cached(repository, revision)
    if cached is None:
        commit = revision if revision and _COMMIT.fullmatch(revision) else None
        return Source(repository, commit, None, from_hub=True)
    return Source(repository, cached.name, cached if weights_present(cached) else None, from_hub=True)


def pull(settings: ModelSettings) -> tuple[Path, bool]:
    """Fetch the configured model into the local cache; the files that loading needs, and no others.

    Progress bars go to stderr. An interrupted download goes on where it stopped.

    Returns:
        the folder, and whether anything was fetched.

    Raises:
        ConfigurationError: the hub has no such name or revision, or asks for access.
        EmbedsyncError: the hub did not answer.
    """
    source = locate(settings)
    if source.folder is not None:
        return source.folder, False
    return _fetch(source.name, _revision(settings)), True


def _fetch(repository: str, revision: str | None) -> Path:
    import httpx
    from huggingface_hub import HfApi, errors, snapshot_download

    at = f"{repository} at {revision or 'main'}"
    try:
        files: Sequence[str] = needed_files(HfApi().list_repo_files(repository, revision=revision))
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(files)))
    except errors.GatedRepoError as error:
        raise ConfigurationError(f"the model hub asks for access to {repository}", fix="run `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigurationError(f"the model hub has no public model {repository}", fix="correct model.name") from error
    except errors.RevisionNotFoundError as error:
        raise ConfigurationError(f"the model hub has no revision {at}", fix="correct model.revision") from error
    except (httpx.HTTPError, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise EmbedsyncError(
            f"the model hub could not be reached for {at} ({type(error).__name__})",
            fix="try again with a network, or copy the model's folder here and set model.name to its path",
        ) from error
    except OSError as error:
        raise EmbedsyncError(f"{at} could not be stored ({error.strerror})", fix="make room in HF_HOME") from error
    if not weights_present(folder):
        raise ConfigurationError(f"{at} holds no PyTorch weights", fix="choose another model.name")
    return folder


def _repository(settings: ModelSettings) -> str:
    return settings.name if "/" in settings.name else f"sentence-transformers/{settings.name}"


def _revision(settings: ModelSettings) -> str | None:
    """Commit, branch or tag that is wanted; None means whatever the cache has for `main`."""
    known = KNOWN.get(_repository(settings))
    return settings.revision or (known[0] if known else None)


def _cached(repository: str, revision: str | None) -> Path | None:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        raise ConfigurationError(
            f"model.name is {repository}, which is neither a folder nor a model's name", fix="correct model.name"
        ) from error
