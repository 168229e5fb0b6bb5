"""Free disk space, checked before gigabytes are written.

Hazard: a full disk harms every program on the machine, not only this one.
"""

import shutil
from pathlib import Path

from schemas.errors import VectrueError


def require(folder: Path, needed: int, what: str, *, fix: str) -> None:
    """Refuse to write what will not fit.

    Args:
        folder: where it would be written; need not exist yet.
        needed: bytes.
        what: subject of the error's sentence.
        fix: how to make room.

    Raises:
        VectrueError: the disk has less free space; names both numbers and the folder.
    """
    free = free_bytes(folder)
    if free < needed:
        raise VectrueError(
            f"{what} needs {needed:,} bytes in {folder}, and {free:,} are free", fix=fix
        )


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free
