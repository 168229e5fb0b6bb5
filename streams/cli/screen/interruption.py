"""Ctrl-C, SIGTERM and a terminal that is closed: the command ends, and with it what it
runs on the server.

While a statement runs, Python cannot call a signal's handler. So a thread hears of the
signal by the wakeup descriptor and has every statement of this process cancelled, again
and again until the handler has run, which raises KeyboardInterrupt in the main thread.
What a command does then to leave in good order runs undisturbed. A second signal, or a
command that does not listen within `_PATIENCE_SECONDS`, ends the process at once.

Hazards:
- A signal that was ignored when the process started stays ignored (nohup, background
  jobs of a shell).
- `timeout` and other wrappers send a signal twice, to the process and to its group:
  what comes within `_ONE_SECONDS` of the first is the same wish.
- Workers and `serve` have an end of their own (what is in hand is finished), and do not
  listen here.
"""

import os
import signal
import sys
import threading
from types import FrameType

from connectors.clock import SystemClock
from connectors.postgres import open_connections

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_FIRST_SECONDS = 0.02
"""A main thread that runs Python has heard by then, and nothing needs to be cancelled.
"""
_AGAIN_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
"""Longest that the main thread may stay in C after the signal: a connection attempt
takes 5 s.
"""
_ONE_SECONDS = 0.5
_SHOW_CURSOR = b"\x1b[?25h"
_WORD = b"interrupted\n"


class Interruption:
    """The signals of one process; `listen` once, in the main thread."""

    def __init__(self) -> None:
        """Nothing is listened for yet."""
        self._clock = SystemClock()
        self._heard = threading.Event()
        self._taken: set[int] = set()
        self.signal: int | None = None
        """The signal that ended the command; None while there was none."""

    def listen(self) -> None:
        """From now on a signal ends the command in good order."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
                self._taken.add(number)
        threading.Thread(target=self._hear, args=(read,), name="signals", daemon=True).start()

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell says it: 130 for Ctrl-C, 143 for
        SIGTERM.
        """
        return 128 + (self.signal or signal.SIGINT)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        if not self._heard.is_set():
            self.signal = number
            self._heard.set()
            raise KeyboardInterrupt

    def _hear(self, read: int) -> None:
        first: float | None = None
        while True:
            for number in self._taken.intersection(os.read(read, 64)):
                now = self._clock.monotonic()
                if first is None:
                    first = now
                    threading.Thread(
                        target=self._end_statements, args=(number,), name="cancel", daemon=True
                    ).start()
                elif now - first > _ONE_SECONDS:
                    _leave(number)

    def _end_statements(self, number: int) -> None:
        deadline = self._clock.monotonic() + _PATIENCE_SECONDS
        pause = _FIRST_SECONDS
        while not self._heard.wait(pause):
            open_connections.cancel()
            pause = _AGAIN_SECONDS
            if self._clock.monotonic() > deadline:
                _leave(number)


def _leave(number: int) -> None:
    """End the process now, from a thread: the connections close, and the server ends
    what it still runs for us.
    """
    os.write(2, (_SHOW_CURSOR if sys.stderr.isatty() else b"") + _WORD)
    os._exit(128 + number)
