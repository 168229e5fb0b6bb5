"""Retries of calls to a service that does not answer, with back-off and a time limit.

Only `TransientError` is retried; any other error is raised at once.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from connectors.ports import Clock
from schemas.errors import TableLocked, TransientError
from schemas.health import metrics

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class RetryPolicy:
    """Calls a function until the service answers, at most for `seconds`."""

    def __init__(
        self, clock: Clock, *, seconds: float, lane: str, waits_for_tables: bool = False
    ) -> None:
        """Set the limits.

        Args:
            clock: waits between the attempts; its wait raises Stopping.
            seconds: after this time the last error is raised.
            lane: label of the metric.
            waits_for_tables: whether TableLocked is retried too, or raised at once.
        """
        self._clock = clock
        self._seconds = seconds
        self._lane = lane
        self._waits_for_tables = waits_for_tables

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` until it does not raise TransientError.

        Raises:
            TransientError: the service did not answer in the whole time.
            TableLocked: at once, unless this policy waits for tables.
            Stopping: the process was asked to stop meanwhile.
        """
        deadline = self._clock.monotonic() + self._seconds
        retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            # tenacity's own limit reads the system's clock, which tests do not move.
            stop=lambda _: self._clock.monotonic() >= deadline,
            wait=wait_exponential_jitter(multiplier=0.1, max=10.0, jitter=0.5),
            # It ends at once when the process is asked to stop.
            sleep=self._clock.wait,
            before_sleep=self._note,
            reraise=True,
        )
        return retrying(function, *args, **kwargs)

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, TransientError) and (
            self._waits_for_tables or not isinstance(error, TableLocked)
        )

    def _note(self, state: RetryCallState) -> None:
        metrics.RETRIES.labels(self._lane).inc()
        error = state.outcome.exception() if state.outcome else None
        seconds = round(state.upcoming_sleep, 1)
        log.warning(
            "retrying", reason=str(error), attempt=state.attempt_number, after_seconds=seconds
        )
