"""Waiting on a condition with a deadline: the only way a test lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

T = TypeVar("T")


def until(
    condition: Callable[[], T], *, timeout: float = 120.0, what: str, pause: float = 0.05
) -> T:
    """Call `condition` again and again until it returns something true, and return
    that.

    Args:
        condition: asked again and again; an exception it raises is the test's.
        timeout: seconds until the wait is given up.
        what: what was waited for, in words, for the failure message.
        pause: seconds between two calls.

    Raises:
        AssertionError: the deadline passed; the message names `what` and the last
            value.
    """

    def give_up(state: RetryCallState) -> T:
        last = state.outcome.result() if state.outcome else None
        raise AssertionError(f"waited {timeout:g} s in vain for {what}; last value: {last!r}")

    asking = Retrying(
        retry=retry_if_result(lambda value: not value),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(pause),
        retry_error_callback=give_up,
    )
    return asking(condition)


def let_pass(seconds: float) -> None:
    """Let so long pass, in one piece: the pace of a load, a time of watching. Never for
    something to happen.

    Args:
        seconds: none where negative.
    """
    end = time.monotonic() + seconds
    until(
        lambda: time.monotonic() >= end,
        timeout=seconds + 60,
        what="time to pass",
        pause=max(0.0, seconds),
    )
