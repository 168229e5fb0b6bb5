"""How large a model is, on disk and in memory, read from its files without loading
them.

Hazard: the memory of a batch is an estimate of the worst case, in which every text is
as long as the limit. What a process really took is measured by `vectrue model check`.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from connectors.models.files.layout import main_folder, needed_files, read_json
from connectors.models.placement import Placement
from schemas.errors import ModelUnavailable

ITEM_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_SAFETENSORS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NAMES = ("model.safetensors", "pytorch_model.bin")
_SLOT_BYTES = 50_000
"""Of one token in a batch, at a width of 1,024 and with PyTorch's fused attention.
Measured on a network of bge-m3's shape with 2,048 to 16,384 tokens in a batch: 40,000
to 77,000 bytes in float32, 40,000 to 50,000 in bfloat16.
"""
_WIDTH = 1024
_LIBRARIES_BYTES = 850_000_000
"""Resident memory of a process that has imported PyTorch 2.15 (CPU) and
sentence-transformers 6.2, before any model. With a network of bge-m3's shape the sums
are 3.1 GB (float32), 2.0 GB (bfloat16) and 4.3 GB while float32 files are loaded in
bfloat16; measured were 2.6 GB, since of the vocabulary only words that occur are read,
2.0 GB and 4.3 GB.
"""


@dataclass(frozen=True, slots=True)
class Weights:
    """The network's own weights: their files, how many numbers are in them, and of
    which kind.
    """

    files: tuple[Path, ...]
    parameters: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Footprint:
    """Sizes of a model; None: not known, or does not apply."""

    parameters: int | None = None
    """Numbers in the network."""
    size_bytes: int | None = None
    """The files that loading needs."""
    memory_bytes: int | None = None
    """The model in memory, in the precision chosen; on a CPU with PyTorch and its
    libraries.
    """
    load_peak_bytes: int | None = None
    """The same while it is loaded: with another precision on disk both are there for a
    moment.
    """
    batch_bytes: int | None = None
    """What the largest batch takes beside it: `model.batch_size` texts, each as long as
    the limit.
    """


def read_weights(folder: Path) -> Weights:
    """Find the network's weights in a model's folder: the files that transformers would
    load, in its order.

    Raises:
        ModelUnavailable: a file is damaged.
    """
    home = main_folder(folder)
    files = next(filter(None, (_listed(home, name) for name in _NAMES)), ())
    if files and files[0].suffix == ".safetensors":
        tensors = [tensor for file in files for tensor in _header(file)]
        kinds = [_SAFETENSORS[kind] for kind, _ in tensors if kind in _SAFETENSORS]
        return Weights(files, sum(count for _, count in tensors), kinds[0] if kinds else "float32")
    config = read_json(home / "config.json")
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix(
        "torch."
    )
    # The few thousand bytes of names beside the numbers do not count.
    return Weights(
        files, sum(file.stat().st_size for file in files) // ITEM_BYTES.get(dtype, 4), dtype
    )


def disk_bytes(folder: Path) -> int:
    """Size of the files that loading needs."""
    names = [f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()]
    return sum((folder / name).stat().st_size for name in needed_files(names))


def footprint(
    weights: Weights, placement: Placement, *, tokens: int | None, width: int | None
) -> Footprint:
    """Work out what a network takes where it is placed.

    Args:
        weights: what is stored.
        placement: device and precision.
        tokens: of the largest batch, padding included; None: there is no limit.
        width: length of a token's vector inside the network; None: not known.
    """
    libraries = 0 if placement.device.startswith("cuda") else _LIBRARIES_BYTES
    loaded = weights.parameters * ITEM_BYTES[placement.dtype]
    # What is converted is converted in the process's memory, whatever the device.
    beside = (
        0
        if weights.dtype == placement.dtype
        else weights.parameters * ITEM_BYTES.get(weights.dtype, 4)
    )
    batch = (
        None
        if tokens is None or width is None
        else math.ceil(tokens * _SLOT_BYTES * width / _WIDTH)
    )
    return Footprint(
        weights.parameters, None, libraries + loaded, libraries + loaded + beside, batch
    )


def _listed(home: Path, name: str) -> tuple[Path, ...]:
    """The file of this name, or those that its index lists; none where there is
    neither.
    """
    if (home / name).is_file():
        return (home / name,)
    shards = set(read_json(home / f"{name}.index.json").get("weight_map", {}).values())
    return tuple(home / shard for shard in sorted(shards))


def _header(file: Path) -> list[tuple[str, int]]:
    """Kind and count of each tensor in a safetensors file, from its header."""
    try:
        with file.open("rb") as stream:
            [length] = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        return [
            (t["dtype"], math.prod(t["shape"]))
            for name, t in header.items()
            if name != "__metadata__"
        ]
    except (struct.error, ValueError, KeyError) as error:
        raise ModelUnavailable(
            f"{file} is no file of weights", fix="fetch the model again"
        ) from error
