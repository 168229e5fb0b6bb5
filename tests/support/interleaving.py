"""Every order in which the steps of several actors can happen, tried one after the
other.

Stateless: an order is a list of choices; a run follows it as far as it goes, then
always takes the first actor that can move, and notes who else could have. The next
order differs in the last choice that has an alternative left.

Hazard: a run must depend on nothing but the choices; threads only ever move one at a
time, baton in hand.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol


class Actor(Protocol):
    """Someone who does one thing after the other."""

    def can_move(self) -> bool:
        """Whether it has a step left and nothing that it waits for is missing."""
        ...

    def move(self) -> None:
        """Do the next step, whole."""
        ...


class Script:
    """An actor whose steps are functions."""

    def __init__(self, steps: Sequence[Callable[[], None]]) -> None:
        """Remember the steps."""
        self._steps = list(steps)

    def can_move(self) -> bool:
        """As the protocol says."""
        return bool(self._steps)

    def move(self) -> None:
        """As the protocol says."""
        self._steps.pop(0)()


class Paused:
    """An actor that is ordinary code in a thread, and stops wherever that code calls
    `pause`.
    """

    def __init__(self, work: Callable[["Paused"], None]) -> None:
        """Start, and run up to the first pause. A run that is given up leaves the
        thread where it is.
        """
        self._turn, self._done = threading.Lock(), threading.Lock()
        self._turn.acquire()
        self._done.acquire()
        self._ready: Callable[[], bool] = bool
        self._alive = True
        self._failure: BaseException | None = None
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        self._wait()

    def pause(self, until: Callable[[], bool] = lambda: True) -> None:
        """Called by the work: stop here until it is this actor's turn, which it only
        gets when `until` holds.
        """
        self._ready = until
        self._done.release()
        self._turn.acquire()

    def can_move(self) -> bool:
        """As the protocol says."""
        return self._alive and self._ready()

    def move(self) -> None:
        """As the protocol says."""
        self._turn.release()
        self._wait()

    def _wait(self) -> None:
        self._done.acquire()
        if self._failure is not None:
            raise self._failure

    def _run(self, work: Callable[["Paused"], None]) -> None:
        try:
            work(self)
        except BaseException as error:  # noqa: BLE001 - not swallowed: raised where the actor is moved
            self._failure = error
        finally:
            self._alive = False
            self._done.release()


def orders(run: Callable[[Callable[[Sequence[Actor]], Actor | None]], None]) -> Iterator[list[int]]:
    """Call `run` once for every order; yields the choices of each run after it.

    Args:
        run: sets everything up again, and asks the function that it is given which actor
            moves next, until it answers None: no one can.
    """
    choices: list[int] = []
    while True:
        alternatives: list[int] = []

        def choose(
            actors: Sequence[Actor], planned: list[int] = choices, seen: list[int] = alternatives
        ) -> Actor | None:
            able = [actor for actor in actors if actor.can_move()]
            if not able:
                return None
            if len(seen) == len(planned):
                planned.append(0)
            seen.append(len(able))
            return able[planned[len(seen) - 1]]

        run(choose)
        yield list(choices)
        while choices and choices[-1] + 1 == alternatives[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1
