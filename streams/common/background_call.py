"""A call in a thread of its own, with a timeout for its result.

Hazard: a thread cannot be ended from outside: a call that hangs keeps its one thread.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Calls one function repeatedly, at most once at a time."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._answer: Future[T] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a call has started and not ended."""
        return self._answer is not None and not self._answer.done()

    def start(self) -> None:
        """Start a call, unless one is running."""
        # A call that hangs is not started a second time.
        if not self.is_open:
            self._answer = Future()
            # A daemon, which does not keep the process alive.
            threading.Thread(target=self._call, args=(self._answer,), daemon=True).start()

    def answer(self, seconds: float) -> T | None:
        """Wait for the result of the last call.

        Args:
            seconds: timeout.

        Returns:
            the result; None if it did not come in time.

        Raises:
            Exception: what the function raised.
        """
        try:
            return None if self._answer is None else self._answer.result(seconds)
        except TimeoutError:
            return None

    def _call(self, answer: "Future[T]") -> None:
        try:
            answer.set_result(self._function())
        # Raised again by `answer`, in the caller's thread.
        except Exception as error:  # noqa: BLE001
            answer.set_exception(error)
