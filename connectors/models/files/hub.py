"""Where a model's files are: a folder, or the local cache of the model hub; and
fetching them, which only `pull` does.

Hazard: weights are gigabytes, and a model that changes under a name makes stored
vectors untrue. So nothing here but `pull` uses the network, and a name is always
resolved to one commit.
"""

import re
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

from connectors.models.files import disk_room, misspelt
from connectors.models.files.layout import Layout, needed_files, read_layout, weights_present
from schemas import extras
from schemas.errors import ConfigurationError, ModelUnavailable, VectrueError
from schemas.settings.paths import is_directory
from schemas.settings.sections import ModelSettings

PULL = "run `vectrue model pull`"
_AGAIN = (
    "run it again with a network: it goes on where it stopped; or set model.name to a copy of "
    "the model's folder"
)


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What is known of a model without its files: the commit that is used, its layout,
    how many numbers it has.
    """

    commit: str
    layout: Layout
    parameters: int


KNOWN = {
    # As the files of the repository at this commit say. The numbers are those of
    # XLM-RoBERTa-large with 8,194 positions, all in float32.
    "BAAI/bge-m3": KnownFiles(
        "5617a9f61b028005a4858fdac845db406aefb181",
        Layout(
            dimensions=1024, max_tokens=8192, modules=("Transformer", "Pooling:cls", "Normalize")
        ),
        567_754_752,
    ),
}
"""Models whose identity is known without their files, so that `init` and `status` need
no weights.
"""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one model comes from.

    `name` is the repository or the base name of the folder. `commit` is None for a
    folder, and where a branch of a repository is not in the cache. `folder` is None
    when the weights are not on this machine.
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
    """`PULL` for this model, which need not be the configured one."""
    revision = f" --revision {shlex.quote(settings.revision)}" if settings.revision else ""
    return f"run `vectrue model pull {shlex.quote(settings.name)}{revision}`"


def locate(settings: ModelSettings) -> Source:
    """Find the configured model on this machine, without the network.

    A name that is a folder means that folder. Any other name is a repository; without a
    `/` one of the organisation sentence-transformers, as that library has it.

    Raises:
        ModelUnavailable: the name is a path where no complete model is.
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
    if path.is_absolute() or settings.name.startswith((".", "~")) or settings.name.count("/") > 1:
        raise ModelUnavailable(f"there is no folder {path} (model.name)", fix="correct model.name")
    repository = _repository(settings)
    revision = _revision(settings)
    cached = _cached(settings.name, repository, revision)
    if cached is None:
        commit = revision if revision and _COMMIT.fullmatch(revision) else None
        return Source(repository, commit, None, from_hub=True)
    return Source(
        repository, cached.name, cached if _is_whole(repository, cached) else None, from_hub=True
    )


def pull(settings: ModelSettings) -> tuple[Source, bool]:
    """Fetch the configured model into the local cache; the files that loading needs,
    and no others.

    Progress bars go to stderr, if that is a terminal. An interrupted download goes on
    where it stopped. HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and the proxy
    variables are honoured by the hub's library.

    Returns:
        where the model is, and whether anything was fetched.

    Raises:
        ConfigurationError: the hub has no such name or revision, or asks for access.
        VectrueError: the hub did not answer, or the disk has no room.
    """
    source = locate(settings)
    if source.folder is not None:
        return source, False
    folder = _fetch(source.name, _revision(settings))
    return Source(source.name, folder.name, folder, from_hub=True), True


def _fetch(repository: str, revision: str | None) -> Path:
    import httpx

    with extras.needed("`vectrue model pull`"):
        from huggingface_hub import errors

    at = f"{repository} at {revision or 'main'}"
    try:
        folder, commit = _download(repository, revision)
    except errors.GatedRepoError as error:
        raise ConfigurationError(
            f"the model hub asks for access to {repository}", fix="run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigurationError(
            f"the model hub has no public model {repository}", fix="correct model.name"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ConfigurationError(
            f"the model hub has no revision {at}", fix="correct model.revision"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise VectrueError(
            f"{at} is not here, and HF_HUB_OFFLINE forbids to fetch it",
            fix="unset HF_HUB_OFFLINE, or set model.name to a copy of the model's folder",
        ) from error
    except (httpx.HTTPError, errors.LocalEntryNotFoundError) as error:
        raise VectrueError(
            f"the model hub could not be reached for {at} ({type(error).__name__})", fix=_AGAIN
        ) from error
    except OSError as error:
        raise VectrueError(
            f"{at} could not be stored ({error.strerror})", fix="make room in HF_HOME"
        ) from error
    if folder.name != commit:
        raise VectrueError(
            f"{at} moved from {commit[:7]} to {folder.name[:7]} meanwhile", fix="run it again"
        )
    if not weights_present(folder):
        raise ConfigurationError(f"{at} holds no PyTorch weights", fix="choose another model.name")
    return folder


def _download(repository: str, revision: str | None) -> tuple[Path, str]:
    """The folder, named after its commit, and the commit whose files were asked for."""
    from huggingface_hub import HfApi, constants, snapshot_download

    info = HfApi().model_info(
        repository, revision=revision or constants.DEFAULT_REVISION, files_metadata=True
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    files = needed_files(list(sizes))
    commit = str(info.sha)
    cache = Path(constants.HF_HUB_CACHE)
    needed = sum(sizes[name] for name in files if not _is_cached(repository, name, commit))
    fix = "make room there, or set HF_HOME to a folder on a larger disk"
    disk_room.require(cache, needed - _begun(cache, repository), repository, fix=fix)
    with warnings.catch_warnings():
        # The library counts a file that is almost here as a whole one; the disk was
        # asked above.
        warnings.filterwarnings("ignore", message="Not enough free disk space")
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files)), commit


def _is_cached(repository: str, name: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, name, revision=commit), str)


def _begun(cache: Path, repository: str) -> int:
    """Bytes of interrupted downloads, which need no second room."""
    blobs = cache / f"models--{repository.replace('/', '--')}" / "blobs"
    return sum(file.stat().st_size for file in blobs.glob("*.incomplete"))


def _is_whole(repository: str, folder: Path) -> bool:
    """Whether a folder of the cache has the weights, and for a known model what makes
    vectors of them.

    Other programs fetch the network alone: without its modules bge-m3 would be loaded
    with mean pooling, and its other vectors would stand under the same id.
    """
    known = KNOWN.get(repository)
    if not weights_present(folder):
        return False
    return (
        known is None
        or known.commit != folder.name
        or read_layout(folder).modules == known.layout.modules
    )


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ModelUnavailable(
            f"model.name is {name}, and there is no such home", fix="write the whole path"
        ) from error


def _repository(settings: ModelSettings) -> str:
    return settings.name if "/" in settings.name else f"sentence-transformers/{settings.name}"


def _revision(settings: ModelSettings) -> str | None:
    """Commit, branch or tag that is wanted; None means whatever the cache has for
    `main`.
    """
    known = KNOWN.get(_repository(settings))
    return settings.revision or (known.commit if known else None)


def _cached(name: str, repository: str, revision: str | None) -> Path | None:
    # Without the library nothing can be looked up; `Source.required` says so.
    if not extras.is_installed("huggingface_hub"):
        return None
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        meant = misspelt.meant(name)
        raise ConfigurationError(
            f"model.name is {name}, which is neither a folder nor a model's name",
            fix=f"correct model.name, to {meant} perhaps" if meant else "correct model.name",
        ) from error
