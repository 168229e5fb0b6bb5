"""Tracebacks of exceptions that nothing caught, safe for the terminal that shows them.

Separate from the logs, which import much more: this is called before anything else.
"""

import sys
import threading
import traceback
from types import TracebackType

from schemas.printable import one_line, visible


def guard_tracebacks() -> None:
    """Escape control characters when an uncaught exception of any thread is printed."""

    def of_process(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))

    def of_thread(found: threading.ExceptHookArgs) -> None:
        # Python ends a thread with SystemExit in silence, and so does this.
        if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
            name = one_line(found.thread.name) if found.thread else "-"
            sys.stderr.write(f"in thread {name}:\n")
            of_process(found.exc_type, found.exc_value, found.exc_traceback)

    sys.excepthook = of_process
    threading.excepthook = of_thread
