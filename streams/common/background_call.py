"""A question whose asker does not wait for ever: its thread is left behind when the
answer takes too long.

Hazard: a thread cannot be ended from outside. A question that hangs keeps its one
thread until it is answered; it is not asked a second time meanwhile, and it does not
keep the process alive.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Asks one question, again and again, at most once at a time."""

    def __init__(self, question: Callable[[], T]) -> None:
        """Remember the question."""
        self._question = question
        self._answer: Future[T] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was asked and nothing came back yet."""
        return self._answer is not None and not self._answer.done()

    def start(self) -> None:
        """Ask, unless the last time is still unanswered."""
        if not self.is_open:
            self._answer = Future()
            threading.Thread(target=self._ask, args=(self._answer,), daemon=True).start()

    def answer(self, seconds: float) -> T | None:
        """The answer, or None when it does not come in time; raises what the question
        raised.
        """
        try:
            return None if self._answer is None else self._answer.result(seconds)
        except TimeoutError:
            return None

    def _ask(self, answer: "Future[T]") -> None:
        try:
            answer.set_result(self._question())
        except Exception as error:  # noqa: BLE001 - raised again in `answer`, where somebody is there to take it
            answer.set_exception(error)
