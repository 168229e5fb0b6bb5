"""The program `vectrue`.

Hazard: its modules take more than a second to import, so Ctrl-C has to end it quietly
even before they are.
"""

import sys

# 128 + SIGINT, as a shell has it.
_INTERRUPTED = 130


def run() -> None:
    """Run the installed command; ends the process with its exit code."""
    try:
        from streams.cli.main import run as begin
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    begin()
