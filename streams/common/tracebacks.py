"""Tracebacks of exceptions that nothing caught, safe for the terminal that shows them.

Separate from the logs, which import much more: this is called before anything else.
"""

import sys
import threading
import traceback
from types import TracebackType

from schemas.printable import one_line, visible


def guard_tracebacks() -> None:
    """Have an exception that nobody caught, of any thread, printed with what it quotes
    written out.
    """

    def of_process(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))

    def of_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
            sys.stderr.write(f"in thread {one_line(found.thread.name) if found.thread else '-'}:\n")
            of_process(found.exc_type, found.exc_value, found.exc_traceback)

    sys.excepthook = of_process
    threading.excepthook = of_thread
