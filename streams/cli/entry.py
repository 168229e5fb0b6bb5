"""The program `vectrue`.

Hazard: its modules take more than a second to import, so Ctrl-C has to end it quietly
even before they are.
"""

import sys

_INTERRUPTED = 130  # 128 + SIGINT


def run() -> None:
    """Run the installed command; ends the process with its exit code."""
    try:
        from streams.cli.main import run as begin
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    begin()
