"""Memory of this process, now and at its peak, and its release to the system."""

import ctypes
import gc
import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")


def resident_bytes() -> int | None:
    """Return the resident set size of this process in bytes; None: there is no /proc."""
    if not _STATM.is_file():
        return None
    pages = int(_STATM.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def peak_bytes() -> int | None:
    """Return the peak resident set size of this process in bytes; None: there is no
    /proc.
    """
    # Not getrusage: its figure survives exec, so a child would begin with its parent's.
    if not _STATUS.is_file():
        return None
    text = _STATUS.read_text(encoding="ascii", errors="replace")
    return _kibibytes(text, "VmHWM")


def device_peak_bytes() -> int | None:
    """Return the most memory that PyTorch has held on a CUDA device in this process;
    None: it uses none.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


def available_bytes() -> int | None:
    """Return the memory that a new process can get without swapping, in bytes; None:
    there is no /proc.

    It is that of the machine: a container's own limit is not considered.
    """
    if not _MEMINFO.is_file():
        return None
    return _kibibytes(_MEMINFO.read_text(encoding="ascii"), "MemAvailable")


def _kibibytes(text: str, name: str) -> int | None:
    """Return a value of a /proc file in bytes; None: it has no line of this name."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None


def release_memory() -> None:
    """Collect garbage and release free memory: the GPU's to its driver, the heap's to
    the system (glibc only).
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # glibc keeps small freed blocks: without it an unloaded model stays resident.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
