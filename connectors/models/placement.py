"""Where a network runs and in which precision, with the reasons that `vectrue model
info` prints.

Hazards:
- bge-m3 overflows to NaN in float16 for some texts, so float16 cannot be chosen.
  bfloat16 has the range of float32.
- On a CPU without instructions for it, bfloat16 is up to 100 times slower than float32,
  so `auto` never chooses it on a CPU.
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
    """`float32`, `bfloat16`, or what a model without a choice uses."""
    dtype_why: str


def place(settings: ModelSettings) -> Placement:
    """Choose device and precision for a PyTorch network; imports torch (seconds, once
    per process).

    Args:
        settings: the `[model]` section.

    Raises:
        ConfigurationError: PyTorch does not know the device, or this machine has none.
    """
    device, device_why = choose_device(settings.device)
    dtype, dtype_why = choose_dtype(settings, device)
    return Placement(device, device_why, dtype, dtype_why)


def choose_device(wanted: str) -> tuple[str, str]:
    """Return the device to run on, and why.

    Args:
        wanted: `auto` (CUDA if there is one, else Apple's GPU, else the CPU) or a
            device as PyTorch names it.

    Raises:
        ConfigurationError: PyTorch does not know the device, or this machine has none.
    """
    with extras.needed("the model"):
        import torch

    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        if cuda:
            name = torch.cuda.get_device_name()
            return "cuda", f"model.device is auto, and PyTorch sees {name}"
        if mps:
            return "mps", "model.device is auto, and PyTorch sees no CUDA but Apple's GPU"
        return "cpu", "model.device is auto, and PyTorch sees no GPU"
    try:
        kind = torch.device(wanted).type
    except RuntimeError as error:
        raise ConfigurationError(
            f"model.device is {wanted}, which is not a device",
            fix="set model.device = auto",
        ) from error
    if not {"cpu": True, "cuda": cuda, "mps": mps}.get(kind, False):
        raise ConfigurationError(
            f"model.device is {wanted}, and this machine has none",
            fix="set model.device = auto",
        )
    return wanted, f"model.device is {wanted}"


def choose_dtype(settings: ModelSettings, device: str) -> tuple[Precision, str]:
    """Return the precision of the network on a device, and why.

    Args:
        settings: the `[model]` section.
        device: as `choose_device` returned it.
    """
    if settings.dtype == "auto":
        return _automatic(device)
    half = settings.dtype == "bfloat16"
    why = f"model.dtype is {settings.dtype}"
    if half and settings.low_memory:
        why = "model.low_memory is true"
    # False, not None: a system that does not say gets no warning.
    if half and device == "cpu" and cpu_has_bfloat16() is False:
        why += (
            "; this CPU has no instructions for it and is many times slower: "
            "set model.dtype = float32"
        )
    return settings.dtype, why


def cpu_has_bfloat16() -> bool | None:
    """Return whether the CPU computes bfloat16 itself; None: the system does not say."""
    if not _CPUINFO.is_file():
        return None
    lines = _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    for line in lines:
        if line.lower().startswith(("flags", "features")):
            flags = line.partition(":")[2].split()
            return not _NATIVE_FLAGS.isdisjoint(flags)
    return None


def _automatic(device: str) -> tuple[Precision, str]:
    import torch

    if not device.startswith("cuda"):
        return "float32", "model.dtype is auto, which is bfloat16 on CUDA devices only"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "model.dtype is auto, and the CUDA device supports it"
    return "float32", "model.dtype is auto, and the CUDA device has no bfloat16"
