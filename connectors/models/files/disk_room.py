"""Room on a disk, asked before anything of gigabytes is written: a full disk harms more
than this program.
"""

import shutil
from pathlib import Path

from schemas.errors import VectrueError


def require(folder: Path, needed: int, what: str, *, fix: str) -> None:
    """Refuse to begin what will not fit.

    Args:
        folder: where it would be written; need not be there yet.
        needed: bytes.
        what: subject of the sentence.
        fix: what makes room.

    Raises:
        VectrueError: the disk has less free; names both numbers and the folder.
    """
    free = free_bytes(folder)
    if free < needed:
        raise VectrueError(
            f"{what} needs {needed:,} bytes in {folder}, and {free:,} are free", fix=fix
        )


def free_bytes(folder: Path) -> int:
    """Bytes that can be written on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(
        next(place for place in (folder, *folder.parents) if place.is_dir())
    ).free
