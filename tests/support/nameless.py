"""A user id that has no name and no home: what a container has that was started with
any `--user`.
"""

from pathlib import Path

import pytest

_SITE = """
import pwd

def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = unknown
"""
_NAMES = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME")


def nameless(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Every Python that this test starts finds no name and no home for its user."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(directory))
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
