"""The program `vectrue`. Its modules take a second and more to be read: Ctrl-C ends it
before that is done, too.
"""

import sys

_INTERRUPTED = 130  # 128 + SIGINT


def run() -> None:
    """Entry point of the installed command; ends the process with its exit code."""
    try:
        from streams.cli.main import run as begin
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    begin()
