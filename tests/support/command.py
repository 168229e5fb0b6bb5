"""The command line run in the test's own process, from its arguments to its exit code:
a process costs seconds.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import structlog

from schemas import command
from streams.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Vectrue = Callable[..., Done]
"""Takes the arguments, and `stdin` as bytes."""


@contextmanager
def process_of_its_own() -> Iterator[None]:
    """Forget at the end what a command keeps for its process: its own name, and logs
    that go to streams which are closed behind it.
    """
    try:
        yield
    finally:
        command.begin([])
        structlog.reset_defaults()


def vectrue(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    stdin: bytes = b"",
) -> Done:
    """Run a command; what it changes of the process is changed back."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["vectrue", *arguments])
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        patched.setattr(sys, "excepthook", sys.excepthook)
        patched.setattr(threading, "excepthook", threading.excepthook)
        with pytest.raises(SystemExit) as left:
            main.run()
    said = capsys.readouterr()
    return Done(int(left.value.code or 0), said.out, said.err)
