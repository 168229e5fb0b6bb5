"""Ctrl-C, SIGTERM and a closed terminal end a command and what it runs on the server.

A thread reads the signals from the wakeup descriptor and cancels every statement of
this process until the handler has run, which raises KeyboardInterrupt in the main
thread. What the command then does to clean up runs undisturbed. A second signal ends
the process at once, and so does a command that does not react within
`_PATIENCE_SECONDS`.

Hazards:
- A signal that was ignored when the process started stays ignored (nohup, background
  jobs of a shell).
- Workers and `serve` finish the batch in hand when they are asked to stop, and do not
  listen here.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from connectors.clock import SystemClock

# Windows has no SIGHUP.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# A main thread that runs Python has reacted by then, and nothing needs to be cancelled.
_FIRST_SECONDS = 0.02
_AGAIN_SECONDS = 0.2
# The main thread may stay in C after the signal: a connection attempt takes 5 s.
_PATIENCE_SECONDS = 10.0
# `timeout` and other wrappers signal the process and its group: two signals, one wish.
_ONE_SECONDS = 0.5
_SHOW_CURSOR = b"\x1b[?25h"
_WORD = b"interrupted\n"


class Interruption:
    """The signals of one process; call `listen` once, in the main thread.

    Attributes:
        signal: the signal that ended the command; None while there was none.
    """

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._heard = threading.Event()
        self._taken: set[int] = set()
        self._cancel_statements: Callable[[], object] = lambda: None
        self.signal: int | None = None

    def listen(self) -> None:
        """Let a signal end the command in good order from now on."""
        # The driver is not imported by --help, which does not listen.
        from connectors.postgres import open_connections

        self._cancel_statements = open_connections.cancel
        read, write = os.pipe()
        os.set_blocking(write, False)
        # Python runs no handler while a statement runs; the descriptor is written at once.
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
                self._taken.add(number)
        threading.Thread(target=self._hear, args=(read,), name="signals", daemon=True).start()

    @property
    def exit_code(self) -> int:
        """Return 128 and the signal's number, as a shell does: 130 for Ctrl-C."""
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
                    # A thread of its own: this one has to hear the second signal.
                    threading.Thread(
                        target=self._end_statements, args=(number,), name="cancel", daemon=True
                    ).start()
                elif now - first > _ONE_SECONDS:
                    _leave(number)

    def _end_statements(self, number: int) -> None:
        deadline = self._clock.monotonic() + _PATIENCE_SECONDS
        pause = _FIRST_SECONDS
        while not self._heard.wait(pause):
            # Again and again: the main thread may begin another statement meanwhile.
            self._cancel_statements()
            pause = _AGAIN_SECONDS
            if self._clock.monotonic() > deadline:
                _leave(number)


def _leave(number: int) -> None:
    """End the process now, from a thread.

    The connections close, and the server ends what it still runs for us.
    """
    os.write(2, (_SHOW_CURSOR if sys.stderr.isatty() else b"") + _WORD)
    os._exit(128 + number)
