"""A command on a terminal of a given width, as a person sees what it prints."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.root import ROOT


def shown(
    arguments: Sequence[str],
    *,
    columns: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run `vectrue ...` on a terminal of so many columns.

    Args:
        arguments: what stands behind `vectrue`.
        columns: of the terminal.
        folder: working directory.
        environment: more variables.

    Returns:
        The exit code, and what it wrote on either screen, without rich's colours.
    """
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "streams.cli.main", *arguments]
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        **(environment or {}),
    }
    variables.pop("COLUMNS", None)
    process = subprocess.Popen(
        command, cwd=folder, stdin=secondary, stdout=secondary, stderr=secondary, env=variables
    )
    os.close(secondary)
    written = _everything(primary).replace("\r\n", "\n")
    return process.wait(), re.sub(r"\x1b\[[0-9;]*m", "", written)


def _everything(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # the terminal is gone with the last who wrote to it
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode()
        parts.append(part)
