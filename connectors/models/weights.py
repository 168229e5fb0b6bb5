"""How large a model is, on disk and in memory, read from its files without loading
them.

Hazard: the memory of a batch is an estimate of the worst case, in which every text is
as long as the limit. `vectrue model check` measures what a process really takes.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from connectors.models.files.layout import (
    files_below,
    main_folder,
    needed_files,
    read_json,
)
from connectors.models.placement import Placement
from schemas import extras
from schemas.errors import ModelUnavailable

ITEM_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}
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
    """How many numbers are in the network, and in which precision they are stored."""

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
    """The same while it is loaded: if the files have another precision, both are in
    memory for a moment.
    """
    batch_bytes: int | None = None
    """What the largest batch takes in addition: `model.batch_size` texts, each as long
    as the limit.
    """


def read_weights(folder: Path) -> Weights:
    """Count the network's weights in a model's folder.

    Args:
        folder: of the model, which is on this machine.

    Raises:
        ModelUnavailable: a file is damaged.
    """
    home = main_folder(folder)
    files = _weight_files(home)
    if files and files[0].suffix == ".safetensors":
        return _read_headers(files)
    config = read_json(home / "config.json")
    stated = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    dtype = stated.removeprefix("torch.")
    # A pickle also holds the names of the tensors: a few thousand bytes, not counted.
    stored = sum(file.stat().st_size for file in files)
    return Weights(stored // ITEM_BYTES.get(dtype, 4), dtype)


def disk_bytes(folder: Path) -> int:
    """Size of the files that loading needs."""
    needed = needed_files(files_below(folder))
    return sum((folder / name).stat().st_size for name in needed)


def footprint(
    weights: Weights, placement: Placement, *, tokens: int | None, width: int | None
) -> Footprint:
    """Work out how much memory a network takes where it is placed.

    Args:
        weights: what is stored.
        placement: device and precision.
        tokens: of the largest batch, padding included; None: there is no limit.
        width: length of a token's vector inside the network; None: not known.
    """
    loaded = weights.parameters * ITEM_BYTES[placement.dtype]
    if not placement.device.startswith("cuda"):
        loaded += _LIBRARIES_BYTES
    peak = loaded
    if weights.dtype != placement.dtype:
        # Conversion happens in the process's memory, whatever the device.
        peak += weights.parameters * ITEM_BYTES.get(weights.dtype, 4)
    batch = None
    if tokens is not None and width is not None:
        batch = math.ceil(tokens * _SLOT_BYTES * width / _WIDTH)
    return Footprint(
        parameters=weights.parameters,
        memory_bytes=loaded,
        load_peak_bytes=peak,
        batch_bytes=batch,
    )


def _weight_files(home: Path) -> list[Path]:
    """Return the files that transformers would load, in its order; empty if there are
    none.
    """
    for name in _NAMES:
        if (home / name).is_file():
            return [home / name]
        shards = read_json(home / f"{name}.index.json").get("weight_map", {}).values()
        if shards:
            return [home / shard for shard in sorted(set(shards))]
    return []


def _read_headers(files: list[Path]) -> Weights:
    """Count the weights in safetensors files, whose headers name each tensor."""
    with extras.needed("the model"):
        from safetensors import SafetensorError, safe_open

    parameters = 0
    dtype = ""
    for file in files:
        try:
            # The numbers themselves are not read, so numpy need not know bfloat16.
            with safe_open(file, framework="numpy") as opened:
                for name in opened.offset_keys():
                    tensor = opened.get_slice(name)
                    parameters += math.prod(tensor.get_shape())
                    dtype = dtype or _SAFETENSORS.get(tensor.get_dtype(), "")
        except SafetensorError as error:
            raise ModelUnavailable(
                f"{file} is not a file of weights", fix="fetch the model again"
            ) from error
    return Weights(parameters, dtype or "float32")
