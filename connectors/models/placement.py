"""Where a network runs and in which precision, with the reason for each, which `vectrue
model info` prints.

Hazards: bfloat16 keeps float32's range, while bge-m3 overflows to NaN in float16 for
some texts; so float16 is no choice here. On a CPU without instructions for it bfloat16
is up to 100 times slower than float32, so `auto` never chooses it on a CPU.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas import extras
from schemas.errors import ConfigurationError
from schemas.settings.sections import ModelSettings

Precision = Literal["float32", "bfloat16"]
_CPUINFO = Path("/proc/cpuinfo")
_NATIVE_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Instructions for bfloat16 as Linux names them on x86-64 (the first two) and on Arm.
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and a precision, each with the reason for it in a few words."""

    device: str
    device_why: str
    dtype: str
    """`float32`, `bfloat16`, or what a model that has no choice uses."""
    dtype_why: str


def place(settings: ModelSettings) -> Placement:
    """Choose device and precision for a PyTorch network; imports torch (seconds, once
    per process).

    Raises:
        ConfigurationError: PyTorch does not know the device, or it is not there.
    """
    device, device_why = choose_device(settings.device)
    dtype, dtype_why = choose_dtype(settings, device)
    return Placement(device, device_why, dtype, dtype_why)


def choose_device(wanted: str) -> tuple[str, str]:
    """Name the device to run on, and why.

    Args:
        wanted: `auto` (CUDA where there is one, else Apple's GPU, else the CPU) or a
            device as PyTorch names it.

    Raises:
        ConfigurationError: PyTorch does not know the device, or it is not there.
    """
    with extras.needed("the model"):
        import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            return "cuda", f"model.device is auto, and PyTorch sees {torch.cuda.get_device_name()}"
        if mps:
            return "mps", "model.device is auto, and there is no CUDA device but Apple's GPU"
        return "cpu", "model.device is auto, and PyTorch sees no GPU"
    try:
        kind = torch.device(wanted).type
    except RuntimeError as error:
        raise ConfigurationError(
            f"model.device is {wanted}, which is no device", fix="set model.device = auto"
        ) from error
    if not {"cuda": cuda, "mps": mps}.get(kind, kind == "cpu"):
        raise ConfigurationError(
            f"model.device is {wanted}, and this machine has none", fix="set model.device = auto"
        )
    return wanted, f"model.device is {wanted}"


def choose_dtype(settings: ModelSettings, device: str) -> tuple[Precision, str]:
    """Precision of the network on a device, and why."""
    if settings.dtype == "auto":
        return _automatic(device)
    by = (
        "model.low_memory is true" if settings.low_memory and settings.dtype == "bfloat16" else None
    )
    why = by or f"model.dtype is {settings.dtype}"
    if settings.dtype == "bfloat16" and device == "cpu" and cpu_has_bfloat16() is False:
        why += "; this CPU has no instructions for it and is many times slower: model.dtype = float32 is the cure"
    return settings.dtype, why


def cpu_has_bfloat16() -> bool | None:
    """Whether the CPU computes bfloat16 by itself; None where the system does not say."""
    if not _CPUINFO.is_file():
        return None
    lines = _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    flags = next(
        (
            line.partition(":")[2].split()
            for line in lines
            if line.lower().startswith(("flags", "features"))
        ),
        None,
    )
    return None if flags is None else not _NATIVE_FLAGS.isdisjoint(flags)


def _automatic(device: str) -> tuple[Precision, str]:
    import torch

    if not device.startswith("cuda"):
        return "float32", "model.dtype is auto, which is bfloat16 on CUDA devices only"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "model.dtype is auto, and the CUDA device computes it by itself"
    return "float32", "model.dtype is auto, and the CUDA device has no bfloat16 of its own"
