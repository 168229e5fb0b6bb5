"""The command that this process runs, as it was typed, for sentences that say what to repeat.

A helper that many commands share names this one, and never the command it was first written for. One process runs one
command, whatever its threads do, so it is kept for the process.
"""

import shlex
from collections.abc import Sequence

_typed: list[str] = []


def begin(arguments: Sequence[str]) -> None:
    """Remember the arguments, without the program's own name; none forgets them."""
    _typed[:] = arguments


def again() -> str:
    """What stands behind "repeat": "`embedsync migrate rollback`", or "the command" where none is known."""
    return f"`embedsync {shlex.join(_typed)}`" if _typed else "the command"


def is_running(name: str) -> bool:
    """Whether this is the command: for advice that would be to call what is being called."""
    return name in _typed
