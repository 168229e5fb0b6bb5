"""Memory of this process, now and at its largest, and giving freed memory back to the
operating system.
"""

import ctypes
import gc
import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")


def resident_bytes() -> int | None:
    """Resident set size of this process in bytes; None where the system has no /proc."""
    if not _STATM.is_file():
        return None
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def peak_bytes() -> int | None:
    """Most that this process was ever resident, in bytes; None where the system has no
    /proc.

    Not `getrusage`: its figure survives exec, so that a child begins with what its
    parent had.
    """
    if not _STATUS.is_file():
        return None
    lines = dict(
        line.split(":", 1)
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    )
    return int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None


def device_peak_bytes() -> int | None:
    """Most memory that PyTorch has held on a CUDA device in this process; None where it
    uses none.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


def available_bytes() -> int | None:
    """Memory that a new process can get without swapping, in bytes; None where the
    system has no /proc.

    Of the machine: a container's own limit is not looked at.
    """
    if not _MEMINFO.is_file():
        return None
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def release_memory() -> None:
    """Collect garbage and hand free memory back: the GPU's to its driver, the heap's to
    the system (glibc only).

    glibc keeps freed blocks below its threshold for itself; without `malloc_trim` an
    unloaded model stays resident.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
