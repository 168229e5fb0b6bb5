"""Paths that somebody writes: one that no file can have is the path of no file."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is such a file; not so for a name that is too long to be one."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_directory(path: Path) -> bool:
    """Whether there is such a folder; not so for a name that is too long to be one."""
    try:
        return path.is_dir()
    except OSError:
        return False
