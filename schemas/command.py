"""The command that this process runs, as it was typed.

It is for sentences that say what to repeat, or to type next.

A helper that many commands share names this one, and never the command it was first
written for. One process runs one command, whatever its threads do, so it is kept for
the process.
"""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

_typed: list[str] = []
_READ_SETTINGS = (
    "init|doctor|worker|status|lag|replay|migrate|verify|adopt|dlq|search|compare"
    "|serve|quality|score|model|config"
)
_NAMED = re.compile(rf"\bvectrue (?=(?:{_READ_SETTINGS})\b)")
_DEFAULT_FILE = re.compile(r"(?<![/\w.-])vectrue\.toml\b")


def begin(arguments: Sequence[str]) -> None:
    """Remember the arguments, without the program's own name; none forgets them."""
    _typed[:] = arguments


def again() -> str:
    """The typed command in backquotes, or "the command" where none is known."""
    return f"`vectrue {shlex.join(_typed)}`" if _typed else "the command"


def _config() -> str | None:
    """The settings file that was typed, before the command's own name."""
    for argument, following in pairwise([*_typed, ""]):
        if argument.startswith("--config="):
            return argument.removeprefix("--config=")
        if argument == "--config":
            return following
        if not argument.startswith("-"):
            return None
    return None


def completed(sentence: str) -> str:
    """A sentence with this command's `--config` in every command and settings file.

    What is copied from it would else be about the file of the working directory, which
    may be another installation's.
    """
    config = _config()
    if config is None:
        return sentence
    option, file = f"vectrue --config {shlex.quote(config)} ", config
    # A plain string as replacement would have its backslashes read as escapes.
    return _DEFAULT_FILE.sub(lambda _: file, _NAMED.sub(lambda _: option, sentence))


def is_running(name: str) -> bool:
    """Whether this is the command, so that no advice says to call it."""
    return name in _typed
