"""A model's weights in bfloat16, converted once and stored beside the cache: half the
size, half the memory to load.

Loading float32 files in bfloat16 holds both in memory for a moment (4.3 GB for bge-m3,
libraries included); from the copy there is no such moment (2.0 GB). The numbers are the
same, bit for bit, as without the copy, so it has no model id of its own: its id is that
of the model it was made from, by whose name and revision it is found.

Hazard: nothing but the digest noted when the copy was made tells that its files are
still those; so it is checked each time the copy is loaded.
"""

import json
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.models.files import disk_room
from connectors.models.files.fingerprint import folder_digest
from connectors.models.files.layout import main_folder, needed_files
from connectors.models.loading import not_numbers
from connectors.models.weights import ITEM_BYTES, disk_bytes, read_weights
from schemas.errors import ModelUnavailable, VectrueError
from schemas.settings.reading import cache_directory

if TYPE_CHECKING:
    import torch

MAKE = "run `vectrue model pull --bf16`"
_NOTE = "made_from.json"
_FILES = "model"


def find(name: str, revision: str) -> Path | None:
    """Folder of the copy of this model at this revision (a commit, or a folder's
    digest); None: there is none.
    """
    home = _home(name, revision)
    return home / _FILES if (home / _NOTE).is_file() else None


def checked(folder: Path) -> Path:
    """The same folder, if its files are those that were written.

    Raises:
        ModelUnavailable: they are not.
    """
    note = json.loads((folder.parent / _NOTE).read_text(encoding="utf-8"))
    if folder_digest(folder) != note["digest"]:
        raise ModelUnavailable(f"the bfloat16 copy in {folder} is damaged", fix=MAKE)
    return folder


def make(source: Path, name: str, revision: str) -> tuple[Path, bool]:
    """Convert the weights of a model, unless that is done already.

    It takes the memory of the copy, and of mapped pages that the system may drop. What
    is half done when the process is killed is never found as a copy.

    Args:
        source: the model's folder.
        name: of the model.
        revision: commit, or digest of the folder.

    Returns:
        the copy's folder, and whether it was made now.

    Raises:
        VectrueError: the disk has no room, or the weights are not in float32 or
            float64.
        ModelUnavailable: the weights are not numbers only.
    """
    found = find(name, revision)
    if found is not None and _whole(found):
        return found, False
    weights = read_weights(source)
    if ITEM_BYTES.get(weights.dtype, 4) <= ITEM_BYTES["bfloat16"]:
        raise VectrueError(
            f"the weights of {name} are in {weights.dtype} already", fix="leave out --bf16"
        )
    stored = sum(file.stat().st_size for file in weights.files)
    needed = disk_bytes(source) - stored + weights.parameters * ITEM_BYTES["bfloat16"]
    home = _home(name, revision)
    disk_room.require(
        home, needed, f"the bfloat16 copy of {name}", fix="make room there, or set XDG_CACHE_HOME"
    )
    with _replacing(home) as new:
        folder = new / _FILES
        _copy_others(source, folder, leave={file.name for file in weights.files})
        _convert(weights.files, main_folder(folder))
        note = {"name": name, "revision": revision, "digest": folder_digest(folder)}
        (new / _NOTE).write_text(json.dumps(note, indent=2), encoding="utf-8")
    return home / _FILES, True


def _home(name: str, revision: str) -> Path:
    return cache_directory() / "models" / f"{name.replace('/', '--')}-{revision[:16]}-bf16"


def _whole(folder: Path) -> bool:
    try:
        checked(folder)
    except ModelUnavailable:
        return False
    return True


@contextmanager
def _replacing(home: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `home` in one step when the block ends well."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as parent:
        new = Path(parent, "new")
        new.mkdir()
        yield new
        if home.exists():
            home.rename(Path(parent, "old"))
        new.rename(home)


def _copy_others(source: Path, target: Path, leave: set[str]) -> None:
    home = main_folder(source)
    names = [f.relative_to(source).as_posix() for f in source.rglob("*") if f.is_file()]
    for name in needed_files(names):
        file = source / name
        if file.parent == home and (file.name in leave or file.name.endswith(".index.json")):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / name)


def _convert(files: tuple[Path, ...], target: Path) -> None:
    """Write the weights as safetensors; several files get an index, which is how
    transformers finds them.
    """
    from safetensors.torch import save_file

    places: dict[str, str] = {}
    target.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files, start=1):
        name = (
            "model.safetensors"
            if len(files) == 1
            else f"model-{number:05}-of-{len(files):05}.safetensors"
        )
        tensors = {key: _half(tensor) for key, tensor in _tensors(file)}
        save_file(tensors, target / name, metadata={"format": "pt"})
        places.update(dict.fromkeys(tensors, name))
    if len(files) > 1:
        index = {"metadata": {}, "weight_map": places}
        (target / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _tensors(file: Path) -> Iterator[tuple[str, "torch.Tensor"]]:
    """Names and tensors, one by one, so that the larger ones are not in memory
    together.
    """
    import torch
    from safetensors import safe_open

    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - it is no mapping
                yield key, opened.get_tensor(key)
        return
    # A file of the time before PyTorch 1.6 is no zip archive and cannot be mapped.
    try:
        loaded = torch.load(
            file, map_location="cpu", mmap=zipfile.is_zipfile(file), weights_only=True
        )
    except pickle.UnpicklingError as error:
        raise not_numbers(file.parent) from error
    yield from loaded.items()


def _half(tensor: "torch.Tensor") -> "torch.Tensor":
    """Floating numbers in bfloat16, others as they are; never a view, since two names
    may share their memory.
    """
    import torch

    dtype = torch.bfloat16 if tensor.is_floating_point() else tensor.dtype
    return tensor.to(dtype, copy=True).contiguous()
