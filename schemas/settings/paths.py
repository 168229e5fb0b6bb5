"""Paths from the command line and the settings, which may be too long for any file."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False if the name is too long for one."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_directory(path: Path) -> bool:
    """Return whether there is such a folder; False if the name is too long for one."""
    try:
        return path.is_dir()
    except OSError:
        return False
