"""Fetch a model's files into the local cache of the model hub: `vectrue model pull`.

Hazard: weights are gigabytes (2.3 GB for bge-m3). Nothing else of vectrue uses the
model hub's network, and the free disk space is checked first.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.models.files import disk_room
from connectors.models.files.hub import Source, locate, wanted_revision
from connectors.models.files.layout import needed_files, weights_present
from schemas import extras
from schemas.errors import ConfigurationError, VectrueError
from schemas.settings.sections import ModelSettings

_RESUME = (
    "run it again when the network works: it resumes where it stopped; or set model.name to "
    "a copy of the model's folder"
)


def pull(settings: ModelSettings) -> tuple[Source, bool]:
    """Fetch the files of the configured model that loading needs, and no others.

    Progress bars go to stderr, if that is a terminal. An interrupted download resumes
    where it stopped. The hub's library honours HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE,
    HF_TOKEN and the proxy variables.

    Returns:
        where the model is, and whether anything was fetched.

    Raises:
        ConfigurationError: the hub has no such name or revision, or requires access.
        VectrueError: the hub did not answer, or the disk is full.
    """
    source = locate(settings)
    if source.folder is not None:
        return source, False
    folder = _fetch(source.name, wanted_revision(settings))
    return Source(source.name, folder.name, folder, from_hub=True), True


def _fetch(repository: str, revision: str | None) -> Path:
    at = f"{repository} at {revision or 'main'}"
    with _hub_errors(repository, at):
        folder, commit = _download(repository, revision)
    if folder.name != commit:
        raise VectrueError(
            f"{at} moved from {commit[:7]} to {folder.name[:7]} during the download",
            fix="run it again",
        )
    if not weights_present(folder):
        raise ConfigurationError(f"{at} holds no PyTorch weights", fix="choose another model.name")
    return folder


@contextmanager
def _hub_errors(repository: str, at: str) -> Iterator[None]:
    """Turn errors of the hub's library into sentences with a fix."""
    import httpx

    with extras.needed("`vectrue model pull`"):
        from huggingface_hub import errors

    # From the special to the general: the library's errors are subclasses of each other.
    try:
        yield
    except errors.GatedRepoError as error:
        raise ConfigurationError(
            f"the model hub requires access to {repository}", fix="run `hf auth login`"
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
            f"{at} is not here, and HF_HUB_OFFLINE does not allow a download",
            fix="unset HF_HUB_OFFLINE, or set model.name to a copy of the model's folder",
        ) from error
    except (httpx.HTTPError, errors.LocalEntryNotFoundError) as error:
        raise VectrueError(
            f"the model hub could not be reached for {at} ({type(error).__name__})",
            fix=_RESUME,
        ) from error
    except OSError as error:
        raise VectrueError(
            f"{at} could not be stored ({error.strerror})", fix="make room in HF_HOME"
        ) from error


def _download(repository: str, revision: str | None) -> tuple[Path, str]:
    """Return the folder, named after its commit, and the commit whose files were asked
    for.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    asked = revision or constants.DEFAULT_REVISION
    info = HfApi().model_info(repository, revision=asked, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    files = needed_files(list(sizes))
    commit = str(info.sha)
    cache = Path(constants.HF_HUB_CACHE)
    needed = -_begun(cache, repository)
    for name in files:
        if not _is_cached(repository, name, commit):
            needed += sizes[name]
    fix = "make room there, or set HF_HOME to a folder on a larger disk"
    disk_room.require(cache, needed, repository, fix=fix)
    with warnings.catch_warnings():
        # The library counts a file that is almost complete as a whole one; the disk
        # was checked above.
        warnings.filterwarnings("ignore", message="Not enough free disk space")
        folder = snapshot_download(repository, revision=revision, allow_patterns=files)
    return Path(folder), commit


def _is_cached(repository: str, name: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, name, revision=commit), str)


def _begun(cache: Path, repository: str) -> int:
    """Return the bytes of interrupted downloads, which are on the disk already."""
    blobs = cache / f"models--{repository.replace('/', '--')}" / "blobs"
    return sum(file.stat().st_size for file in blobs.glob("*.incomplete"))
